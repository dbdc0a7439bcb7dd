"""JSON files of a run, read with their shape checked: what has another shape or absurd numbers is refused by name.

A shape is a function of a value and the text of its place in the file; it raises ValueError for a value of another
shape.
"""

import json
import math
import reprlib

from glimpse.errors import GlimpseError
from glimpse.files import read_text

LARGEST = 3.5e38  # of float32, in which all is computed that a run writes down


def read_json(path, shape, cure):
    """The content of a JSON file of this shape.

    Args:
        path: of the file.
        shape: a shape.
        cure: text, what to do where the file cannot be read.

    Raises:
        GlimpseError: names the file, the place in it and the value.
    """
    try:
        return from_json(read_text(path), shape)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GlimpseError(f"{path} cannot be read ({reason}); {cure}") from error


def from_json(text, shape):
    """The value that a text of JSON stands for. Raises: ValueError."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("its lists are nested too deeply") from error
    shape(value, "")
    return value


def _once(pairs):
    entry = dict(pairs)
    if len(entry) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{reprlib.repr(next(name for name in names if names.count(name) > 1))} is given twice")
    return entry


def _no_number(name):
    raise ValueError(f"{name} is no number of JSON")


def _require(condition, place, what, value):
    if not condition:
        raise ValueError(f"{place.lstrip('.') or 'its content'} must be {what}, not {reprlib.repr(value)}")


def anything(value, place):
    """The shape of any value."""


def text(value, place):
    """The shape of a text that can be written as UTF-8."""
    _require(isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value), place, "a text",
             value)


def number(minimum=-LARGEST, maximum=LARGEST, whole=False):
    """The shape of a number in a range."""
    if minimum == -LARGEST and maximum == LARGEST:
        what = "a number"
    else:
        what = f"a {'whole ' * whole}number from {minimum:g}" + (f" to {maximum:g}" if maximum < LARGEST else " on")

    def shape(value, place):
        kinds = int if whole else (int, float)
        _require(isinstance(value, kinds) and not isinstance(value, bool) and minimum <= value <= maximum, place, what,
                 value)
    return shape


def one_of_shapes(what, *shapes):
    """The shape of a value that has one of these."""
    def shape(value, place):
        for each in shapes:
            try:
                each(value, place)
                return
            except ValueError:
                pass
        _require(False, place, what, value)
    return shape


def nothing(value, place):
    """The shape of null."""
    _require(value is None, place, "null", value)


def boolean(value, place):
    """The shape of true and false."""
    _require(isinstance(value, bool), place, "true or false", value)


def list_of(each, least=0, most=math.inf):
    """The shape of a list of values of one shape."""
    what = "a list" if least == 0 else f"a list of {least}" if least == most else f"a list of at least {least}"

    def shape(value, place):
        _require(isinstance(value, list) and least <= len(value) <= most, place, what, value)
        for index, item in enumerate(value):
            each(item, f"{place}[{index}]")
    return shape


def dict_of(each):
    """The shape of an object whose fields, of any name, have one shape."""
    def shape(value, place):
        _require(isinstance(value, dict), place, "an object with fields", value)
        for name, item in value.items():
            text(name, f"{place}'s names")
            each(item, f"{place}.{reprlib.repr(name)[1:-1]}")
    return shape


def fields(required={}, optional={}):
    """The shape of an object with fields of these names and shapes, {name: shape}; those of other names may be there.
    """
    def shape(value, place):
        dict_of(anything)(value, place)
        for name in required:
            if name not in value:
                raise ValueError(f"{place.lstrip('.') or 'it'} lacks {name!r}")
        for name, each in {**required, **optional}.items():
            if name in value:
                each(value[name], f"{place}.{name}")
    return shape
