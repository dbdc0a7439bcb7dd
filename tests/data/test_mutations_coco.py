"""Sound data in the layout of COCO, mutated at random: they are read rightly, or refused in one line.

See `tests.data.plain_reading`.
"""

import copy
import json
import os
import posixpath
import random
import re

import pytest

from glimpse.data.coco import COCO
from tests.data import mutated
from tests.data.photo_files import write_image
from tests.data.plain_reading import HEIGHT, MUTATIONS, WIDTH, Unsound, check, placed, quiet, require  # noqa: F401

SOUND_COCO = {
    "info": {"year": 2026},
    "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 2, "file_name": "sub/c.jpg"},
               {"id": 5, "file_name": "b.jpg", "width": 40, "height": 30, "license": 1}],
    "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog", "supercategory": "animal"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1.5, 2, 10, 20.25], "iscrowd": 0, "area": 202},
                    {"id": 2, "image_id": 1, "category_id": 3, "bbox": [0, 0, 40, 30], "iscrowd": 1},
                    {"id": 3, "image_id": 5, "category_id": 3, "bbox": [3, 4, 5, 6],
                     "segmentation": [[3, 4, 8, 4, 8, 9]]},
                    {"id": 4, "image_id": 2, "category_id": 7, "bbox": [0.25, 0.5, 39, 29]}]}


NAMED_BY = {"info": "info", "images": "image", "categories": "categor|class", "annotations": "annotation"}


def plain_id(value):
    require(not isinstance(value, bool))
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    require(isinstance(value, int) or is_text(value))
    return value


def is_text(value):
    return isinstance(value, str) and value.strip() and not re.search("[\ud800-\udfff]", value)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def without_doubles(pairs):
    entry = dict(pairs)
    return entry if len(entry) == len(pairs) else None


def plain_coco(text, files):
    """(expected, readable) of the text of a COCO file, see `check`."""
    try:
        content = json.loads(text, object_pairs_hook=without_doubles)
        parts = [content[part] for part in ("images", "categories", "annotations")]
        require(all(isinstance(part, list) for part in parts))
    except (Unsound, ValueError, KeyError, TypeError, RecursionError):
        return None, {}
    sound, images, names, found = True, [], [], []
    for entry in parts[0]:
        try:
            id, file = plain_id(entry["id"]), entry["file_name"]
            require(is_text(file))
            require({posixpath.normpath(file), posixpath.normpath(file.replace("\\", "/"))} & files)
            sides = [entry.get(side) or 0 for side in ("width", "height")]
            require(all(entry.get(side) is None or is_number(entry[side]) for side in ("width", "height")))
            require(all(0 <= side <= 1e9 and side == int(side) for side in sides))
            require(0 in sides or sides == [WIDTH, HEIGHT])
            images.append(id)
        except (Unsound, KeyError, TypeError, OverflowError, ValueError):
            sound = False
    for entry in parts[1]:
        try:
            require(is_text(entry["name"]))
            names.append((plain_id(entry["id"]), entry["name"]))
        except (Unsound, KeyError, TypeError):
            sound = False
    for entry in parts[2]:
        try:
            image, category = plain_id(entry["image_id"]), plain_id(entry["category_id"])
            require(image in images and category in dict(names))
            require(isinstance(entry["bbox"], list) and len(entry["bbox"]) == 4)
            require(all(map(is_number, entry["bbox"])) and entry.get("iscrowd") in (None, 0, 1))
            x, y, width, height = map(float, entry["bbox"])
            box = placed((x, y, x + width, y + height))
            found.append((image, (dict(names)[category], box, bool(entry.get("iscrowd")))))
        except (Unsound, KeyError, TypeError, OverflowError):
            sound = False
    for ids in (images, [id for id, _ in names]):
        sound &= bool(ids) and len(set(ids)) == len(ids) and len({type(id) for id in ids}) == 1
    sound &= len({name for _, name in names}) == len(names)
    readable = {id: [each for image, each in found if image == id] for id in images}
    return list(readable.items()) if sound else None, readable


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    for file in ("a.jpg", "b.jpg", "sub/c.jpg"):
        write_image(root / "images" / file)
    return root


def mutated_coco(random, root):
    """Writes a mutated COCO file; returns its text where it can be told, the files of images, and what was mutated."""
    content, files, paths = copy.deepcopy(SOUND_COCO), {"a.jpg", "b.jpg", "sub/c.jpg"}, []
    match random.randrange(8):
        case 0:  # names of any characters
            content["categories"][0]["name"], content["categories"][1]["name"] = "x" + mutated.any_text(random), "y\n"
        case 1:  # ids that are texts
            ids = {image["id"]: f"{image['id']:0{random.randint(1, 6)}}" for image in content["images"]}
            for entry in (*content["images"], *content["annotations"]):
                key = "id" if "file_name" in entry else "image_id"
                entry[key] = ids[entry[key]]
        case 2:  # a file of any name
            name = mutated.any_text(random).replace("/", "%")
            if name not in (".", ".."):
                os.link(root / "images" / "a.jpg", root / "images" / name)
                content["images"][0]["file_name"] = name
                files = files | {name}
        case _:
            paths = [mutated.mutate(random, content) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    text = json.dumps(content, ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1]))
    text = text.replace(f'"{mutated.DEEP}"', "[" * 3000 + "]" * 3000)
    encoding = random.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
    written = text.encode(encoding, "surrogatepass")
    if random.random() < 0.15:
        written = mutated.broken(random, text.encode(errors="surrogatepass"))
        paths = []
    (root / "x.json").write_bytes(written)
    try:
        text = written.decode(json.detect_encoding(written))
    except UnicodeDecodeError:
        return None, files, paths
    return text, files, paths


@pytest.mark.parametrize("chunk", range(4))
def test_coco(coco, chunk):
    refused = 0
    for number in range(chunk, MUTATIONS // 3, 4):
        text, files, paths = mutated_coco(random.Random(number), coco)
        expected, readable = plain_coco(text, files) if text is not None else (None, {})
        message = check(lambda on_fault: COCO("train", coco, "x.json", "images", on_fault=on_fault), expected, readable,
                        coco, f"mutation {number} {paths}")
        refused += message is not None
        if message and paths and "cannot be read" not in message:
            assert any(re.search(NAMED_BY[path[0]], message) for path in paths), f"{message} {paths}"
            place = paths[0][1] if len(paths) == 1 and paths[0][0] == "annotations" and len(paths[0]) > 2 else None
        else:
            place = None
        if place is not None:
            assert re.search(rf"annotations\[{place}\]|annotation .* of image", message), message
        for file in files - {"a.jpg", "b.jpg", "sub/c.jpg"}:
            (coco / "images" / file).unlink()
    assert 0.2 < refused / (MUTATIONS / 12) < 0.8
