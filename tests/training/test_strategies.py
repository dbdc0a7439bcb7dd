"""Several devices train to the weights of one. Programs of their own: devices are set before TensorFlow starts."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from glimpse.errors import GlimpseError
from glimpse.training import strategies
from glimpse.training.metrics_log import last_step, read_metrics

STEPS = 50
TRAIN = """
import json, sys
import numpy as np
from experiments.launch import start_tensorflow
start_tensorflow()
from glimpse import config
from glimpse.training import strategies
from glimpse.training.metrics_log import last_step, read_metrics
from glimpse.training.experiment import Experiment

def trained(bindings, steps):
    with config.configuration("experiments/digits_learned.gin", bindings):
        experiment = Experiment()
        before = np.concatenate([w.ravel() for w in experiment.detector.get_weights()])
        logs = experiment.trainer.fit(experiment.shared_batches(0),
                                      steps_per_epoch=steps, shuffle=False, verbose=0).history
        after = np.concatenate([w.ravel() for w in experiment.detector.get_weights()])
        diagnostics = {name: float(metric.result()) for name, metric in experiment.trainer.diagnostics.items()}
        return before, after, {name: values[0] for name, values in logs.items()} | diagnostics
"""
MIRRORED = TRAIN + """
import tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
for bindings in json.loads(sys.argv[1]):
    before, alone, log = trained(bindings, int(sys.argv[2]))
    _, shared, shared_log = trained([*bindings, "Experiment.strategy = @mirrored()", "mirrored.replicas = 2"],
                                    int(sys.argv[2]))
    print("RESULT", json.dumps([float(np.abs(alone - before).max()), float(np.abs(shared - alone).max()), log,
                                shared_log]))
"""
WORKER = TRAIN + """
before, after, log = trained([*json.loads(sys.argv[1]), "Experiment.strategy = @multi_worker()"], int(sys.argv[2]))
np.savez(sys.argv[3], before=before, after=after)
"""
# What each way of learning reduces over the whole batch, or draws for it.
LEARNED = {
    "refine": ["POLICY = @refine()", "SUPERVISION = 'every'", "FUSION = @last", "BOX_REFERENCE = 'glimpse'"],
    "reinforce": ["POLICY = @learned()", "ESTIMATOR = @reinforce()", "BASELINE = 'batch'",
                  "learned.deviation = @deviation/keras.optimizers.schedules.CosineDecay()",
                  "deviation/CosineDecay.initial_learning_rate = 0.1"],
    "ppo": ["POLICY = @learned()", "ESTIMATOR = @ppo()", "keras.optimizers.Adam.global_clipnorm = 0.5",
            "BASELINE = 'learned'", "GlimpseDetector.dropout = 0.3"],
    "candidates": ["POLICY = @candidates()", "candidates.candidates = [(0, 0, 0, 0), (0.2, 0, 0, 0)]",
                   "ESTIMATOR = @reinforce()", "reinforce.entropy = 0.01", "Trainer.weight_decay = 0.001"],
}


def bindings_of(tiny, name):
    return [*tiny, f"TRAIN_STEPS = {STEPS}", "Experiment.batch_size = 4", "NUM_GLIMPSES = 3", *LEARNED[name]]


def run(program, *arguments, **environment):
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=os.environ | environment)


def said(process):
    out, error = process.communicate(timeout=400)
    assert process.returncode == 0, error[-3000:]
    return out


@pytest.mark.slow
def test_two_replicas_train_as_one_does(tiny):
    out = said(run(MIRRORED, json.dumps([bindings_of(tiny, name) for name in LEARNED]), STEPS))
    results = [json.loads(line.removeprefix("RESULT")) for line in out.splitlines() if line.startswith("RESULT")]
    assert len(results) == len(LEARNED)
    for name, (moved, apart, log, shared_log) in zip(LEARNED, results):
        assert moved > 0.01 and apart < 1e-4, (name, moved, apart)
        assert log.keys() == shared_log.keys()
        for key in log:  # spreads are those within a replica, as Keras adds up what each has counted
            if "spread" not in key and "variance" not in key:
                assert shared_log[key] == pytest.approx(log[key], rel=2e-3, abs=2e-3), (name, key)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def as_worker(ports, index):
    """TF_CONFIG of the worker of this index."""
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
                                     "task": {"type": "worker", "index": index}})}


def cluster(**task):
    return {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0} | task}


@pytest.mark.parametrize("value, message", [
    (None, "multi_worker needs the environment variable TF_CONFIG, such as"),
    ("{'cluster'", "TF_CONFIG is no JSON"),
    ("[]", "TF_CONFIG needs cluster, task.type and task.index"),
    (json.dumps({"cluster": {"worker": ["a:1"]}}), "TF_CONFIG needs cluster, task.type and task.index"),
    (json.dumps({"cluster": 3, "task": {"type": "worker", "index": 0}}), "TF_CONFIG needs cluster, task.type"),
    (json.dumps(cluster(index=2)), "task.index must be below 2, the number of its worker addresses, got 2"),
    (json.dumps(cluster(index="0")), "task.index must be below 2, the number of its worker addresses, got '0'"),
    (json.dumps(cluster(type="ps")), "may hold one chief and workers, got a task of type 'ps'"),
    (json.dumps(cluster() | {"cluster": {"worker": ["a:1", "a:1"]}}), "must be host:port, each once"),
    (json.dumps(cluster() | {"cluster": {"worker": ["a"]}}), "must be host:port, each once, got 'a'"),
])
def test_a_malformed_tf_config_is_one_line(monkeypatch, value, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(GlimpseError, match=message) as refused:
        strategies.multi_worker()
    assert "\n" not in str(refused.value)


def test_the_chief_is_the_first_worker_where_none_is_named(monkeypatch):
    for config, task in [(cluster(), ("worker", 0, True, 2)), (cluster(index=1), ("worker", 1, False, 2)),
                         ({"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, "task": {"type": "chief", "index": 0}},
                          ("chief", 0, True, 2)),
                         ({"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, "task": {"type": "worker", "index": 0}},
                          ("worker", 0, False, 2))]:
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert strategies.task_of_this_process() == task


def training(tiny, workdir, *more, **environment):
    """A process that trains under experiments.train for 60 steps, with a checkpoint each third one."""
    bindings = [*tiny, "TRAIN_STEPS = 60", "Experiment.log_every = 3", "POLICY = @refine()", *more]
    return subprocess.Popen([sys.executable, "-m", "experiments.train", "--gin_file=experiments/digits_learned.gin",
                             *(f"--gin_param={binding}" for binding in bindings), f"--workdir={workdir}"],
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | environment)


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_workers_go_on_from_the_last_checkpoint_when_one_was_killed(tmp_path, tiny):
    """The other ends with status 75; all are started again, and stopped by SIGTERM; the third time they finish."""
    def workers():
        ports = free_ports(2)
        return [training(tiny, workdir, "Experiment.strategy = @multi_worker()", **as_worker(ports, index))
                for index in range(2)]

    workdir = tmp_path / "run"
    first = workers()
    wait_for(lambda: last_step(workdir) >= 6)
    first[1].kill()
    _, error = first[0].communicate(timeout=200)
    assert first[0].returncode == 75 and "another worker of TF_CONFIG is lost" in error, error[-2000:]
    first[1].communicate()

    reached = last_step(workdir)
    second = workers()
    wait_for(lambda: last_step(workdir) > reached)
    second[1].terminate()
    for process in second:
        _, error = process.communicate(timeout=200)
        assert process.returncode == 143 and "with a checkpoint" in error, error[-2000:]

    for process in workers():
        _, error = process.communicate(timeout=400)
        assert process.returncode == 0, error[-2000:]
    assert [line["step"] for line in read_metrics(workdir)] == list(range(3, 61, 3))
    alone = training(tiny, tmp_path / "alone")
    assert alone.communicate(timeout=400) and alone.returncode == 0
    for one, other in zip(read_metrics(workdir), read_metrics(tmp_path / "alone")):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3), one["step"]


@pytest.mark.slow
def test_workers_that_share_no_directory_and_replicas_without_images_are_refused(tmp_path, tiny):
    ports = free_ports(2)
    processes = [training(tiny, tmp_path / str(index), "Experiment.strategy = @multi_worker()",
                          **as_worker(ports, index)) for index in range(2)]
    processes.append(training(tiny, tmp_path / "three", "Experiment.strategy = @mirrored()", "mirrored.replicas = 3"))
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2, 2], said
    for each in said[:2]:
        assert "is not one directory that all 2 workers share: 1 of them see what the chief writes there" in each
    assert "batch_size must be a multiple of the 3 replicas of Experiment.strategy, got 2 images" in said[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["refine", "reinforce"])
def test_two_processes_train_as_one_does(tmp_path, tiny, name):
    bindings, ports = json.dumps(bindings_of(tiny, name)), free_ports(2)
    alone = run(TRAIN + "before, after, log = trained(json.loads(sys.argv[1]), int(sys.argv[2]))\n"
                        "np.savez(sys.argv[3], before=before, after=after)", bindings, STEPS, tmp_path / "alone.npz")
    workers = [run(WORKER, bindings, STEPS, tmp_path / f"{index}.npz", **as_worker(ports, index)) for index in range(2)]
    for process in (alone, *workers):
        said(process)
    expected, *shared = (np.load(tmp_path / f"{each}.npz") for each in ("alone", 0, 1))
    assert np.abs(expected["after"] - expected["before"]).max() > 0.01
    assert np.abs(shared[0]["after"] - expected["after"]).max() < 1e-4
    np.testing.assert_array_equal(shared[0]["after"], shared[1]["after"])
