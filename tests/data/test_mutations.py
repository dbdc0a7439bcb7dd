"""Sound data in the layouts of VOC, COCO and YOLO, mutated at random: they are read rightly, or refused in one line.

Each mutation is held against a slow and plain reading of the same content. What that reads whole, the reader must read,
to the same ids, classes and boxes; what it does not, the reader must refuse by a line that names the file and the
object. With on_fault="skip" only what the plain reading has may come out, and what was left out is counted.

A mutation is a function of its number, which a failure tells. More than the suite runs, by hand:

    GLIMPSE_MUTATIONS=100000 python -m pytest -n 0 tests/data/test_mutations.py
"""

import collections
import copy
import json
import logging
import math
import os
import posixpath
import random
import re
import xml.dom.minidom
import xml.parsers.expat
from xml.sax.saxutils import escape

import numpy as np
import pytest
import yaml

from glimpse.data.coco import COCO
from glimpse.data.fields import one_line
from glimpse.data.voc import VOC
from glimpse.data.yolo import YOLO
from glimpse.errors import GlimpseError
from tests.data import mutated
from tests.data.photo_files import write_image

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


# COCO

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


# VOC

def plain_number(text):
    require(text is not None and text.strip() and not set(text.strip()) - set("0123456789+-.eE"))
    try:
        return float(text)
    except ValueError:
        raise Unsound from None


CORNERS = ("xmin", "ymin", "xmax", "ymax")


def sound_voc():
    """An annotation as nested lists: [tag, text or list of such]."""
    def thing(name, *corners, difficult="0"):
        return ["object", [["name", name], ["pose", "Left"], ["difficult", difficult],
                           ["bndbox", [[side, str(value)] for side, value in zip(CORNERS, corners)]],
                           ["part", [["name", "head"], ["bndbox", [["xmin", "1"]]]]]]]
    return ["annotation", [["folder", "x"], ["filename", "a.jpg"], ["size", [["width", "40"], ["height", "30"]]],
                           thing("cat", 1, 1, 40, 30), thing("dog", 5, 7, 9.5, 11, difficult="1")]]


def children(element, tag):
    return [child for child in element[1] if child[0] == tag] if isinstance(element[1], list) else []


def only(element, tag, default=None):
    found = children(element, tag)
    require(len(found) <= 1)
    return found[0][1] if found else default


def count_objects(element):
    inner = element[1] if isinstance(element[1], list) else []
    return sum((child[0].lower() == "object") + count_objects(child) for child in inner)


def plain_voc(tree, names):
    """(objects, whether all of it is sound) of an annotation as nested lists."""
    found, sound = [], True
    try:
        require(tree[0] == "annotation" and len(children(tree, "object")) == count_objects(tree))
        size = [None, only(tree, "size", "")]
        sides = [plain_number(only(size, side, "0")) if isinstance(only(size, side, "0"), str) else math.nan
                 for side in ("width", "height")]
        require(all(0 <= side <= 1e9 and side == int(side) for side in sides))
        require(0 in sides or sides == [WIDTH, HEIGHT])
    except Unsound:
        return [], False
    for element in children(tree, "object"):
        try:
            texts = [only(element, "name"), only(element, "difficult", "0")]
            box = [None, only(element, "bndbox")]
            texts += [only(box, side) for side in CORNERS]
            require(all(isinstance(text, str) for text in texts))
            name, difficult, x1, y1, x2, y2 = texts[0].strip(), *map(plain_number, texts[1:])
            require(name in names and difficult in (0, 1))
            found.append((name, placed((x1 - 1, y1 - 1, x2, y2)), bool(difficult)))
        except Unsound:
            sound = False
    return found, sound


def as_xml(random, element):
    tag, content = element
    if isinstance(content, list):
        between = random.choice(["", "\n  ", "<!-- x -->"])
        content = between.join(["", *(as_xml(random, child) for child in content), ""])
    elif content and "]]>" not in content and random.random() < 0.1:
        content = f"<![CDATA[{content}]]>"
    else:
        content = escape(content)
    return f"<{tag}>{content}</{tag}>"


def as_lists(node):
    """A minidom element as nested lists; of an element with children the texts between them are dropped."""
    inner = [child for child in node.childNodes if child.nodeType == node.ELEMENT_NODE]
    texts = "".join(child.data for child in node.childNodes
                    if child.nodeType in (node.TEXT_NODE, node.CDATA_SECTION_NODE))
    return [node.tagName, [as_lists(child) for child in inner] if inner else texts]


def mutate_voc(random, tree):
    elements = [(tree, None)]
    for element, _ in elements:
        if isinstance(element[1], list):
            elements += [(child, element) for child in element[1]]
    element, parent = random.choice(elements)
    match random.choice(["text", "text", "remove", "double", "tag", "content"]):
        case "text" if isinstance(element[1], str): element[1] = random.choice(mutated.TEXTS)
        case "remove" if parent: parent[1].remove(element)
        case "double" if parent: parent[1].insert(random.randint(0, len(parent[1])), copy.deepcopy(element))
        case "tag": element[0] = random.choice(["object", "Object", "name", "xmin", "size", "bndbox", "annotation",
                                                "B"])
        case "content": element[1] = random.choice(["", "cat", [["name", "cat"]], copy.deepcopy(tree[1])])


ENCODINGS = ("utf-8", "UTF-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252", "cp1251", "gb18030", "GBK",
             "shift_jis", "euc-kr", "big5", "koi8-r", "us-ascii", "iso-2022-jp")


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for id in ("a", "b"):
        write_image(root / "JPEGImages" / f"{id}.jpg")
    (root / "Annotations" / "b.xml").write_text(as_xml(random.Random(0), sound_voc()))
    return root


def listed(random, ids):
    """The text of an image set, as one tool or another writes it."""
    form = random.choice(["{}", "{}.jpg", "./JPEGImages/{}.jpg", "JPEGImages\\{}.jpg", "/home/x/JPEGImages/{}.jpg",
                          "{} 1", "{}  -1"])
    text = random.choice(["\n", "\r\n"]).join([form.format(id) for id in ids] + [""])
    return text.encode(random.choice(["utf-8", "utf-8-sig", "utf-16"]))


@pytest.mark.parametrize("chunk", range(4))
def test_voc(voc, chunk):
    refused = 0
    for number in range(chunk, MUTATIONS // 3, 4):
        draw, names, ids, tree = random.Random(number), ["cat", "dog"], ["a", "b"], sound_voc()
        match draw.randrange(6):
            case 0:
                names.append("x" + mutated.any_text(draw))
                tree[1][3][1][0][1] = names[2]
            case 1:
                ids[0] = mutated.any_text(draw).translate({ord(c): "%" for c in "/\\"}) + "z"
            case _:
                for _ in range(draw.choice([1, 1, 1, 2, 3])):
                    mutate_voc(draw, tree)
        text, encoding, declaration = as_xml(draw, tree), draw.choice(ENCODINGS), ""
        if draw.random() < 0.7:
            declaration = f"<?xml version='1.0' encoding=\"{encoding.removesuffix('-sig')}\"?>"
        encoding = encoding if declaration else "utf-8"
        written = (declaration + text).encode(encoding, "xmlcharrefreplace")
        if "<![CDATA[" in text:
            written = (declaration.replace(encoding, "utf-8") + text).encode()
        if draw.random() < 0.15:
            written = mutated.broken(draw, text.encode())
            try:
                tree = as_lists(xml.dom.minidom.parseString(written).documentElement)
            except (xml.parsers.expat.ExpatError, ValueError, LookupError):  # no XML, or of an unknown encoding
                tree = ["broken", ""]
        if ids[0] != "a":
            os.link(voc / "JPEGImages" / "a.jpg", voc / "JPEGImages" / f"{ids[0]}.jpg")
        (voc / "Annotations" / f"{ids[0]}.xml").write_bytes(written)
        (voc / "classes.txt").write_bytes("\n".join(names).encode(draw.choice(["utf-8", "utf-8-sig"])))
        (voc / "ImageSets" / "Main" / "train.txt").write_bytes(listed(draw, ids))
        found, sound = plain_voc(tree, names)
        other, _ = plain_voc(sound_voc(), names)
        expected = [(ids[0], found), ("b", other)] if sound else None
        message = check(lambda on_fault: VOC("train", voc, "classes.txt", on_fault=on_fault), expected,
                        {ids[0]: found, "b": other}, voc, f"mutation {number} {written[:300]}")
        refused += message is not None
        assert message is None or one_line(ids[0]) in message, message
        if ids[0] != "a":
            (voc / "JPEGImages" / f"{ids[0]}.jpg").unlink()
            (voc / "Annotations" / f"{ids[0]}.xml").unlink()
    assert 0.2 < refused / (MUTATIONS / 12) < 0.8


# YOLO

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
