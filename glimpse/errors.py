"""The one error a user is meant to read, and the checks that raise it."""

import math
import numbers
import pathlib


class GlimpseError(ValueError):
    """A fault of what the user gave: one line that says what, which value, where, and what to do.

    The entry points print it and exit with status 2; any other exception is a bug and keeps its traceback.
    """


def whole_number(name, value, minimum=1):
    """Returns `value` as an int; raises GlimpseError unless it is a whole number >= `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise GlimpseError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return int(value)


def real_number(name, value, minimum=-math.inf, maximum=math.inf):
    """Returns `value` as a float; raises GlimpseError unless it is a finite number in [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise GlimpseError(f"{name} must be a finite number, got {value!r}")
    if not minimum <= value <= maximum:
        raise GlimpseError(f"{name} must lie in [{minimum}, {maximum}], got {value!r}")
    return float(value)


def one_of(name, value, choices):
    """Returns `value`; raises GlimpseError unless it is one of `choices`."""
    if value not in choices:
        raise GlimpseError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def path_given(name, value):
    """Returns `value` as a Path; raises GlimpseError unless it is the text of one."""
    if not isinstance(value, (str, pathlib.Path)) or not str(value):
        raise GlimpseError(f"{name} must be a path, a text in quotes, got {value!r}")
    return pathlib.Path(value)


def pair(name, value, minimum=1):
    """Returns (first, second) from one whole number or a pair of them, each >= `minimum`."""
    values = value if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise GlimpseError(f"{name} must be one whole number or a pair of them, got {value!r}")
    return tuple(whole_number(name, each, minimum) for each in values)
