"""The kinds of an experiment's parts, checked before anything is built of them."""

import inspect
import numbers

from glimpse.errors import GlimpseError, real_number


def check_given(data, proposals, detector, trainer, sampling, framing):
    """Raises GlimpseError for a part of Experiment that is not what it is used as."""
    for name, value, example in (("data", data, "@DigitScenes"), ("detector", detector, "@GlimpseDetector"),
                                 ("trainer", trainer, "@Trainer")):
        if not callable(value):
            raise GlimpseError(f"Experiment.{name} must be a reference without (), such as {example}, got {_short(value)}")
    check_built("Experiment.proposals", proposals, ["__call__"], "@WindowGrid()")
    check_built("Experiment.sampling", sampling, ["__call__", "foreground_slots"], "@RoISampling()")
    if framing is not None:
        check_built("Experiment.framing", framing, ["place", "stack", "canvas"], "@Framing()")


def check_built(name, value, attributes, example):
    """Raises GlimpseError where a part is a class that () has yet to build, or lacks an attribute."""
    if inspect.isclass(value):
        raise GlimpseError(f"{name} is the class {value.__name__}; () builds it: write {example}")
    missing = [each for each in attributes if not hasattr(value, each)]
    if missing or isinstance(value, (str, numbers.Number)):
        raise GlimpseError(f"{name} must be a part such as {example}, got {_short(value)}")


def check_data(data):
    """Raises GlimpseError where what a data set gives is none."""
    if not all(hasattr(data, each) for each in ("class_names", "__len__", "__getitem__")):
        raise GlimpseError("Experiment.data must give a data set (class_names, len(), [index]) when it is called with a "
                           f"split, got {_short(data)}")


def check_detector(detector):
    """Raises GlimpseError where the policy or the backbone is not built."""
    for name, example in (("backbone", "@small_cnn()"), ("policy", "@learned()")):
        part = getattr(detector, name, None)
        if part is not None:
            check_built(f"GlimpseDetector.{name}", part, ["__call__"], example)


def check_trainer(trainer):
    """Raises GlimpseError for an estimator that is not built, and for numbers of an optimizer that are none."""
    for name in ("optimizer", "policy_optimizer"):
        optimizer = getattr(trainer, name, None)
        if optimizer is None:
            continue
        check_built(f"Trainer.{name}", optimizer, ["apply", "learning_rate"], "@keras.optimizers.Adam()")
        for parameter in inspect.signature(type(optimizer)).parameters.values():
            value = getattr(optimizer, parameter.name, None)
            if parameter.name == "learning_rate":  # of a schedule, that of this step
                real_number(f"the first learning rate of Trainer.{name}", float(value), minimum=0)
            elif isinstance(parameter.default, float) and value is not None:
                real_number(f"{optimizer.name}.{parameter.name} of Trainer.{name}", value)


def _short(value):
    return repr(value) if isinstance(value, (str, numbers.Number, tuple, list, dict, type(None))) else type(value).__name__
