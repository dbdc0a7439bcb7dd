"""Launches small programs in place of trainings: they take the lock of their run, take a while, and write results."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from glimpse.training import lock

RUN = """
import json, pathlib, sys, time
from glimpse.training import lock, stopping
run, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
with stopping.at_once():
    stopping.end_with_parent()
    try:
        with lock.held(run):
            with open(run / "log", "a") as log:
                print("begun", file=log, flush=True)
                time.sleep(seconds)
                print("ended", file=log)
            (run / "results.json").write_text(json.dumps({"metrics": {"test": {}}, "seconds": {"train": 1.0}}))
    except lock.RunHeld as held:
        print("error:", held)
        sys.exit(held.status)
    except stopping.Stopped as stop:
        (run / "stopped").write_text("")
        sys.exit(128 + stop.signum)
"""
LAUNCH = """
import json, pathlib, sys
from glimpse.studies.launchers.local import launch
from glimpse.training.stopping import Stopped
workdir, waiting, jobs = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
try:
    print(launch(workdir, waiting, dict.fromkeys(waiting, 1), jobs,
                 lambda name: not (workdir / name / "results.json").exists()))
except Stopped as stop:
    print(stop)
    sys.exit(128 + stop.signum)
"""


def launched(workdir, seconds, runs=("a", "b", "c", "d"), jobs=2):
    """A process that launches the runs as soon as it is told to."""
    waiting = {name: [sys.executable, "-c", RUN, str(workdir / name), str(seconds)] for name in runs}
    process = subprocess.Popen([sys.executable, "-c", LAUNCH, str(workdir), json.dumps(waiting), str(jobs)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def begun(workdir):
    return {path.parent.name: path.read_text().split() for path in workdir.glob("*/log")}


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(run):
    """The process that holds a run, if it lives."""
    return lock.held_by(run) is not None


def test_two_launchers_share_the_runs_and_none_is_done_twice(tmp_path):
    processes = [launched(tmp_path, 1.5) for _ in range(2)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0] and all(out.endswith("\n[]\n") for out, _ in said)
    assert begun(tmp_path) == dict.fromkeys("abcd", ["begun", "ended"])
    assert any("waiting for " in err and "which is being written by process " in out for out, _ in said)
    for out, _ in said:  # each tells of all four in the end
        assert out.count("done ") == 4 and "FAILED" not in out


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_a_launcher_ends_what_it_has_launched(tmp_path, signum):
    process = launched(tmp_path, 60)
    process.stdin.write("\n")
    process.stdin.flush()
    wait_for(lambda: len(begun(tmp_path)) == 2)
    os.kill(process.pid, signum)
    out, err = process.communicate(timeout=60)
    if signum == signal.SIGKILL:
        assert process.returncode == -signum
    else:
        assert process.returncode == 128 + signum and "no training is left at work; the same command goes on" in out
        assert "FAILED" not in out and out.count("stopped ") == 2
    wait_for(lambda: len(list(tmp_path.glob("*/stopped"))) == 2)
    wait_for(lambda: not alive(tmp_path / "a") and not alive(tmp_path / "b"))
    assert set(begun(tmp_path)) == {"a", "b"}
