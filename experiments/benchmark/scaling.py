"""What more devices gain, and what a longer list costs.

workers: a training step of one process, and of two on this machine that share its batch (loopback), with one thread
each. jobs: a study of eight runs, one run at a time with two threads, and two at a time with one. steps: a step of
digits_refine.gin with Trainer.accumulation, jit_compile and Experiment.precision. costs: a step and an evaluation over
T, proposals, image side and number of images, with the exponent of a power law. Wall time wants an idle machine: the
CPU seconds of all processes stand beside it.
"""

import json
import multiprocessing
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

from experiments.benchmark.in_turn import heading, in_new_process, machine, versions

PARTS = ("workers", "jobs", "steps", "costs")
SMALL = {"DigitScenes.sizes": {"train": 64, "validation": 16, "test": 16}, "SEED": 0}
VARIANTS = {"plain": {}, "accumulation 4": {"Trainer.accumulation": 4}, "bfloat16": {
    "Experiment.precision": "mixed_bfloat16"}, "compiled": {"Trainer.jit_compile": True},
    "64 images": {"Experiment.batch_size": 64},
    "64 images, accumulation 8": {"Experiment.batch_size": 64, "Trainer.accumulation": 8}}
AXES = {
    "T": [(glimpses, {"NUM_GLIMPSES": glimpses}) for glimpses in (1, 2, 3, 5)],
    "RoIs of an image (training), stride of the windows (evaluation)": [(rois, {
        "RoISampling.rois_per_image": rois, "WindowGrid.stride": 0.45 * (32 / rois) ** 0.5}) for rois in (32, 64, 128)],
    "image side": [(side, {"DigitScenes.image_size": side}) for side in (96, 144, 192)],
    "images": [(images, {"DigitScenes.sizes": {"train": images, "validation": 16, "test": images}})
               for images in (100, 200, 400)],
}


def add_flags(parser):
    parser.add_argument("--only", choices=PARTS, action="append",
                        help="this part; may be given again; all unless given")
    parser.add_argument("--study_steps", type=int, default=300, help="of each of the eight runs (default: 300)")
    parser.set_defaults(runs=60)
    parser.epilog = "--runs: timed steps (default 60), after ten of warming up"


def run(options):
    """Times, as a dict of plain numbers: {part: {name: {"wall_ms": ..., "cpu_ms": ...}}}, seconds for the study."""
    result = {"machine": machine(), "versions": versions(), "runs": options.runs}
    for part in options.only or PARTS:
        result[part] = {"workers": _workers, "jobs": _jobs, "steps": _variants, "costs": _costs}[part](options)
    result["machine"]["load_after"] = os.getloadavg()[0]
    return result


def _workers(options):
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]
    shared = SMALL | {"NUM_GLIMPSES": 3, "Experiment.batch_size": 16}
    tasks = [json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
             for index in (0, 1)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:  # one that ended first would end the other
        both = pool.starmap(_timed, [(shared, options.runs, 1, task) for task in tasks], chunksize=1)
        pool.close()
        pool.join()  # TensorFlow catches SIGTERM in the processes of a cluster, so that terminate() might wait for ever
    return {"one process, 1 thread": in_new_process(_timed, shared, options.runs, 1),
            "one process, 2 threads": in_new_process(_timed, shared, options.runs, 2),
            "two workers, 1 thread each": both[0] | {"cpu_ms": sum(each["cpu_ms"] for each in both)}}


def _jobs(options):
    names = {"one at a time, 2 threads": 1, "two at a time, 1 thread each": 2}
    bindings = SMALL | {"TRAIN_STEPS": options.study_steps, "Experiment.evaluation_splits": ("validation",)}
    bindings.pop("SEED")
    times = {}
    for name, jobs in names.items():
        with tempfile.TemporaryDirectory() as directory:
            study = pathlib.Path(directory) / "eight.gin"
            study.write_text(f"study.experiment = 'experiments/digits_refine.gin'\nstudy.bindings = {bindings!r}\n"
                             "study.grids = [{'NUM_GLIMPSES': [1, 3], 'SEED': [0, 1, 2, 3]}]\n")
            wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "experiments.sweep", f"--gin_file={study}", f"--jobs={jobs}",
                            f"--workdir={directory}/runs", "--split=validation"], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        times[name] = {"wall_ms": 1000 * (time.perf_counter() - wall), "cpu_ms": 1000 * cpu}
    return times


def _variants(options):
    return {name: in_new_process(_timed, SMALL | {"NUM_GLIMPSES": 3} | bindings, options.runs, 1)
            for name, bindings in VARIANTS.items()}


def _costs(options):
    return {axis: {str(value): in_new_process(_timed, SMALL | {"NUM_GLIMPSES": 2} | bindings, options.runs, 1, None,
                                              True) for value, bindings in values} for axis, values in AXES.items()}


def _timed(bindings, steps, threads, task=None, evaluates=False):
    """Medians of a training step of digits_refine.gin, and of an evaluation if asked for; in a process of its own."""
    if task:
        os.environ["TF_CONFIG"] = task
        bindings = bindings | {"Experiment.strategy": "@multi_worker()"}
    from experiments.launch import start_tensorflow
    start_tensorflow()
    import keras

    from experiments.benchmark.in_turn import use_threads
    from glimpse import config
    from glimpse.training.environment import peak_memory_mib
    from glimpse.training.experiment import Experiment
    use_threads(threads)
    times, warm = [], 10

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            times.append((time.perf_counter(), time.process_time()))

    texts = [f"{name} = {value if str(value).startswith('@') else repr(value)}" for name, value in bindings.items()]
    with config.configuration("experiments/digits_refine.gin", [*texts, f"TRAIN_STEPS = {warm + steps}"]):
        experiment = Experiment()
        experiment.trainer.fit(experiment.shared_batches(0), verbose=0,
                               steps_per_epoch=warm + steps, shuffle=False, callbacks=[Clock()])
        wall, cpu = 1000 * np.median(np.diff(times[warm:], axis=0), axis=0)
        result = {"wall_ms": float(wall), "cpu_ms": float(cpu), "peak_memory_mib": peak_memory_mib()}
        if evaluates:
            experiment.evaluate("validation")  # builds the graph
            wall, cpu = time.perf_counter(), time.process_time()
            experiment.evaluate("test")
            result |= {"evaluation_wall_ms": 1000 * (time.perf_counter() - wall),
                       "evaluation_cpu_ms": 1000 * (time.process_time() - cpu)}
    return result


def exponent(values, times):
    """The b of times = a * values^b, by least squares of the logarithms."""
    return float(np.polyfit(np.log(np.asarray(values, float)), np.log(np.asarray(times, float)), 1)[0])


def table(result):
    """The result as text: a table a part, milliseconds, and ratios to its first line."""
    lines = [heading(result["machine"], result["versions"])]
    for part in ("workers", "jobs", "steps"):
        if part in result:
            first = next(iter(result[part].values()))
            lines += ["", f"{part:32}{'wall ms':>10}{'CPU ms':>10}{'wall':>7}{'CPU':>7}{'MiB':>7}"]
            lines += [f"{name:32}{each['wall_ms']:10.1f}{each['cpu_ms']:10.1f}{each['wall_ms'] / first['wall_ms']:7.2f}"
                      f"{each['cpu_ms'] / first['cpu_ms']:7.2f}{each.get('peak_memory_mib', '-'):>7}"
                      for name, each in result[part].items()]
    for axis, costs in result.get("costs", {}).items():
        lines += ["", f"{axis}: {'  '.join(costs)}"]
        for what, key in (("a step", "cpu_ms"), ("an evaluation", "evaluation_cpu_ms")):
            times = [each[key] for each in costs.values()]
            lines.append(f"  {what:14} CPU ms {'  '.join(f'{each:.0f}' for each in times)}"
                         f"   exponent {exponent([float(value) for value in costs], times):.2f}")
    return "\n".join(lines)
