import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from glimpse.training import lock

HOLD = "import sys, time\nfrom glimpse.training import lock\nwith lock.held(sys.argv[1]):\n    {}\n"


def holding(workdir, what="print('held', flush=True); time.sleep(60)"):
    """A process that holds the lock on a directory."""
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(what), str(workdir)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def record(**other):
    return {"host": "here", "boot": "b", "process": 1, "ticks": "1", "since": "2026-01-01 00:00:00 UTC"} | other


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path):
    process = holding(tmp_path / "runs" / "x")
    with pytest.raises(lock.RunHeld, match=rf"x is being written by process {process.pid} of this machine, since 20"):
        with lock.held(tmp_path / "runs" / "x"):
            pass
    with pytest.raises(lock.RunHeld, match=f"process {process.pid} "):
        lock.refuse_if_held(tmp_path / "runs" / "x")
    process.kill()
    process.wait()
    assert (tmp_path / "runs" / "x" / lock.LOCK).is_file() and lock.held_by(tmp_path / "runs" / "x") is None
    with lock.held(tmp_path / "runs" / "x"):  # of a dead holder
        assert json.loads((tmp_path / "runs" / "x" / lock.LOCK).read_text())["process"] == os.getpid()
        assert lock.held_by(tmp_path / "runs" / "x") is None  # but this one
    assert not list((tmp_path / "runs" / "x").iterdir())


def test_who_holds_a_lock_enters_again(tmp_path):
    with lock.held(tmp_path):
        with lock.held(tmp_path / ".." / tmp_path.name):
            pass
        assert (tmp_path / lock.LOCK).is_file()
    assert not (tmp_path / lock.LOCK).exists()


def test_a_process_number_that_was_given_again_is_another_process(tmp_path):
    with lock.held(tmp_path):
        mine = json.loads((tmp_path / lock.LOCK).read_text())
    (tmp_path / lock.LOCK).write_text(json.dumps(mine))
    assert f"process {os.getpid()} " in lock.held_by(tmp_path)
    (tmp_path / lock.LOCK).write_text(json.dumps(mine | {"ticks": "1"}))
    assert lock.held_by(tmp_path) is None
    (tmp_path / lock.LOCK).write_text(json.dumps(mine | {"boot": "before the machine was started again"}))
    assert lock.held_by(tmp_path) is None
    with lock.held(tmp_path):
        pass


def test_a_holder_on_another_machine_may_live(tmp_path):
    """It cannot be told from here, so its lock is not taken, and the line says how to go on."""
    (tmp_path / lock.LOCK).write_text(json.dumps(record(host="elsewhere")))
    message = rf"process 1 of elsewhere, .* if that process has ended, remove .*{lock.LOCK}"
    with pytest.raises(lock.RunHeld, match=message):
        with lock.held(tmp_path):
            pass
    assert json.loads((tmp_path / lock.LOCK).read_text())["host"] == "elsewhere"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"host": 3}', b"null"])
def test_a_lock_that_names_nobody_is_taken(tmp_path, content):
    (tmp_path / lock.LOCK).write_bytes(content)
    assert lock.held_by(tmp_path) is None
    with lock.held(tmp_path):
        assert json.loads((tmp_path / lock.LOCK).read_text())["process"] == os.getpid()


def test_a_file_system_without_locks_is_said_and_its_living_holders_are_kept(tmp_path, monkeypatch, capsys):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    process = holding(tmp_path)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(lock.RunHeld, match=f"process {process.pid} "):
        with lock.held(tmp_path):
            pass
    process.kill()
    process.wait()
    capsys.readouterr()
    with lock.held(tmp_path):
        said = capsys.readouterr().err
    assert said.count("\n") == 1 and "takes no locks (No locks available)" in said


def test_processes_race_and_only_one_is_inside(tmp_path):
    """Each makes a file that must not be there, and removes it; the lock's own file comes and goes meanwhile."""
    enter = ("import os, sys, time\nfrom glimpse.training import lock\ninside = 0\n"
             "end = time.time() + 1.5\nwhile time.time() < end:\n    try:\n        with lock.held(sys.argv[1]):\n"
             "            os.close(os.open(sys.argv[1] + '/alone', os.O_CREAT | os.O_EXCL))\n            inside += 1\n"
             "            os.unlink(sys.argv[1] + '/alone')\n    except lock.RunHeld:\n        pass\nprint(inside)\n")
    (tmp_path / "run").mkdir()
    processes = [subprocess.Popen([sys.executable, "-c", enter, str(tmp_path / "run")], stdout=subprocess.PIPE)
                 for _ in range(4)]
    inside = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4 and sum(inside) > 10
    assert not list((tmp_path / "run").iterdir())


def test_a_lock_is_freed_by_an_error_and_by_a_signal(tmp_path):
    process = holding(tmp_path, "print('held', flush=True); sys.exit(3)")
    assert process.wait() == 3 and not (tmp_path / lock.LOCK).exists()
    process = holding(tmp_path)
    process.send_signal(signal.SIGTERM)
    process.wait()
    started = time.monotonic()
    with lock.held(tmp_path):
        assert time.monotonic() - started < 1
