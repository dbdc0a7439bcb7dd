"""Training on several devices: one of these is `Experiment.strategy`. The batch is that of one device, shared out."""

import contextlib
import functools
import json
import os
import pathlib
import re
import time
from typing import NamedTuple

import gin
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, whole_number

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


class WorkerLost(GlimpseError):
    """Another worker has gone. Programs end with the status EX_TEMPFAIL of sysexits.h: started again, they go on."""

    status = 75


class Task(NamedTuple):
    """What TF_CONFIG says that this process is."""

    type: str  # "chief" or "worker"
    index: int
    is_chief: bool  # who writes
    workers: int  # how many there are, the chief included


@gin.register("mirrored")
def mirrored(replicas=None):
    """All GPUs of this machine, each with a copy of the weights; or so many parts of its CPU.

    Args:
        replicas: how many; all GPUs unless given. Without a GPU the CPU is cut into so many, which gains nothing but
            a trial.
    """
    gpus = tf.config.list_physical_devices("GPU")
    replicas = len(gpus) if replicas is None else whole_number("mirrored.replicas", replicas)
    if not replicas:
        raise GlimpseError("mirrored: this machine has no GPU; set mirrored.replicas to try it on its CPU, or "
                           "Experiment.strategy = None")
    if gpus and replicas > len(gpus):
        raise GlimpseError(f"mirrored.replicas must be at most {len(gpus)}, the GPUs of this machine, got {replicas}")
    if not gpus:
        _cut_cpu(replicas)
    return _of_devices(tuple(f"{'GPU' if gpus else 'CPU'}:{place}" for place in range(replicas)))


@functools.lru_cache  # the sums of two strategies in one process would be taken for each other's
def _of_devices(devices):
    return tf.distribute.MirroredStrategy(devices)


def _cut_cpu(replicas):
    try:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * replicas)
    except RuntimeError as error:  # TensorFlow runs already
        if len(tf.config.list_logical_devices("CPU")) < replicas:
            raise GlimpseError(f"mirrored.replicas={replicas}: TensorFlow runs already, with fewer devices of the CPU; "
                               "start this training in a process of its own") from error


@gin.register("multi_worker")
def multi_worker():
    """All GPUs, or the CPU, of all processes that TF_CONFIG lists, as TensorFlow documents it.

    The same command runs in each, with a `task.index` of its own; --workdir is one directory that all of them see.
    """
    task_of_this_process()
    return tf.distribute.MultiWorkerMirroredStrategy()


def task_of_this_process():
    """The Task of TF_CONFIG. Raises GlimpseError where that is not there, or not as TensorFlow documents it."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise GlimpseError(f"multi_worker needs the environment variable TF_CONFIG, such as {EXAMPLE}")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], task["index"]
        addresses = [address for each in ("chief", "worker") for address in cluster.get(each, [])]
        wrong = next((address for address in addresses if not re.fullmatch(r".+:\d{1,5}", address)), None)
    except ValueError as error:
        raise GlimpseError(f"TF_CONFIG is no JSON ({error}), got {text[:100]!r}; write {EXAMPLE}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise GlimpseError(f"TF_CONFIG needs cluster, task.type and task.index, lists of addresses among them, got "
                           f"{text[:100]!r}; write {EXAMPLE}") from error
    if wrong is not None or len(set(addresses)) < len(addresses):
        raise GlimpseError(f"TF_CONFIG: the addresses must be host:port, each once, got {wrong or addresses!r}")
    if kind not in ("chief", "worker") or len(cluster.get("chief", [])) > 1 or set(cluster) - {"chief", "worker"}:
        raise GlimpseError(f"TF_CONFIG may hold one chief and workers, got a task of type {kind!r} and a cluster of "
                           f"{', '.join(sorted(cluster))}")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(cluster.get(kind, [])):
        raise GlimpseError(f"TF_CONFIG: task.index must be below {len(cluster.get(kind, []))}, the number of its "
                           f"{kind} addresses, got {index!r}")
    return Task(kind, index, kind == "chief" or (index == 0 and not cluster.get("chief")), len(addresses))


def checked(strategy):
    """The value of Experiment.strategy, TensorFlow's default one for None. Raises GlimpseError for anything else."""
    if strategy is None:
        return tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.Strategy):
        raise GlimpseError(f"Experiment.strategy must be None, @mirrored() or @multi_worker(), got {strategy!r}")
    return strategy


def check_parts(strategy, batch_size, accumulation):
    """Raises GlimpseError where a batch cannot be cut into as many equal parts as replicas and Trainer ask for."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % (replicas * accumulation):
        what = [f"the {replicas} replicas of Experiment.strategy"] * (replicas > 1) + [
            f"Trainer.accumulation={accumulation}"] * (accumulation > 1)
        raise GlimpseError(f"Experiment.batch_size must be a multiple of {' times '.join(what)}, got {batch_size} "
                           "images")


def workers(strategy):
    """How many processes share the training."""
    return task_of_this_process().workers if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) else 1


def is_chief(strategy):
    """Whether this process is the one that writes."""
    return workers(strategy) == 1 or task_of_this_process().is_chief


def shared_out(strategy, batches, batch_size):
    """What `fit` takes: each replica gets its images of each batch, in their order.

    Args:
        strategy: of the training.
        batches: called with rows=, a range of the images of a batch; gives a tf.data.Dataset.
        batch_size: images to a step.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batches()
    images = batch_size // replicas

    def of_process(context):
        here = replicas // context.num_input_pipelines
        first = here * context.input_pipeline_id
        whole = batches(rows=range(first * images, (first + here) * images))

        def by_replica(batch):
            return {name: tf.reshape(part, tf.concat([[here, images], tf.shape(part)[1:]], axis=0))
                    for name, part in batch.items()}

        def shaped(part):
            return {name: tf.ensure_shape(part[name], [images, *spec.shape[1:]])
                    for name, spec in whole.element_spec.items()}

        return whole.map(by_replica).unbatch().map(shaped).prefetch(2 * here)

    return strategy.distribute_datasets_from_function(of_process)


def total(strategy, value):
    """The sum of a number over the processes, each of which calls this."""
    if workers(strategy) == 1:
        return value
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(value if context.replica_id_in_sync_group % (
            strategy.num_replicas_in_sync // workers(strategy)) == 0 else 0, tf.float32))
    return int(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))


def meet(strategy, workdir, seconds=15):
    """Returns once every process is here and sees what the chief has written to the directory of the run.

    Raises:
        GlimpseError: in each of them, where one does not see a file that the chief has just made there.
    """
    if workers(strategy) == 1:
        return
    number = total(strategy, int(np.random.default_rng().integers(2**23)) if is_chief(strategy) else 0)
    token = pathlib.Path(workdir) / f".shared.{number}.0.tmp"
    if is_chief(strategy):
        token.touch()
    end = time.monotonic() + seconds
    while not token.exists() and time.monotonic() < end:  # network file systems tell late of new files
        time.sleep(0.2)
    seen = total(strategy, int(token.exists()))
    if is_chief(strategy):
        token.unlink()
    if seen < workers(strategy):
        raise GlimpseError(f"--workdir={workdir} is not one directory that all {workers(strategy)} workers share: "
                           f"{seen} of them see what the chief writes there; name one on a file system that they share")


@contextlib.contextmanager
def loss_of_worker(strategy):
    """An error of TensorFlow inside the `with` that tells of another process that has ended is a WorkerLost."""
    try:
        yield
    except tf.errors.OpError as error:
        if workers(strategy) == 1 or not isinstance(error, (
                tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
                tf.errors.DeadlineExceededError, tf.errors.InternalError)):
            raise
        raise WorkerLost(f"another worker of TF_CONFIG is lost ({type(error).__name__}); start the same command in all "
                         "of them again, and the training goes on from its last checkpoint") from error
