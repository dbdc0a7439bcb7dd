"""A run is a directory: what it was told, what it logged, its checkpoints, what came out."""

import json
import os
import pathlib
import platform
import shutil
import subprocess
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from glimpse import config, gin_files
from glimpse.errors import GlimpseError
from glimpse.files import read_text, write_json, write_whole

CONFIG, OPERATIVE_CONFIG, DATA = "config.gin", "operative_config.gin", "data.json"
METRICS, RESULTS, CHECKPOINTS = "metrics.jsonl", "results.json", "checkpoints"


# Of these a training knows nothing; nor of the entries "validation" and "test" of what describes the data.
EVALUATION_ONLY = ("Experiment.evaluation_splits", "Experiment.evaluation_batch_size", "Experiment.coco_ap")


def prepare(workdir, text, overwrite=False, splits=()):
    """Makes `workdir` ready for a run of the configuration `text`; a run of the same training in it goes on.

    A configuration that differs in what is evaluated alone is the same training: its config.gin stays until that is
    evaluated. One of more steps goes on where no schedule that is in use depends on their number: the results so far
    are kept as results_STEPS.json.

    Args:
        workdir: directory, that need not be there.
        text: as `glimpse.config.configuration` yields it, and in force where another is to be compared with it.
        overwrite: replace the run that stands there.
        splits: names of what is to be evaluated; a run whose results tell of all of them is finished.

    Returns:
        workdir as a Path.

    Raises:
        GlimpseError: where something else stands there already; nothing is touched then.
    """
    workdir = pathlib.Path(workdir)
    if workdir.exists() and not workdir.is_dir():
        raise GlimpseError(f"--workdir={workdir} is a file; name a directory")
    if workdir.exists() and any(workdir.iterdir()):
        if not (workdir / CONFIG).is_file():
            raise GlimpseError(f"--workdir={workdir} is not empty and holds no run; name another directory")
        if overwrite:
            shutil.rmtree(workdir)
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


def read_config(workdir):
    """The text of a run's configuration."""
    try:
        return read_text(pathlib.Path(workdir) / CONFIG)
    except (OSError, UnicodeDecodeError) as error:
        raise GlimpseError(f"{workdir}/{CONFIG} cannot be read ({error}); name another directory") from error


def read_results(workdir):
    """The results of a run; {} where there are none yet. Raises: GlimpseError where they cannot be read."""
    path = pathlib.Path(workdir) / RESULTS
    if not path.is_file():
        return {}
    try:
        results = json.loads(read_text(path))
        parts = ("metrics", "policy", "proposal_recall", "seconds")
        if not all(isinstance(results.get(part, {}), dict) for part in parts):
            raise ValueError("it has another shape")
        return results
    except (OSError, ValueError, AttributeError) as error:
        raise GlimpseError(
            f"{path} cannot be read ({error}); remove it, and experiments.evaluate writes it again") from None


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


class TrainedOn(NamedTuple):
    """What a run keeps of its training data, so that the network can be used where they are not.

    class_names: K names. category_ids: COCO's ids of the classes; 1, 2, ... where the data set has none. image_shape:
    (H, W, channels) of its first image. canvas: (height, width) that was chosen for its images, () where none was.
    """

    class_names: tuple
    category_ids: tuple
    image_shape: tuple
    canvas: tuple = ()


def trained_on(data):
    """The TrainedOn of a data set."""
    ids = getattr(data, "category_ids", range(1, len(data.class_names) + 1))
    return TrainedOn(tuple(data.class_names), tuple(ids), tuple(data[0].image.shape))


def write_trained_on(workdir, value):
    """Writes the TrainedOn of a run."""
    write_json(pathlib.Path(workdir) / DATA, value._asdict())


def read_trained_on(workdir):
    """The TrainedOn of a run. Raises: GlimpseError where its file is missing or damaged."""
    path = pathlib.Path(workdir) / DATA
    try:
        value = TrainedOn(**{name: tuple(values) for name, values in json.loads(read_text(path)).items()})
        sound = (value.class_names and all(isinstance(name, str) for name in value.class_names)
                 and len(value.category_ids) == len(value.class_names) and len(value.image_shape) == 3
                 and len(value.canvas) in (0, 2)
                 and all(isinstance(side, int) and side > 0 for side in (*value.image_shape, *value.canvas)))
        if not sound:
            raise ValueError("it has another shape")
        return value
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); train the run again, with --overwrite") from error


def read_metrics(workdir):
    """The logged steps of a run: a list of dicts; a last line that was cut short is left out."""
    path = pathlib.Path(workdir) / METRICS
    lines = read_text(path).split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def log_by_columns(workdir):
    """The log of a run by columns, {"step": [25, ...], "class_loss": [2.13, ...]}, to six significant digits.

    Of the diagnostics of single glimpses, whose names hold a slash, `last_diagnostics` tells.
    """
    lines = read_metrics(workdir)
    return {name: [line[name] if name == "step" else float(f"{line[name]:.6g}") for line in lines]
            for name in (lines[0] if lines else {}) if "/" not in name}


def last_diagnostics(workdir):
    """Statistics of episodes in the last line of the log (`glimpse.training.diagnostics`): {"glimpse_2/gain": 0.21}."""
    last = (read_metrics(workdir) or [{}])[-1]
    return {name: float(f"{value:.6g}") for name, value in last.items() if "/" in name}


def environment():
    """What a result depends on besides its configuration: versions and machine."""
    return {
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__,
                     "numpy": np.__version__},
        "code": _code(),
        "machine": {"processor": _processor(), "cores": cores(),
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


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class Recorder(keras.callbacks.Callback):
    """Logs and saves a run under `fit`, and stops it at the first loss or gradient that is no finite number.

    Every `log_every` steps the means since the last line become a line of metrics.jsonl; every `save_every` steps, a
    multiple of that, the checkpoint is written. Since windows of the means end where checkpoints do, a resumed run
    writes the lines that the unbroken one would have written.
    """

    def __init__(self, workdir, manager, first_step, last_step, log_every, save_every):
        super().__init__()
        self.workdir, self.manager = workdir, manager
        self.first_step, self.last_step, self.log_every, self.save_every = first_step, last_step, log_every, save_every
        kept = [line for line in read_metrics(workdir) if line["step"] <= first_step]
        write_whole(workdir / METRICS, "".join(json.dumps(line) + "\n" for line in kept))

    def on_train_batch_begin(self, batch, logs=None):
        self.step = self.first_step + batch + 1

    def on_train_batch_end(self, batch, logs=None):
        step = self.step
        for name in ("loss", "gradient_norm"):
            if not np.isfinite(logs[name]):
                raise self.stop(name, logs[name])
        if step % self.log_every == 0 or step == self.last_step:
            with open(self.workdir / METRICS, "a", encoding="utf-8") as log:
                diagnostics = {name: metric.result() for name, metric in self.model.diagnostics.items()}
                line = {name: float(value) for name, value in {**logs, **diagnostics}.items()}
                log.write(json.dumps({"step": step, **line}) + "\n")
            if step < self.last_step:  # the progress bar still shows the last ones
                self.model.reset_metrics()
        if step % self.save_every == 0 or step == self.last_step:
            self.manager.save(checkpoint_number=step)

    def stop(self, what, value):
        """The error that ends a run in which `what` has become `value`."""
        kept = self.manager.latest_checkpoint or "none was written yet"
        return GlimpseError(f"{what} is {value} at step {self.step} of {self.last_step}; the run stops. "
                            f"Last good checkpoint: {kept}. A lower learning rate is the usual cure")
