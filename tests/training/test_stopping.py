import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from glimpse.training import stopping


def test_a_stop_waits_for_its_place(capsys):
    with pytest.raises(stopping.Stopped, match="stopped by SIGTERM") as stop:
        with stopping.noted() as came:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert came == [signal.SIGTERM, signal.SIGINT]
    assert stop.value.signum == signal.SIGTERM and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("signum", stopping.SIGNALS)
def test_a_stop_at_once(signum):
    with pytest.raises(stopping.Stopped) as stop, stopping.at_once():
        os.kill(os.getpid(), signum)
        time.sleep(1)
    assert stop.value.signum == signum


def test_a_signal_that_is_ignored_stays_so():
    """As `nohup` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.noted() as came:
            os.kill(os.getpid(), signal.SIGHUP)
        assert came == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_one_ends_the_process_at_once():
    process = subprocess.Popen([sys.executable, "-c", "import time\nfrom glimpse.training import stopping\n"
                                "with stopping.noted(second_ends=True) as came:\n    print('ready', flush=True)\n"
                                "    while not came: time.sleep(0.01)\n    print('noted', flush=True)\n"
                                "    while True: time.sleep(0.01)\n"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"noted\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == -signal.SIGTERM


def test_sigterm_may_come_twice_as_from_slurm_and_a_third_signal_ends_the_process():
    process = subprocess.Popen([sys.executable, "-c", "import time\nfrom glimpse.training import stopping\n"
                                "with stopping.noted(second_ends=True) as came:\n    print('ready', flush=True)\n"
                                "    for number in (1, 2):\n        while len(came) < number: time.sleep(0.01)\n"
                                "        print('noted', flush=True)\n    while True: time.sleep(0.01)\n"],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"noted\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGINT


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process of its parent's end")
def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    """Even where that is killed by SIGKILL."""
    child = ("import time\nfrom glimpse.training import stopping\nwith stopping.at_once():\n    try:\n"
             "        stopping.end_with_parent()\n        open('ready', 'w').close()\n        time.sleep(60)\n"
             "    except stopping.Stopped:\n        open('ended', 'w').close()\n")
    parent = ("import os, subprocess, sys, time\nfrom glimpse.training import stopping\n"
              "subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True,\n"
              "                 env=os.environ | {stopping.PARENT: str(os.getpid())})\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, "-c", parent, child], cwd=tmp_path,
                               env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])})
    appears(tmp_path / "ready")
    assert not (tmp_path / "ended").exists()
    process.kill()
    process.wait()
    appears(tmp_path / "ended")


def appears(path, seconds=30):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)
