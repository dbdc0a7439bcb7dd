"""A reader held against a plain reading of the same content, for data that were mutated at random.

What the plain reading has whole, the reader must read, to the same ids, classes and boxes; what it has not, the reader
must refuse by a line that names the file and the object. With on_fault="skip" only what the plain reading has may come
out, and what was left out is counted.

A mutation is a function of its number, which a failure tells. More than the suite runs, by hand:

    GLIMPSE_MUTATIONS=100000 python -m pytest -n 0 tests/data -k mutations
"""

import collections
import logging
import math
import os

import numpy as np
import pytest

from glimpse.errors import GlimpseError

MUTATIONS = int(os.environ.get("GLIMPSE_MUTATIONS", 2400))
WIDTH, HEIGHT = 40, 30
Unsound = type("Unsound", (Exception,), {})


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def require(condition):
    if not condition:
        raise Unsound


def placed(box):
    """A box as a reader must give it, a tuple of float32; Unsound where it must refuse it."""
    require(all(map(math.isfinite, box)))
    inside = [min(max(value, 0), limit) for value, limit in zip(box, (WIDTH, HEIGHT) * 2)]
    require(all(abs(a - b) <= 1 for a, b in zip(box, inside)))
    for x1, y1, x2, y2 in (box, np.float32(inside)):
        require(x1 < x2 and y1 < y2)
    return tuple(np.float32(inside).tolist())


def check(reader, expected, readable, root, note):
    """Holds a reader, called with on_fault, against a plain reading.

    expected: list of (id, [(class, box, difficult), ...]), None where the reader must refuse; readable: {id: list} of
    what it may read at most. Returns the message where it refuses.
    """
    message = None
    try:
        data = reader("raise")
        found = [(example.id, objects(data, example)) for example in data]
        assert expected is not None, f"read what is not sound: {found} {note}"
        assert same(found, expected), f"{found}\n{expected} {note}"
    except GlimpseError as error:
        message = str(error)
        assert expected is None, f"refused what is sound: {message!r} {note}"
        assert message.isprintable() and str(root) in message and len(message) < 2000, f"{message!r} {note}"
    try:
        data = reader("skip")
    except GlimpseError as error:
        assert expected is None and str(error).isprintable() and str(root) in str(error), f"{error} {note}"
        return message
    assert (expected is None) == any(data.skipped.values()), f"{data.skipped} {note}"
    for example in data:
        left = collections.Counter(readable.get(example.id, ()))
        left.subtract(objects(data, example))
        assert all(count >= 0 for count in left.values()), f"{example.id!r} {left} {note}"
    return message


def objects(data, example):
    return [(data.class_names[label], tuple(box.tolist()), bool(difficult))
            for label, box, difficult in zip(example.labels, example.boxes, example.difficult)]


def same(found, expected):
    return [(type(id), id, each) for id, each in found] == [(type(id), id, each) for id, each in expected]


def plain_number(text):
    require(text is not None and text.strip() and not set(text.strip()) - set("0123456789+-.eE"))
    try:
        return float(text)
    except ValueError:
        raise Unsound from None
