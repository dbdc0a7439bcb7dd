import json
import math
import pickle

import pytest

from glimpse.data.fields import (
    Fault,
    fields,
    flag,
    identity,
    number,
    number_of_text,
    one_line,
    shown,
    side,
    split_name,
    text,
    unique,
)
from glimpse.errors import GlimpseError

WHERE = "x.json, object 3"


def test_a_fault_is_one_line_and_travels_between_processes():
    fault = Fault("no good", "a\nb.json", "it is\r\ud800")
    assert str(fault) == r"a\nb.json: no good (it is\r\ud800)" and fault.kind == "no good"
    copy = pickle.loads(pickle.dumps(Fault("no good", WHERE, 5)))
    assert str(copy) == "x.json, object 3: no good (5)" and copy.kind == "no good"


def test_long_messages_are_cut_in_the_middle():
    line = one_line("a" * 2000 + "b" * 2000)
    assert len(line) < 1600 and line.startswith("aaa") and line.endswith("bbb") and "a ... b" in line
    assert len(shown("x" * 10**6)) < 200 and len(shown([[10**500] * 99] * 99)) < 200 and len(shown(-10**500)) < 200


def test_fields():
    assert fields({"a": 1, "b": 0}, WHERE, "b", "a") == [0, 1]
    for entry, message in (({"a": None}, "lacks a"), ({}, "lacks a"), ([1], "no object with fields"),
                           (json.loads('{"a": 1, "a": 1}', object_pairs_hook=unique),
                            "field 'a' is given more than once")):
        with pytest.raises(Fault, match=f"{WHERE}: {message}"):
            fields(entry, WHERE, "a")


@pytest.mark.parametrize("check, sound, unsound", [
    (text, ["a", " a", "猫"], ["", "  ", 1, None, ["a"], "\ud800"]),
    (identity, [0, -3, 10**30, "7", "a"], [1.5, True, None, "", [1], math.nan, math.inf]),
    (flag, [0, 1, True, False, 1.0], ["1", 2, -1, None, [0], 0.5]),
    (number, [0, -1.5, 10**15], ["1", True, None, [1]]),
    (number_of_text, ["1", " -1.5 ", ".5", "5.", "+1e3"], ["", "1,5", "1_0", "0x1", "１", "1 2", None, "one"]),
    (side, [0.0, 640.0], [-1.0, 0.5, math.nan, math.inf, 1e10]),
])
def test_checks_of_values(check, sound, unsound):
    for value in sound:
        checked = check(value, "field", WHERE)
        assert checked == (float(value) if check is number_of_text else value)
    for value in unsound:
        with pytest.raises(Fault, match=f"{WHERE}: .*"):
            check(value, "field", WHERE)


def test_numbers_that_no_float_holds_are_infinite():
    assert number(10**400, "x", WHERE) == math.inf and number_of_text("1e400", "x", WHERE) == math.inf
    assert identity(3.0, "id", WHERE) == 3 and type(identity(3.0, "id", WHERE)) is int


def test_splits():
    assert split_name("VOC.splits", {"validation": "val"}, "validation") == "val"
    assert split_name("VOC.splits", {"validation": "val"}, "train") == "train"
    for splits in ("val", None, {"train": 3}):
        with pytest.raises(GlimpseError, match="VOC.splits must be a dictionary of names"):
            split_name("VOC.splits", splits, "train")
