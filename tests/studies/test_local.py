"""Launches small programs in place of trainings: they take the lock of their run, take a while, and write results."""

import os
import signal
import sys
import time

import pytest

from glimpse.studies.launchers.launch import launch
from glimpse.studies.launchers.local import Local
from glimpse.training import lock
from glimpse.training.stopping import Stopped

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


def launched(workdir, seconds, runs=("a", "b", "c", "d"), jobs=2):
    """Forks a process that launches the runs; returns its id. What it says is in a file of that name."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        out = os.open(workdir / str(os.getpid()), os.O_CREAT | os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = open(1, "w")  # pytest's own collects what is printed
        waiting = {name: [sys.executable, "-c", RUN, str(workdir / name), str(seconds)] for name in runs}
        print(launch(workdir, waiting, dict.fromkeys(waiting, 1), Local(jobs),
                     lambda name: not (workdir / name / "results.json").exists()))
        status = 0
    except Stopped as stop:
        print(stop)
        status = 128 + stop.signum
    finally:
        sys.stdout.flush()
        os._exit(status)


def ended(workdir, process):
    """The exit status of a launcher, and what it has said."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return status, (workdir / str(process)).read_text()


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
    results = [ended(tmp_path, process) for process in [launched(tmp_path, 1.5) for _ in range(2)]]
    assert begun(tmp_path) == dict.fromkeys("abcd", ["begun", "ended"])
    assert any("waiting for " in said and "which is being written by process " in said for _, said in results)
    for status, said in results:  # each tells of all four in the end
        assert status == 0 and said.endswith("\n[]\n") and said.count("done ") == 4 and "FAILED" not in said


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_a_launcher_ends_what_it_has_launched(tmp_path, signum):
    process = launched(tmp_path, 60)
    wait_for(lambda: len(begun(tmp_path)) == 2)
    os.kill(process, signum)
    status, said = ended(tmp_path, process)
    if signum == signal.SIGKILL:
        assert status == -signum
    else:
        assert status == 128 + signum and "no training is left at work; the same command goes on" in said
        assert "FAILED" not in said and "stopped a, exit status 143" in said and "stopped b, " in said
    wait_for(lambda: len(list(tmp_path.glob("*/stopped"))) == 2)
    wait_for(lambda: not alive(tmp_path / "a") and not alive(tmp_path / "b"))
    assert set(begun(tmp_path)) == {"a", "b"}


def test_a_run_that_fails_does_not_end_the_others(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log").mkdir()  # a is to write it
    status, said = ended(tmp_path, launched(tmp_path, 0))
    assert status == 0 and said.count("done ") == 3 and "FAILED a, exit status 1: IsADirectoryError" in said
    assert said.endswith("\n['a']\n")
