"""A trained run, to be used: its configuration, its parts and its weights."""

import contextlib
import pathlib

from glimpse import config, system_faults
from glimpse.errors import GlimpseError
from glimpse.training import own_modules, run
from glimpse.training.experiment import Experiment
from glimpse.training.trained_on import read_trained_on


@contextlib.contextmanager
def restored(workdir, allow_import=()):
    """The experiment of a trained run, with its configuration in force: yields (Experiment, step of its checkpoint).

    Nothing of its training data is read. Its configuration may import glimpse, modules that were noted when it was
    trained and have not changed, and those named in `allow_import`.

    Raises:
        GlimpseError: where `workdir` holds no run, or one without a checkpoint.
    """
    system_faults.check_name(workdir)
    if not (pathlib.Path(workdir) / run.CONFIG).is_file():
        raise GlimpseError(f"--run={workdir} holds no {run.CONFIG}; name the --workdir of a training")
    untrained = GlimpseError(f"--run={workdir} holds no checkpoint yet; train it first")
    if not any((pathlib.Path(workdir) / name).exists() for name in (run.CHECKPOINTS, run.WEIGHTS)):
        raise untrained
    may_import, directories = own_modules.trusted(workdir, allow_import)
    with config.import_directories(directories), config.configuration(
            pathlib.Path(workdir) / run.CONFIG, may_import=may_import):
        experiment = Experiment(trained_on=read_trained_on(workdir), strategy=None)  # it is used on one device
        step = experiment.restore(workdir)
        if not step:
            raise untrained
        yield experiment, step
