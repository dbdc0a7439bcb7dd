"""The plan of a study: its axes -> its runs, and which of them are still to be done."""

import itertools
import sys

import gin

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training import run


@gin.configurable
def study(experiment=gin.REQUIRED, grids=gin.REQUIRED, bindings=None):
    """The runs of a study.

    Args:
      experiment: gin file of the experiment that every run is a variation of.
      grids: a list of dicts, macro -> list of values; each dict stands for all combinations of its values, the study
        for all of its dicts. A value that begins with @ is a reference, such as "@fixed()".
      bindings: macros that are the same for all runs, {"TRAIN_STEPS": 500}.
    Returns: {name of the run, such as "NUM_GLIMPSES=3,POLICY=fixed,SEED=0": (experiment, list of gin bindings)}.
    """
    if not isinstance(grids, (list, tuple)) or not all(isinstance(grid, dict) for grid in grids) or not grids:
        raise GlimpseError(f"study.grids must be a list of dicts, macro -> list of values, got {grids!r}")
    runs = {}
    for grid in grids:
        for axis, values in grid.items():
            if not isinstance(values, (list, tuple)) or not values:
                raise GlimpseError(f"study.grids: {axis} must be a list of values, got {values!r}")
        for values in itertools.product(*grid.values()):
            axes = dict(zip(grid, values))
            name = ",".join(f"{axis}={_in_a_name(value)}" for axis, value in axes.items())
            runs[name] = (experiment, [f"{key}={_in_gin(value)}" for key, value in ((bindings or {}) | axes).items()])
    return runs


def _in_gin(value):
    return value if isinstance(value, str) and value[:1] in "@%" else repr(value)


def _in_a_name(value):
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return str(value).strip("@()").replace("/", "-")


def plan(workdir, runs):
    """Which runs are still to be done, and their numbers of steps; parses each configuration, so faults show first.

    Returns: ({name: command line}, {name: steps}).
    """
    waiting, steps = {}, {}
    for name, (experiment, bindings) in runs.items():
        with config.configuration(experiment, bindings) as text:
            steps[name] = config.macros().get("TRAIN_STEPS", 0)
        directory = workdir / name
        if (directory / run.CONFIG).is_file() and (directory / run.CONFIG).read_text() != text:
            raise GlimpseError(f"{directory} holds a run of another configuration; name another --workdir, "
                               "or remove that directory")
        if not (directory / run.RESULTS).is_file():
            waiting[name] = [sys.executable, "-m", "experiments.train", f"--gin_file={experiment}",
                             *(f"--gin_param={binding}" for binding in bindings), f"--workdir={directory}"]
    return waiting, {name: steps[name] for name in waiting}
