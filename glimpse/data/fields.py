"""The values of annotation files, checked where they are read: each check gives a value of its type or raises a Fault.
"""

import math
import re
import reprlib

from glimpse.errors import GlimpseError

LARGEST_SIDE = 10**9  # pixels
LONGEST = 1500  # characters of a message; a name may have more
# As files write numbers: Python itself would take 1_000, and digits of every script.
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_repr = reprlib.Repr()
_repr.maxstring, _repr.maxother, _repr.maxlong, _repr.maxlist = 80, 80, 40, 8


class Fault(GlimpseError):
    """One defect of a data set, as one line: "WHERE: KIND (DETAIL)".

    Args:
        kind: text, what the defect has in common with others of its kind.
        where: the file, and the object in it where there is one.
        detail: what is its own, such as the value.
    """

    def __init__(self, kind, where, detail=""):
        super().__init__(one_line(f"{where}: {kind}{detail and f' ({detail})'}"))
        self.kind = one_line(kind)
        self._given = kind, str(where), str(detail)

    def __reduce__(self):  # so that one that is raised in a worker reaches who started it
        return type(self), self._given


def one_line(text):
    """A text without line breaks and other characters that do not print, which are written as Python's escapes.

    A long one is cut in the middle.
    """
    text = str(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST // 2]} ... {text[-LONGEST // 2:]}"


def shown(value):
    """A value as messages show it: in quotes where it is a text, cut where it is long."""
    if type(value) is int and abs(value) < 10**18:  # as most ids are
        return str(value)
    text = _repr.repr(value)
    return text if len(text) <= 200 else f"{text[:150]} ..."


def fields(entry, where, *names):
    """The values of these fields of a JSON object; Fault where it is none, or where one is missing, null or given
    twice.
    """
    if not isinstance(entry, dict):
        raise Fault("no object with fields", where, f"it is {shown(entry)}")
    if Twice in entry:
        raise Fault(f"field {entry[Twice]!r} is given more than once", where)
    for name in names:
        if entry.get(name) is None:
            raise Fault(f"lacks {name}", where)
    return [entry[name] for name in names]


class Twice:
    """Key under which `unique` keeps the name of a field that an object of JSON has more than once."""


def unique(pairs):
    """Pairs of an object in JSON or YAML -> dict that knows whether a field was given twice (`object_pairs_hook`)."""
    entry = dict(pairs)
    if len(entry) < len(pairs):
        names = [name for name, _ in pairs]
        entry[Twice] = next(name for name in names if names.count(name) > 1)
    return entry


def text(value, name, where):
    """A text that is not empty and can be written as UTF-8."""
    if not isinstance(value, str) or not value.strip():
        raise Fault(f"{name} must be a text", where, f"it is {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Fault(f"{name} holds half a character", where, f"it is {shown(value)}") from None
    return value


def identity(value, name, where):
    """An id: a whole number, or a text, each as it is."""
    if isinstance(value, float) and value.is_integer():  # as table programs write whole numbers
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value, name, where)
    raise Fault(f"{name} must be a whole number or a text", where, f"it is {shown(value)}")


def number(value, name, where):
    """A float from a number of JSON; it may be infinite or no number, which `AnnotatedImages` refuses in boxes."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    raise Fault("a value that is no number", where, f"{name} is {shown(value)}")


def number_of_text(value, name, where):
    """A float from a decimal number in a text; it may be infinite or no number, likewise."""
    if value is None or not _NUMBER.fullmatch(value.strip()):
        raise Fault("a value that is no number", where, f"{name} is {shown(value)}")
    return float(value)


def side(value, name, where):
    """The length of an image's side in whole pixels, 0 for one that is not given; `value` is a float."""
    if not 0 <= value <= LARGEST_SIDE or value != int(value):
        raise Fault("a size that is no number of pixels", where, f"{name} is {value:g}")
    return int(value)


def flag(value, name, where):
    """True or False from a bool, or a number that is 1 or 0."""
    if value not in (0, 1):
        raise Fault(f"{name} must be 0 or 1", where, f"it is {shown(value)}")
    return bool(value)


def names_given(name, value):
    """The value of a parameter that must be a list of texts, as a tuple; raises GlimpseError."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise GlimpseError(f"{name} must be a list of names, got {value!r}")
    return tuple(value)


def split_name(name, splits, split):
    """What `splits`, a parameter of a reader called `name`, has for a split: a text, the split itself unless given."""
    if not isinstance(splits, dict) or not isinstance(splits.get(split, split), str):
        raise GlimpseError(f"{name} must be a dictionary of names, such as {{'validation': 'val'}}, got {splits!r}")
    return splits.get(split, split)
