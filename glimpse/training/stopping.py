"""Signals that end a program: Ctrl-C, SIGTERM and SIGHUP, and the death of the sweep that started it."""

import contextlib
import ctypes
import os
import signal
import sys
import threading

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
PARENT = "GLIMPSE_PARENT"  # of the environment: the process without which this one is to end


class Stopped(KeyboardInterrupt):
    """The program was asked to end by the signal `signum`; the text is a line for the user."""

    def __init__(self, signum, text=""):
        super().__init__(text or f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


@contextlib.contextmanager
def handled(handler):
    """Within, stop signals call `handler(signum, frame)`; those that the program was told to ignore do not (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread alone
        return
    before = {each: signal.getsignal(each) for each in SIGNALS}
    before = {each: known for each, known in before.items() if known not in (signal.SIG_IGN, None)}
    try:
        for each in before:
            signal.signal(each, handler)
        yield
    finally:
        for each, known in before.items():
            signal.signal(each, known)


def at_once():
    """Within, a stop signal raises Stopped wherever the program is."""
    def stop(signum, frame):
        raise Stopped(signum)

    return handled(stop)


@contextlib.contextmanager
def noted(second_ends=False):
    """Within, a stop signal waits until the program comes to a place where it can stop.

    Args:
        second_ends: a second signal ends the process at once; but not SIGTERM twice. SLURM sends it to each process of
            a job, and the one that has started the training hands it on.

    Yields:
        the list of the signals that came. One that is still there at the end raises Stopped.
    """
    came = []

    def note(signum, frame):
        came.append(signum)
        if second_ends:
            for each in SIGNALS:
                if not each == signum == signal.SIGTERM:
                    signal.signal(each, signal.SIG_DFL)

    with handled(note):
        yield came
    if came:
        raise Stopped(came[0])


def end_with_parent():
    """Has the system send SIGTERM to this process when the one named in the environment ends, however it ends.

    The process asks for it itself: what runs between fork and exec in a process with threads may hang. Only Linux
    knows this; elsewhere a sweep that is killed by SIGKILL leaves its trainings behind.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before it could be asked for
        raise Stopped(signal.SIGTERM)
