"""How long a training step waits for its batch, and what is done around it.

The pipeline alone, the step alone, the step fed by the pipeline, and the step of a training: with Keras's `fit`, the
log and the checkpoints.

A step that does not wait may still take longer than alone, as it shares the cores with the making of the next batches.
Of any experiment, given by --gin_file and --gin_param. Caches (proposals, feature maps) are filled before anything is
timed.
"""

import functools
import statistics
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from experiments.launch import add_configuration_flags
from glimpse import config
from glimpse.training.environment import environment, peak_memory_mib
from glimpse.training.experiment import Experiment

WARM_UP = 3


def add_flags(parser):
    add_configuration_flags(parser)


def run(options):
    """Means over `options.runs` steps; a dictionary of plain numbers and strings."""
    steps = WARM_UP + options.runs
    with config.configuration(options.gin_file, [*options.gin_param]):
        experiment = Experiment()
        experiment.train_steps = steps
        update = tf.function(experiment.trainer.train_step)
        for batch in experiment.batches(0):  # fills the caches, and traces the step for every shape that comes
            update(batch)

        waits = []

        def fed():
            batches = iter(experiment.batches(0))
            for _ in range(steps):
                asked = time.perf_counter()
                batch = next(batches)
                waits.append(1000 * (time.perf_counter() - asked))
                update(batch)["loss"].numpy()
                yield

        def alone():
            for _ in range(steps):
                update(batch)["loss"].numpy()
                yield

        timed = {"pipeline alone": _mean(iter(experiment.batches(0))), "step alone": _mean(alone()),
                 "step fed by the pipeline": _mean(fed())}
        with tempfile.TemporaryDirectory() as workdir:
            timed["step of a training"] = _of_training(experiment, workdir)
    return {**environment(), "steps": options.runs, "timed": timed, "waits_ms": statistics.fmean(waits[WARM_UP:]),
            "peak_memory_mib": peak_memory_mib(), "experiment": " ".join([options.gin_file, *options.gin_param])}


def _of_training(experiment, workdir):
    """Milliseconds a step of the whole training, and cores that it holds busy, without the first `WARM_UP`."""
    ends = []

    class Times(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ends.append((time.perf_counter(), time.process_time()))

    experiment.trainer.fit = functools.partial(_with_callback, experiment.trainer.fit, Times())
    experiment.train(workdir)
    wall, busy = np.subtract(ends[-1], ends[WARM_UP - 1])
    return {"ms": float(1000 * wall / (len(ends) - WARM_UP)), "cores": float(busy / wall)}


def _with_callback(fit, callback, batches, callbacks, **settings):
    return fit(batches, callbacks=[*callbacks, callback], **settings)


def table(result):
    """The result as text."""
    timed = result["timed"]
    lines = [f"{'':28}{'ms a step':>10}{'cores busy':>12}"]
    lines += [f"{name:28}{each['ms']:10.1f}{each['cores']:12.2f}" for name, each in timed.items()]
    lines += [f"a step waits {result['waits_ms']:.1f} ms for its batch; "
              f"peak memory {result['peak_memory_mib'] or 'unknown'} MiB"]
    return "\n".join(lines)


def ratios(result):
    """Times of a step over that of the step alone; and the label of their axis."""
    timed = result["timed"]
    alone = timed["step alone"]["ms"]
    return {result["experiment"]: {name: each["ms"] / alone for name, each in timed.items()}}, \
        "time of a step over that of the step alone"


def _mean(steps):
    """Milliseconds a step, and cores that it holds busy, without the first `WARM_UP`."""
    for _ in range(WARM_UP):
        next(steps)
    wall, busy = time.perf_counter(), time.process_time()
    count = sum(1 for _ in steps)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    return {"ms": 1000 * wall / count, "cores": busy / wall}
