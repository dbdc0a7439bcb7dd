"""Contenders timed in turn: wall and CPU time of each, in processes that use a given number of threads."""
import multiprocessing
import os
import platform
import time

# Before TensorFlow: imported after it, torchvision ends the process, as both bring an LLVM of their own.
try:
    import torch
    import torchvision
except ImportError:
    torch = torchvision = None
import numpy as np
import tensorflow as tf

from glimpse.training.environment import cores, processor

TORCH = "pip install torch==2.14.1 torchvision==0.29.1"
SLOW_SECONDS = 20.0   # what takes longer is run only once
WARM_SECONDS = 0.5    # what takes less is run once, untimed, before every timed run: see `interleaved`
MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def use_threads(count):
    """Holds TensorFlow and torch to so many threads, before either has computed anything."""
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)
    if torch:
        torch.set_num_threads(count)


def interleaved(functions, runs):
    """Of every function (wall, CPU) seconds of its runs, [runs, 2]; one run, the first, of those that are very slow."""
    first = {name: _seconds(function) for name, function in functions.items()}
    functions = {name: function for name, function in functions.items() if first[name][0] < SLOW_SECONDS}
    first |= {name: _seconds(function) for name, function in functions.items()}   # without its compilation
    times = {name: [] if name in functions else [seconds] for name, seconds in first.items()}
    for _ in range(runs):
        for name, function in functions.items():
            # So that it finds caches and allocator as it left them itself, as in a loop, and not as its rival did.
            if first[name][0] < WARM_SECONDS:
                function()
            times[name].append(_seconds(function))
    return {name: np.array(turns) for name, turns in times.items()}


def _seconds(function):
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def medians(turns, ours):
    """Medians of the turns [runs, 2] of a contender, and of their ratios to those of ours."""
    wall, cpu = 1000 * np.median(turns, axis=0)
    over_wall, over_cpu = np.median(turns / ours[:len(turns)], axis=0)
    return {"wall_ms": float(wall), "cpu_ms": float(cpu), "over_ours_wall": float(over_wall),
            "over_ours_cpu": float(over_cpu), "runs": len(turns)}


def in_new_process(function, *arguments, settings={}):
    """Runs it where nothing ran before, with these environment variables."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(function, arguments)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def versions():
    """Of what is timed."""
    known = {"Python": platform.python_version(), "TensorFlow": tf.__version__, "NumPy": np.__version__}
    return known | ({"torch": torch.__version__, "torchvision": torchvision.__version__} if torch else {})


def machine():
    """What it is timed on, and how busy that is."""
    allocator = {name: os.environ[name] for name in MALLOC if name in os.environ}
    return {
        "processor": processor(),
        "cores": cores(),
        "load_before": os.getloadavg()[0],
        "allocator": ", ".join(f"{name}={value}" for name, value in allocator.items()) or "as glibc has it",
    }


def heading(machine, versions):
    """Both as a line."""
    return (f"{machine['processor']}, {machine['cores']} cores, "
            f"load {machine['load_before']:.1f} to {machine['load_after']:.1f}, "
            + ", ".join(f"{name} {version}" for name, version in versions.items()))
