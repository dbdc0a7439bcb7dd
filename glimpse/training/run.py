"""A run is a directory: what it was told, what it logged, its checkpoints, what came out."""

import os
import pathlib

from glimpse import config, gin_files, system_faults
from glimpse.errors import GlimpseError
from glimpse.files import discard, is_leftover, read_text, remove_leftovers, write_whole
from glimpse.training.lock import LOCK
from glimpse.training.results_file import RESULTS, read_results_file

CONFIG, OPERATIVE_CONFIG, CHECKPOINTS = "config.gin", "operative_config.gin", "checkpoints"
WEIGHTS = "weights.safetensors"  # in place of the checkpoints of a run that was exported

EVALUATED = ("validation", "test")  # the splits, unless Experiment.evaluation_splits names others
# Of these a training knows nothing; nor of the entries "validation" and "test" of what describes the data.
EVALUATION_ONLY = ("Experiment.evaluation_splits", "Experiment.evaluation_batch_size", "Experiment.coco_ap",
                   "Experiment.stop_at_background")


def prepare(workdir, text, overwrite=False, splits=()):
    """Makes `workdir` ready for a run of the configuration `text`; a run of the same training in it goes on.

    A configuration that differs in what is evaluated alone is the same training: its config.gin stays until that is
    evaluated. One of more steps goes on where no schedule that is in use depends on their number: the results so far
    are kept as results_STEPS.json.

    Whoever calls this holds the lock on the directory (`glimpse.training.lock`).

    Args:
        workdir: directory, that need not be there.
        text: as `glimpse.config.configuration` yields it, and in force where another is to be compared with it.
        overwrite: replace the run that stands there.
        splits: names of what is to be evaluated; a run whose results tell of all of them is finished.

    Returns:
        workdir as a Path.

    Raises:
        GlimpseError: where something else stands there already; it is not touched.
    """
    workdir = pathlib.Path(workdir)
    refuse_foreign(workdir)
    remove_leftovers(workdir)
    if (workdir / CONFIG).is_file():
        if overwrite:
            for path in workdir.iterdir():
                if path.name not in (CONFIG, LOCK):  # they tell that this is a run, should this process be killed
                    discard(path)
        elif (workdir / WEIGHTS).is_file():
            raise GlimpseError(f"--workdir={workdir} holds an exported run, whose weights no training goes on from; "
                               "name another directory, or give --overwrite to replace it")
        elif not same_training(read_config(workdir), text):
            _go_on(workdir, read_config(workdir), text)
        elif read_config(workdir) != text:
            return workdir
        elif (workdir / RESULTS).is_file() and set(splits) <= set(read_results(workdir).get("metrics", {})):
            raise GlimpseError(f"--workdir={workdir} holds a finished run; "
                               "name another directory, or give --overwrite to replace it")
    workdir.mkdir(parents=True, exist_ok=True)
    write_whole(workdir / CONFIG, text)
    return workdir


def refuse_foreign(workdir):
    """Raises GlimpseError for a file, and for a directory in which something else than a run stands."""
    workdir = pathlib.Path(workdir)
    system_faults.check_name(workdir)
    if workdir.exists() and not workdir.is_dir():
        raise GlimpseError(f"--workdir={workdir} is a file; name a directory")
    # A process that was killed before it could write config.gin has left these at most.
    if workdir.exists() and not (workdir / CONFIG).is_file() and not all(
            path.name == LOCK or is_leftover(path.name) for path in workdir.iterdir()):
        raise GlimpseError(f"--workdir={workdir} is not empty and holds no run; name another directory")


def read_config(workdir):
    """The text of a run's configuration."""
    try:
        text = read_text(pathlib.Path(workdir) / CONFIG)
        gin_files.settings(text)
        return text
    except (OSError, UnicodeDecodeError, GlimpseError) as error:
        raise GlimpseError(f"{workdir}/{CONFIG} cannot be read ({error}); name another directory") from error


def read_results(workdir):
    """The results of a run; {} where there are none yet. Raises: GlimpseError where they cannot be read."""
    path = pathlib.Path(workdir) / RESULTS
    if not path.is_file():
        return {}
    return read_results_file(path, "remove it, and experiments.evaluate writes it again")


def same_training(text, other):
    """Whether two configurations, as texts, train the same network in the same way."""
    return text == other or not _differences(text, other)


def _differences(text, other):
    """The names of the bindings that make two configurations two trainings."""
    def of_training(settings):
        return {name: {split: each for split, each in value.items() if split not in ("validation", "test")}
                if isinstance(value, dict) else value
                for name, value in settings.items() if name not in EVALUATION_ONLY}

    one, two = of_training(gin_files.settings(text)), of_training(gin_files.settings(other))
    differ = {name for name in {*one, *two} if name not in one or name not in two or repr(one[name]) != repr(two[name])}
    imported = set(gin_files.imports(text)) ^ set(gin_files.imports(other))
    return sorted(differ | {f"import {name}" for name in imported if name.split(".")[0] != "glimpse"})


def _go_on(workdir, text, longer):
    """Puts the results of the shorter run aside where that of `longer` goes on with its training; else GlimpseError."""
    steps = "Experiment.train_steps"
    differ = _differences(text, longer)
    before, after = (gin_files.settings(each).get(steps) for each in (text, longer))
    others = [name for name in differ if name != steps and config.is_used(name)]
    if steps not in differ or not isinstance(before, int) or not isinstance(after, int):
        raise GlimpseError(f"--workdir={workdir} holds a run of another configuration ({_listed(differ)}); "
                           "name another directory, or give --overwrite to replace it")
    if others or after < before:
        why = (f"which {_listed(others)} depends on" if others else "which it has gone beyond")
        raise GlimpseError(f"--workdir={workdir} holds a run of another configuration: of {before} steps, {why}, so "
                           f"that it cannot go on to {after}; name another directory, or give --overwrite to "
                           "replace it")
    if (workdir / RESULTS).is_file():
        os.replace(workdir / RESULTS, workdir / f"{pathlib.Path(RESULTS).stem}_{before}.json")


def _listed(names):
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
