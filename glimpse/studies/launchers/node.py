"""What an engine does with one command line on the machine that it has chosen for it."""

import contextlib
import os
import pathlib
import platform
import signal
import subprocess
import threading
import time

from glimpse.errors import GlimpseError
from glimpse.training import lock, stopping

NOT_SHARED = 66  # EX_NOINPUT of sysexits.h
PATIENCE = 15  # seconds, for network file systems tell late of new files


def started(command, log, threads, directory, job=""):
    """Starts a command line, whose output goes to the end of a log; it ends when this process does.

    Args:
        command: list of texts.
        log: path of a file.
        threads: how many it computes with; None for as many as it likes.
        directory: in which it runs.
        job: names it to the lock of its run, see `glimpse.training.lock.JOB`.
    """
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", stopping.PARENT: str(os.getpid()), lock.JOB: job}
    if threads is not None:
        environment |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    # A session of its own: Ctrl-C on a terminal would reach it twice.
    with open(log, "a") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, cwd=directory,
                                stdin=subprocess.DEVNULL, start_new_session=True)


def ran(command, log, threads, directory, job, token):
    """The exit status of a command line that ran here; NOT_SHARED where this machine does not see the study.

    A KeyboardInterrupt or SIGTERM of this process ends it, with a checkpoint.

    Args:
        command, log, threads, directory, job: as in `started`.
        token: path of a file that lies in the directory of the study.
    """
    end = time.monotonic() + PATIENCE
    while not (pathlib.Path(token).exists() and os.path.isdir(directory)):
        if time.monotonic() > end:
            return NOT_SHARED
        time.sleep(0.2)
    process = started(command, log, threads, directory, job)
    try:
        with _terminating(process):
            while process.poll() is None:  # Ray's interrupt does not reach into a wait for the process
                time.sleep(0.2)
            return process.returncode
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _terminating(process):
    """Within, SIGTERM goes to the process, which then comes to its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda signum, frame: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


@contextlib.contextmanager
def token_in(workdir):
    """A file in the directory of a study, by which other machines see that they share it: yields its path."""
    token = pathlib.Path(workdir).resolve() / f".{platform.node()}.{os.getpid()}.0.tmp"
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


def not_shared(workdir, where):
    """The error that a machine of an engine does not see the directory of the study."""
    return GlimpseError(f"--workdir={workdir} is not a directory that {where} shares with this machine; name one on a "
                        "file system that all of them have under this path")
