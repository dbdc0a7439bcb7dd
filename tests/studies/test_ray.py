"""A study on Ray: a cluster of two nodes on this machine, of which one is killed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from experiments import sweep
from glimpse.training.metrics_log import last_step
from tests.experiments.test_sweep import write_study

pytest.importorskip("ray", reason="pip install 'glimpse[ray]' for Ray's launcher")

# A cluster of a process of its own, which kills a node when it is told to.
CLUSTER = """
import os, sys
os.environ["RAY_worker_niceness"] = "0"
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
node = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.remove_node(node, allow_graceful=False)
        print("killed", flush=True)
        cluster.add_node(num_cpus=1)
cluster.shutdown()
"""
EIGHT = [{"NUM_GLIMPSES": [1, 2], "SEED": [0, 1, 2, 3]}]


@pytest.fixture
def cluster():
    process = subprocess.Popen([sys.executable, "-c", CLUSTER], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.address = process.stdout.readline().strip()
    assert process.address
    yield process
    process.communicate(timeout=120)


def started(file, workdir, *more):
    """A sweep that has begun."""
    with open(workdir.with_suffix(".txt"), "w") as said:
        return subprocess.Popen([sys.executable, "-m", "experiments.sweep", f"--gin_file={file}",
                                 f"--workdir={workdir}", *more], stdout=said, stderr=subprocess.STDOUT)


def wait_for(condition, process, seconds=400):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)


def ended(process, workdir):
    """The exit status, and what was said."""
    status = process.wait(timeout=500)
    return status, workdir.with_suffix(".txt").read_text()


def results(workdir):
    """What came out of each run, without what it took: {name: (metrics, losses)}."""
    there = {path.parent.name: json.loads(path.read_text()) for path in pathlib.Path(workdir).glob("*/results.json")}
    return {name: (each["metrics"], (workdir / name / "metrics.jsonl").read_text()) for name, each in there.items()}


def trainings(workdir):
    """How often each run has said its end in its log."""
    return {path.stem: path.read_text().count("results: ") for path in workdir.glob("*.log")}


@pytest.mark.slow
def test_eight_runs_complete_though_a_node_is_killed(tmp_path, tiny, cluster):
    file = write_study(tmp_path, [*tiny, "TRAIN_STEPS = 30"], EIGHT)
    local, there = tmp_path / "local", tmp_path / "ray"
    process = started(file, there, "--launcher=@ray()", f"--gin_param=ray.address='{cluster.address}'")
    wait_for(lambda: len([path for path in there.glob("*/checkpoints/ckpt-*")]) >= 2, process)
    cluster.stdin.write("kill\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "killed\n"
    status, said = ended(process, there)
    assert status == 0 and said.count("done ") == 8 and "report: " in said, said
    sweep.main([f"--gin_file={file}", f"--workdir={local}", "--jobs=2"])
    assert len(results(local)) == 8 and results(there) == results(local)
    assert set(trainings(there).values()) == {1}


@pytest.mark.slow
def test_ctrl_c_ends_what_ray_runs(tmp_path, tiny):
    file = write_study(tmp_path, [*tiny, "TRAIN_STEPS = 100000"], [{"NUM_GLIMPSES": [1], "SEED": [0, 1]}])
    workdir = tmp_path / "ray"
    process = started(file, workdir, "--launcher=@ray()", "--gin_param=ray.cpus=1")
    wait_for(lambda: any(last_step(path.parent) for path in workdir.glob("*/metrics.jsonl")), process)
    os.kill(process.pid, signal.SIGINT)
    status, said = ended(process, workdir)
    assert status == 130 and "no training is left at work" in said and "FAILED" not in said, said
    assert not list(workdir.glob("*/.lock")) and list(workdir.glob("*/checkpoints/ckpt-*"))
