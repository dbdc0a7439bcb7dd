"""What a result depends on besides its configuration: versions, code and machine."""

import os
import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf


def environment():
    """What a result depends on besides its configuration, as results.json keeps it."""
    return {
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__,
                     "numpy": np.__version__},
        "code": _code(),
        "machine": {"processor": processor(), "cores": cores(),
                    "accelerators": [d.name for d in tf.config.list_physical_devices("GPU")]},
    }


def _code():
    """The git commit of this code and whether its files were as committed; None where it is no checkout."""
    root = pathlib.Path(__file__).resolve().parents[2]

    def git(*arguments):
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True,
                              check=True).stdout.strip()

    try:
        if pathlib.Path(git("rev-parse", "--show-toplevel")) != root:
            return None  # installed into a directory of another repository
        return {"commit": git("rev-parse", "HEAD"), "clean": not git("status", "--porcelain", "--untracked-files=no")}
    except (OSError, subprocess.CalledProcessError):
        return None


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def peak_memory_mib():
    """The most memory that this process has held so far, in MiB; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, KiB on Linux
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def processor():
    """The name of the processor; on Linux with its family and model, for "AMD EPYC" names several that round apart."""
    try:
        return processor_of(pathlib.Path("/proc/cpuinfo").read_text())
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def processor_of(cpuinfo):
    """The same from the text of /proc/cpuinfo; raises KeyError where it names none, as on ARM."""
    first = cpuinfo.strip().split("\n\n")[0]
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    generation = [f"{name.removeprefix('cpu ')} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    return fields["model name"] + f" ({', '.join(generation)})" * bool(generation)
