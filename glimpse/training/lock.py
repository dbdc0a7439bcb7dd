"""The lock on a run directory: one process at a time writes a run."""

import contextlib
import json
import os
import pathlib
import platform
import sys
import time

from glimpse.errors import GlimpseError

try:
    import fcntl
except ImportError:  # on Windows nothing is locked
    fcntl = None

LOCK = ".lock"
JOB = "GLIMPSE_JOB"  # of the environment: what an engine calls this process, and each that it starts in its place
_mine = set()  # the locks that this process holds


class RunHeld(GlimpseError):
    """Another process works at the run. Programs end with the status EX_TEMPFAIL of sysexits.h: later it may do."""

    status = 75


@contextlib.contextmanager
def held(workdir):
    """Holds the lock on a run directory, which is made if need be; a process that holds it already enters again.

    The system keeps the lock (flock) and frees it when the process ends, however it ends. The file names the holder,
    and is removed at the end. One that names another machine is not taken over: whether the holder lives cannot be
    told from here, and not every network file system carries locks from one machine to another. Except where it was
    the same job of an engine that starts one anew only when its machine is lost.

    Args:
        workdir: directory of the run.

    Raises:
        RunHeld: where another process has it; the line names it.
    """
    path = pathlib.Path(workdir).resolve() / LOCK
    if fcntl is None or path in _mine:
        yield
        return
    descriptor = _acquire(path)
    _mine.add(path)
    try:
        yield
    finally:
        _mine.discard(path)
        if _is_at(path, descriptor):
            path.unlink()
        os.close(descriptor)


def held_by(workdir):
    """Who writes a run, as a text; None where nobody does, as far as its lock tells. Nothing is locked or written."""
    path = pathlib.Path(workdir).resolve() / LOCK
    holder = None if fcntl is None or path in _mine else _read(path)
    if holder is None or _is_replaced(holder) or not (_is_elsewhere(holder) or _is_alive(holder)):
        return None
    return _named(holder, path)


def refuse_if_held(workdir):
    """Raises RunHeld where another process writes a run."""
    holder = held_by(workdir)
    if holder:
        raise RunHeld(f"{workdir} is being written by {holder}; wait for it, or name another directory")


def _acquire(path):
    """A descriptor of the lock's file, locked, and with this process named in it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _flock(path, descriptor)
            if not _is_at(path, descriptor):  # its holder has removed it meanwhile
                os.close(descriptor)
                continue
            holder = _read(path)
            if holder and not _is_replaced(holder) and (_is_elsewhere(holder) or (not locked and _is_alive(holder))):
                refuse_if_held(path.parent)
            _write(descriptor)
            return descriptor
        except BaseException:
            os.close(descriptor)
            raise


def _flock(path, descriptor):
    """Whether the system has locked the file. Raises RunHeld where another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        for _ in range(20):  # until the holder, which may have it just now, has written its name
            refuse_if_held(path.parent)
            time.sleep(0.05)
        raise RunHeld(f"{path.parent} is being written by another process, which {path} does not name; "
                      "wait for it, or name another directory") from None
    except OSError as error:
        print(f"warning: the file system of {path.parent} takes no locks ({error.strerror}); a second process on "
              "another machine, or one that starts at this moment, would go unnoticed", file=sys.stderr)
        return False


def _is_at(path, descriptor):
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write(descriptor):
    holder = {"host": platform.node(), "boot": _boot(), "process": os.getpid(), "ticks": _ticks(os.getpid()),
              "job": os.environ.get(JOB, ""), "since": time.strftime("%Y-%m-%d %H:%M:%S %Z")}
    text = json.dumps(holder).encode() + b"\n"
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _read(path):
    """The holder that a lock's file names; None where it names none."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        named = {"host": str, "boot": str, "process": int, "ticks": str, "since": str}
        return holder if all(isinstance(holder[key], kind) for key, kind in named.items()) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _named(holder, path):
    if _is_elsewhere(holder):
        return (f"process {holder['process']} of {holder['host']}, since {holder['since']}, as far as can be told from "
                f"this machine, {platform.node()}: if that process has ended, remove {path}")
    return f"process {holder['process']} of this machine, since {holder['since']}"


def _is_elsewhere(holder):
    """Whether the holder ran on another machine; containers on one machine have one boot, and share its locks."""
    return holder["host"] != platform.node() and (holder["boot"] != _boot() or not _boot())


def _is_replaced(holder):
    """Whether an engine has started this process in place of the holder."""
    return bool(os.environ.get(JOB)) and holder.get("job") == os.environ[JOB] and holder["process"] != os.getpid()


def _is_alive(holder):
    """Whether the process is there, and no later one that was given its number."""
    return (holder["boot"] == _boot()) and holder["ticks"] == _ticks(holder["process"])


def _boot():
    """What names this start of this machine; "" where the system does not tell."""
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _ticks(process):
    """When a process started, in ticks; "" where the system does not tell, None where there is no such process."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""
