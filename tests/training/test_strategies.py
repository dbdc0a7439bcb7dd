"""Several devices train to the weights of one. Programs of their own: devices are set before TensorFlow starts."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from glimpse.errors import GlimpseError
from glimpse.training import strategies

STEPS = 50
TRAIN = """
import json, sys
import numpy as np
from experiments.launch import start_tensorflow
start_tensorflow()
from glimpse import config
from glimpse.training import strategies
from glimpse.training.experiment import Experiment

def trained(bindings, steps):
    with config.configuration("experiments/digits_learned.gin", bindings):
        experiment = Experiment()
        before = np.concatenate([w.ravel() for w in experiment.detector.get_weights()])
        logs = experiment.trainer.fit(strategies.shared_out(experiment.strategy, experiment.batches(0)),
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
