"""The checkpoints of a run: each a directory that stands whole or not at all, proved by a manifest of its files."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
from typing import NamedTuple

import numpy as np

from glimpse.errors import GlimpseError
from glimpse.files import discard, read_text, remove_leftovers, sync, temporary_name, write_json

MANIFEST, VARIABLES, LOG_WINDOW = "manifest.json", "variables", "log_window.npz"


class Restored(NamedTuple):
    """What was loaded.

    step: of the checkpoint, 0 where there was none. log_window: {name: array}, as `save` was given it. damaged: steps
    of later checkpoints that are not as they were written.
    """

    step: int
    log_window: dict
    damaged: list


def save(directory, checkpoint, step, keep, log_window=None, best=None, planned=lambda step: True):
    """Writes a checkpoint, and removes those that are not to be kept.

    All is written into a directory with a temporary name, the manifest last. Its renaming is the one moment from which
    the checkpoint counts.

    Args:
        directory: of the run's checkpoints.
        checkpoint: tf.train.Checkpoint.
        step: number of updates so far.
        keep: how many checkpoints to keep.
        log_window: {name: array}, the means since the last line of the log, where it does not end at this step.
        best: a step whose checkpoint stays too; None where none is to.
        planned: (step) -> whether an unbroken run writes a checkpoint there. One that a stop has caused drives out none
            of those, and goes when the next one stands: so a run ends with the checkpoints of an unbroken one.
    """
    path = pathlib.Path(directory) / f"ckpt-{step}"
    temporary = temporary_name(path)
    temporary.mkdir(parents=True)
    try:
        checkpoint.write(str(temporary / VARIABLES))
        if log_window:
            np.savez(temporary / LOG_WINDOW, **log_window)
        for each in temporary.iterdir():
            sync(each)
        write_json(temporary / MANIFEST, {each.name: _sha256(each) for each in sorted(temporary.iterdir())})
        os.rename(temporary, path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    there = steps(directory)
    kept = {step, best, *sorted(filter(planned, there))[-keep:]}
    for other in there.keys() - kept:
        for each in there[other]:
            discard(each)


def steps(directory):
    """The checkpoints in a directory: {step: its paths}, more than one for those of glimpse 0.1.

    There a checkpoint was what tf.train.CheckpointManager writes: ckpt-N.index and ckpt-N.data-*, with no manifest.
    """
    found = {}
    directory = pathlib.Path(directory)
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        name = re.fullmatch(r"ckpt-(\d+)(\.index|\.data-\d+-of-\d+)?", path.name)
        if name:
            found.setdefault(int(name[1]), []).append(path)
    return found


def latest(directory):
    """The path of the last checkpoint, up to the suffixes of its files; None where there is none."""
    there = steps(directory)
    return pathlib.Path(directory) / f"ckpt-{max(there)}" if there else None


def restore(directory, checkpoint):
    """Loads the last checkpoint that is as it was written, and says so in one line where that is not the last one.

    Args:
        directory: of the run's checkpoints; nothing in it is changed.
        checkpoint: tf.train.Checkpoint of what is loaded, with all its variables made.

    Returns:
        Restored.

    Raises:
        GlimpseError: where checkpoints are there but none can be loaded: a run never starts again from 0 beside them.
    """
    there, faults = steps(directory), {}
    for step in sorted(there, reverse=True):
        faults[step] = _load(pathlib.Path(directory) / f"ckpt-{step}", checkpoint)
        if not faults[step]:
            break
    else:
        if there != steps(directory):  # a training that goes on meanwhile has written others
            return restore(directory, checkpoint)
        if there:
            raise GlimpseError(f"no checkpoint in {directory} can be loaded ({_listed(faults)}); restore the files "
                               "from a copy, or train again with --overwrite")
        return Restored(0, {}, [])
    del faults[step]
    if faults:
        print(f"warning: {directory}: {_listed(faults)}; ckpt-{step} is used instead", file=sys.stderr)
    window = pathlib.Path(directory) / f"ckpt-{step}" / LOG_WINDOW
    if not window.is_file():
        return Restored(step, {}, list(faults))
    with np.load(window, allow_pickle=False) as arrays:
        return Restored(step, dict(arrays), list(faults))


def restore_step(directory, checkpoint, step):
    """Loads the checkpoint of one step, and no other. Raises: GlimpseError where it is not as it was written."""
    path = pathlib.Path(directory) / f"ckpt-{step}"
    fault = _load(path, checkpoint)
    if fault:
        raise GlimpseError(f"{path} cannot be loaded ({fault}); restore the files from a copy, or train again with "
                           "--overwrite")


def _load(path, checkpoint):
    """What is wrong with the files of a checkpoint, as a text; None where it was loaded."""
    proved = path.is_dir()
    if proved and (fault := _fault(path)):
        return fault
    try:
        checkpoint.restore(str(path / VARIABLES if proved else path)).assert_consumed()
    except Exception as error:  # TensorFlow has many for damage
        text = (str(error).splitlines() or [type(error).__name__])[0]
        if proved:
            raise GlimpseError(f"{path} does not fit the configuration beside it ({text})") from error
        return f"does not fit the configuration beside it or is damaged: {text}"
    return None


def _fault(path):
    """What is wrong with the files of a checkpoint by its manifest; None where they are as they were written."""
    try:
        pipes = [each.name for each in path.iterdir() if not each.is_file()]  # to read one would never end
        if pipes:
            return f"{pipes[0]} is no regular file"
        manifest = json.loads(read_text(path / MANIFEST))
        if not isinstance(manifest, dict) or not {f"{VARIABLES}.index"} <= manifest.keys():
            return f"{MANIFEST} is damaged"
        names = {each.name for each in path.iterdir()} - {MANIFEST}
        for name in sorted(names | manifest.keys()):
            if name not in names:
                return f"{name} is not there"
            if manifest.get(name) != _sha256(path / name):
                return f"{name} is not as it was written"
    except FileNotFoundError as error:
        return f"{pathlib.Path(error.filename).name} is not there"
    except (OSError, ValueError, RecursionError) as error:
        return f"{MANIFEST} is damaged ({error})" if isinstance(error, ValueError) else str(error)
    return None


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(faults):
    return "; ".join(f"ckpt-{step}: {fault}" for step, fault in faults.items())


def tidy(directory, damaged):
    """Puts damaged checkpoints aside, and removes what killed processes have left; for the one that holds the lock.

    Args:
        directory: of the run's checkpoints.
        damaged: steps, of Restored.
    """
    there = steps(directory)
    for path in [path for step in damaged for path in there[step]]:
        aside = path.with_name(f"damaged-{path.name}")
        if aside.exists():
            discard(aside)
        os.replace(path, aside)
    remove_leftovers(directory)
    for path in list(pathlib.Path(directory).glob("ckpt-*_temp*")):  # of glimpse 0.1
        discard(path)
