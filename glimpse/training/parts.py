"""The kinds of an experiment's parts, checked before anything is built of them."""

import functools
import inspect
import numbers

from glimpse.errors import GlimpseError, one_of, real_number, whole_number


def check_given(data, proposals, detector, trainer, sampling, framing):
    """Raises GlimpseError for a part of Experiment that is not what it is used as."""
    for name, value, example in (("data", data, "@DigitScenes"), ("detector", detector, "@GlimpseDetector"),
                                 ("trainer", trainer, "@Trainer")):
        if not callable(value):
            raise GlimpseError(f"Experiment.{name} must be a reference without (), such as {example}, "
                               f"got {_short(value)}")
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
        raise GlimpseError("Experiment.data must give a data set (class_names, len(), [index]) when it is called with "
                           f"a split, got {_short(data)}")


def check_detector(detector):
    """Raises GlimpseError where the policy or the backbone is not built."""
    for name, example in (("backbone", "@small_cnn()"), ("policy", "@learned()")):
        part = getattr(detector, name, None)
        if part is not None or name == "backbone":
            check_built(f"GlimpseDetector.{name}", part, ["__call__"], example)
    _check_policy(getattr(detector, "policy", None))


def _check_policy(policy):
    """Raises GlimpseError for what cannot be called as a policy is."""
    try:
        if policy is not None:
            inspect.signature(policy).bind(situation=None, explore=False)
    except TypeError as error:
        raise GlimpseError("GlimpseDetector.policy must be a policy such as @learned(), called with situation and "
                           f"explore, got {_short(policy)}") from error
    except ValueError:  # what is built into Python tells of no parameters
        pass


def check_trainer(trainer):
    """Raises GlimpseError for an estimator that is not built, and for settings of an optimizer that make no sense."""
    for name in ("optimizer", "policy_optimizer"):
        optimizer = getattr(trainer, name, None)
        if optimizer is None:
            continue
        check_built(f"Trainer.{name}", optimizer, ["apply"], "@keras.optimizers.Adam()")
        _check_rate(name, optimizer)
        for parameter, check in OPTIMIZER_SETTINGS.items():
            value = getattr(optimizer, parameter, None)
            if value is not None:
                check(f"{type(optimizer).__name__}.{parameter} of Trainer.{name}", value)


def _above_0(name, value):
    if real_number(name, value, minimum=0) == 0:
        raise GlimpseError(f"{name} must be above 0, got {value!r}")


# Keras takes them as they come, and fails late or trains otherwise than it was told.
OPTIMIZER_SETTINGS = {
    **{name: functools.partial(real_number, minimum=0, maximum=1)
       for name in ("momentum", "beta_1", "beta_2", "ema_momentum")},
    **{name: functools.partial(real_number, minimum=0) for name in ("epsilon", "weight_decay")},
    **dict.fromkeys(("clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"), _above_0),
    **{name: functools.partial(one_of, choices=(True, False)) for name in ("nesterov", "amsgrad", "use_ema")},
    "ema_overwrite_frequency": whole_number,
    "gradient_accumulation_steps": functools.partial(whole_number, minimum=2),
}


SCHEDULE_SETTINGS = {
    **{name: functools.partial(real_number, minimum=0)
       for name in ("initial_learning_rate", "end_learning_rate", "warmup_target", "warmup_steps")},
    **dict.fromkeys(("decay_steps", "power"), _above_0),
    "alpha": functools.partial(real_number, minimum=0, maximum=1),
    "cycle": functools.partial(one_of, choices=(True, False)),
}


def _check_rate(name, optimizer):
    """A schedule and its first rate: it is made of whatever it is given, and fails when it is asked."""
    given = optimizer.get_config()["learning_rate"]
    given = given.get("config", given) if isinstance(given, dict) else given
    try:
        rate = float(optimizer.learning_rate)
    except Exception as error:  # of TensorFlow, of the schedule
        raise GlimpseError(f"the learning rate of Trainer.{name} cannot be computed ({type(error).__name__}) from "
                           f"{given}; give it numbers") from error
    real_number(f"the first learning rate of Trainer.{name}", rate, minimum=0)
    for parameter, check in SCHEDULE_SETTINGS.items():
        if isinstance(given, dict) and given.get(parameter) is not None:
            check(f"{parameter} of the learning rate of Trainer.{name}", given[parameter])


def _short(value):
    plain = isinstance(value, (str, numbers.Number, tuple, list, dict, type(None)))
    return repr(value)[:100] if plain else type(value).__name__
