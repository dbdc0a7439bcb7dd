"""Sound data in the layout of YOLO, mutated at random: they are read rightly, or refused in one line.

See `tests.data.plain_reading`.
"""

import copy
import random
import re

import pytest
import yaml

from glimpse.data.yolo import YOLO
from tests.data import mutated
from tests.data.photo_files import write_image
from tests.data.plain_reading import (  # noqa: F401
    HEIGHT,
    MUTATIONS,
    WIDTH,
    Unsound,
    check,
    placed,
    plain_number,
    quiet,
    require,
)

SOUND_YOLO = {"data": {"path": ".", "train": "images/train", "val": "images/val", "nc": 2, "names": ["cat", "dog"]},
              "rows": [["0", "0.5", "0.5", "1", "1"], ["1", "0.25", "0.5", "0.125", "0.25"],
                       ["1", "0.1", "0.9", "0.05", "0.0625"]]}


@pytest.fixture(scope="module")
def yolo(tmp_path_factory):
    root = tmp_path_factory.mktemp("yolo")
    for id in ("a", "b"):
        write_image(root / "images" / "train" / f"{id}.jpg")
    (root / "labels" / "train").mkdir(parents=True)
    (root / "labels" / "train" / "b.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    return root


def plain_yolo(text, names):
    """(objects, whether all of it is sound) of the text of a label file."""
    found, sound = [], True
    for row in re.split("\r\n|\r|\n", text):
        try:
            if row.strip():
                label, x, y, width, height = map(plain_number, row.split())
                require(label == int(label) and 0 <= label < len(names))
                corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
                box = [value * size for value, size in zip(corners, (WIDTH, HEIGHT) * 2)]
                found.append((names[int(label)], placed(box), False))
        except (Unsound, ValueError, OverflowError):
            sound = False
    return found, sound


def plain_names(data):
    """The classes of what a YAML file holds, as texts; Unsound where it must be refused."""
    require(not any(isinstance(key, mutated.Again) for key in data))
    names = data.get("names")
    if isinstance(names, dict):
        require(not any(isinstance(key, mutated.Again) for key in names))
        require(sorted(map(str, names)) == sorted(map(str, range(len(names)))))
        names = [{str(key): name for key, name in names.items()}[str(place)] for place in range(len(names))]
    require(isinstance(names, list) and names)
    require(data.get("nc") is None or as_text(data["nc"]) == str(len(names)))
    names = [as_text(name) for name in names]
    require(all(name is not None and name.strip() for name in names) and len(set(names)) == len(names))
    require(as_text(data.get("train")) == "images/train")
    require("path" not in data or data["path"] is None or as_text(data["path"]))
    return names


def as_text(value):
    """What YAML writes for a value, None where it writes none."""
    return None if value is None or isinstance(value, (list, dict)) else (
        value if isinstance(value, str) else yaml.safe_dump(value).split("\n")[0])


class Dumper(yaml.SafeDumper):
    """Writes a field that is given twice, and no references."""

    def ignore_aliases(self, data):
        return True


Dumper.add_representer(mutated.Again, lambda dumper, key: dumper.represent_str(str(key)))
YAML_VALUES = tuple(value for value in mutated.VALUES if value not in (mutated.DEEP, "\ud800", 10**400, "x" * 5000))


@pytest.mark.parametrize("chunk", range(4))
def test_yolo(yolo, chunk):
    labels, refused = yolo / "labels" / "train" / "a.txt", 0
    for number in range(chunk, MUTATIONS // 3, 4):
        draw, content, of_rows = random.Random(number), copy.deepcopy(SOUND_YOLO), False
        match draw.randrange(6):
            case 0: content["data"]["names"] = {draw.choice(["0", 0]): "x" + mutated.any_text(draw), 1: "no"}
            case 1: content["data"]["names"] = [
                "true", draw.choice(["1", "~", "null", " a ", "a: b", "#", "x" + mutated.any_text(draw)])]
            case 2: mutated.mutate(draw, content["data"], YAML_VALUES)
            case _:
                of_rows = True
                for _ in range(draw.choice([1, 1, 1, 2, 3])):
                    mutated.mutate(draw, content["rows"], mutated.TEXTS)
        text = "".join(" ".join(row) + draw.choice(["\n", "\r\n", " \n\n"]) for row in content["rows"])
        written = text.encode(draw.choice(["utf-8", "utf-8-sig", "utf-16"]))
        if draw.random() < 0.1:
            written, of_rows = mutated.broken(draw, text.encode()), False
        labels.write_bytes(written)
        description = yaml.dump(content["data"], Dumper=Dumper, allow_unicode=draw.random() < 0.5)
        (yolo / "data.yaml").write_bytes(description.encode(draw.choice(["utf-8", "utf-8-sig", "utf-16"])))
        try:
            names = plain_names(content["data"])
        except Unsound:
            names = None
        try:
            text = written.decode("utf-16" if written[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
            found, sound = plain_yolo(text, names or ["cat", "dog"])
        except UnicodeDecodeError:
            found, sound = [], False
        other = [((names or ["cat"])[0], (10.0, 7.5, 30.0, 22.5), False)]
        expected = [("a", found), ("b", other)] if sound and names else None
        message = check(lambda on_fault: YOLO("train", yolo, on_fault=on_fault), expected, {"a": found, "b": other},
                        yolo, f"mutation {number} {content} {written[:200]}")
        refused += message is not None
        if message and names and of_rows:
            assert re.search(r"a\.txt, line \d+", message), message
    assert 0.2 < refused / (MUTATIONS / 12) < 0.8
