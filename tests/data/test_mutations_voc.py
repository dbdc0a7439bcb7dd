"""Sound data in the layout of VOC, mutated at random: they are read rightly, or refused in one line.

See `tests.data.plain_reading`.
"""

import copy
import math
import os
import random
import xml.dom.minidom
import xml.parsers.expat
from xml.sax.saxutils import escape

import pytest

from glimpse.data.fields import one_line
from glimpse.data.voc import VOC
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
