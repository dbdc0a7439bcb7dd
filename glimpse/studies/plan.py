"""The plan of a study: its axes -> its runs, and which of them are still to be done."""

import itertools
import numbers
import sys

import gin

from glimpse import config, gin_files
from glimpse.errors import GlimpseError, whole_number
from glimpse.files import file_name_of
from glimpse.studies.launchers import local, ray, slurm  # noqa: F401  configurations choose among them
from glimpse.studies.runs import axes_in
from glimpse.training import run


@gin.configurable
def study(experiment=gin.REQUIRED, grids=gin.REQUIRED, bindings=None, launcher=None):
    """The runs of a study.

    Args:
        experiment: gin file of the experiment that every run is a variation of.
        grids: a list of dicts, macro -> list of values; each dict stands for all combinations of its values, the study
            for all of its dicts. A value that begins with @ is a reference, such as "@fixed()".
        bindings: what is the same for all runs, {"TRAIN_STEPS": 500}.
        launcher: what runs it, @local(), @ray() or @slurm() of `glimpse.studies.launchers`; see `launcher_of`.

    Returns:
        {name of the run, such as "NUM_GLIMPSES=3,POLICY=fixed,SEED=0": (experiment, list of gin bindings)}.
    """
    if not isinstance(experiment, str) or not experiment:
        raise GlimpseError(f"study.experiment must be a gin file, a text in quotes, got {experiment!r}")
    if not isinstance(grids, (list, tuple)) or not all(isinstance(grid, dict) for grid in grids) or not grids:
        raise GlimpseError(f"study.grids must be a list of dicts, macro -> list of values, got {grids!r}")
    _check_bindings(bindings)
    runs = {}
    for grid in grids:
        if not grid:
            raise GlimpseError("study.grids holds an empty dict; write macros and their values, {'SEED': [0]}")
        for axis, values in grid.items():
            if not isinstance(axis, str) or not isinstance(values, (list, tuple)) or not values:
                raise GlimpseError(f"study.grids: {axis} must be a list of values, got {values!r}")
            if len({_in_gin(value) for value in values}) < len(values):
                raise GlimpseError(f"study.grids: {axis} lists a value twice, got {values!r}")
            if axis in (bindings or {}) and all(axis in each for each in grids):
                raise GlimpseError(f"study.bindings sets {axis}, which study.grids sets for every run; leave one of "
                                   "them out")
        for values in itertools.product(*grid.values()):
            axes = dict(zip(grid, values))
            name = file_name_of(",".join(f"{axis}={_in_a_name(value)}" for axis, value in axes.items()), most=200)
            planned = experiment, [f"{key}={_in_gin(value)}" for key, value in ((bindings or {}) | axes).items()]
            if list(axes_in(name)) != list(axes):
                raise GlimpseError(f"study.grids: a run would be called {name!r}, which does not tell its axes: they "
                                   "must be macros in CAPITALS, of values that are not empty and not as long as that")
            if runs.setdefault(name, planned) != planned:
                raise GlimpseError(f"study.grids: two runs would be called {name!r}; leave one of them out")
    return runs


def _check_bindings(bindings):
    if bindings is not None and (not isinstance(bindings, dict) or not all(isinstance(key, str) for key in bindings)):
        raise GlimpseError(f"study.bindings must be a dict, name -> value, got {bindings!r}")


def _in_gin(value):
    if not isinstance(value, (bool, numbers.Number, str, list, tuple, dict, type(None))):
        raise GlimpseError(f"study: a part needs quotes, such as '@learned()', got {value!r}")
    return value if isinstance(value, str) and value[:1] in ("@", "%") else repr(value)


def _in_a_name(value):
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return str(value).strip("@()").replace("/", "-")


def runs_of(gin_file, gin_params):
    """The runs of a study's file.

    Args:
        gin_file: of the study; the experiment that it names may stand beside it.
        gin_params: bindings. Those of `study`, and macros of its file, are of the study; all others go to every run.
            study.bindings is laid over the file's own, name by name.

    Returns:
        as `study`.
    """
    path, of_study, of_runs = _divided(gin_file, gin_params)
    over = [param for param in of_study if _name(param) == "study.bindings"]
    with config.configuration(gin_file, [param for param in of_study if param not in over], root="study"):
        shared = gin.get_bindings(study).get("bindings") or {}
        for param in over:
            _check_bindings(shared)
            more = config.value_of(param)
            _check_bindings(more)
            shared = shared | (more or {})
        runs = study(bindings=shared)
    axes = {axis for name in runs for axis in axes_in(name)}
    for param in of_runs:
        if _name(param) in axes:
            raise GlimpseError(f"--gin_param={param!r}: {_name(param)} is an axis of the study, whose values "
                               "study.grids lists")
    return {name: (_beside(experiment, path), bindings + of_runs) for name, (experiment, bindings) in runs.items()}


def _divided(gin_file, gin_params):
    """The path of a study's file, the bindings that are the study's, and those that go to every run."""
    path = gin_files.find(gin_file)
    macros = set() if path is None else gin_files.macros_set_in(path)
    of_study = [param for param in gin_params
                if _name(param).split(".")[0] in ("study", *config.LAUNCHERS) or _name(param) in macros]
    return path, of_study, [param for param in gin_params if param not in of_study]


def launcher_of(gin_file, gin_params, given=None, jobs=None):
    """The engine that a study is to run on, see `glimpse.studies.launchers.launch`.

    Args:
        gin_file, gin_params: as in `runs_of`; bindings such as "ray.cpus = 2" are of the study.
        given: in place of study.launcher, "@ray()"; @local() where neither says.
        jobs: in place of local.jobs.
    """
    of_study = [param for param in _divided(gin_file, gin_params)[1] if _name(param) != "study.bindings"]
    if given is not None:
        if given not in (f"@{name}()" for name in config.LAUNCHERS):
            raise GlimpseError(f"--launcher must be one of {', '.join(f'@{name}()' for name in config.LAUNCHERS)}, got "
                               f"{given!r}")
        of_study.append(f"study.launcher = {given}")
    if jobs is not None:
        of_study.append(f"local.jobs = {jobs}")
    with config.configuration(gin_file, of_study, root="study"):
        launcher = gin.get_bindings(study).get("launcher") or gin.get_configurable(local.Local)()
        if isinstance(launcher, type) or not hasattr(launcher, "begin"):
            raise GlimpseError(f"study.launcher must be @local(), @ray() or @slurm(), got {launcher!r}")
        if jobs is not None and not isinstance(launcher, local.Local):
            raise GlimpseError(f"--jobs={jobs} is for @local(); {type(launcher).__name__.lower()}.cpus says what a run "
                               "needs")
        return launcher


def _name(param):
    return param.partition("=")[0].strip()


def _beside(experiment, path):
    """The experiment as the run's own process finds it, from wherever it is called."""
    found = gin_files.find(experiment, path.parent)
    return experiment if found is None or gin_files.is_shipped(found) else str(found)


def plan(workdir, runs, split=None):
    """Which runs are still to be done, and their numbers of steps; parses each configuration, so faults show first.

    A finished run is evaluated again where its results lack a split that is to be evaluated now, or were made by other
    settings of the evaluation.

    Args:
        workdir: Path of the study.
        runs: as `runs_of` gives them.
        split: that is to be reported; None where nothing is.

    Returns:
        ({name: command line}, {name: steps}).
    """
    waiting, steps = {}, {}
    for name, (experiment, bindings) in runs.items():
        with config.configuration(experiment, bindings) as text:
            steps[name] = whole_number("Experiment.train_steps", config.setting("Experiment.train_steps"))
            splits = config.setting("Experiment.evaluation_splits")
            splits = splits if isinstance(splits, (list, tuple)) else ()  # else the run itself says what is wrong
        directory = workdir / name
        there = (directory / run.CONFIG).is_file()
        if there and not run.same_training(run.read_config(directory), text):
            raise GlimpseError(f"{directory} holds a run of another configuration; name another --workdir, "
                               "or remove that directory")
        finished = (directory / run.RESULTS).is_file() and (not there or run.read_config(directory) == text)
        known = run.read_results(directory).get("metrics", {}) if finished else {}
        evaluated = tuple(splits or run.EVALUATED)
        if split not in (None, *known, *evaluated):
            raise GlimpseError(f"--split={split} is not among Experiment.evaluation_splits of {name}, {evaluated}; "
                               "name one of these, or add it there")
        if not finished or not set(splits) <= set(known):
            waiting[name] = [sys.executable, "-m", "experiments.train", f"--gin_file={experiment}",
                             *(f"--gin_param={binding}" for binding in bindings), f"--workdir={directory}"]
    return waiting, {name: steps[name] for name in waiting}
