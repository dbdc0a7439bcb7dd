import logging
import os
import pathlib
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from glimpse.data.image_files import Fault
from glimpse.data.voc import CLASSES, VOC
from glimpse.errors import GlimpseError
from tests.data.photo_files import pixels, write_image, write_voc

REAL = os.environ.get("GLIMPSE_DATA")


def test_boxes_labels_and_pixels(tmp_path):
    write_voc(tmp_path, {"b": [("cat", 1, 1, 40, 30), ("dog", 5, 7, 5, 7, 1)], "a": []})
    data = VOC("train", tmp_path)
    assert len(data) == 2 and data.class_names == CLASSES and len(CLASSES) == 20
    example, empty = data[0], data[1]
    assert example.id == "b" and empty.id == "a"
    # The whole image, and the one pixel in column 5 and row 7.
    np.testing.assert_array_equal(example.boxes, [[0, 0, 40, 30], [4, 6, 5, 7]])
    assert [CLASSES[label] for label in example.labels] == ["cat", "dog"] and list(example.difficult) == [False, True]
    assert example.image.shape == (30, 40, 3) and np.abs(example.image.astype(int) - pixels()).max() < 12
    assert (example.boxes.dtype, example.labels.dtype, example.difficult.dtype) == (np.float32, np.int32, bool)
    assert empty.boxes.shape == (0, 4) and empty.labels.shape == (0,) and empty.labels.dtype == np.int32


def test_grey_pictures_have_one_channel(tmp_path):
    write_voc(tmp_path, {"a": []})
    grey = VOC("train", tmp_path, channels=1)[0].image
    assert grey.shape == (30, 40, 1)
    assert np.abs(grey[..., 0] - pixels() @ [0.299, 0.587, 0.114]).max() < 12
    with pytest.raises(GlimpseError, match="channels must be one of 1, 3, got 2"):
        VOC("train", tmp_path, channels=2)


def test_splits_and_classes(tmp_path):
    write_voc(tmp_path, {"a": [("red cell", 1, 1, 9, 9)]}, split="val")
    write_voc(tmp_path, {"c": []}, split="fold 3")
    (tmp_path / "classes.txt").write_text("white cell\nred cell\n\n")
    data = VOC("validation", tmp_path, classes="classes.txt")
    assert data.class_names == ("white cell", "red cell") and list(data[0].labels) == [1]
    assert [e.id for e in VOC("fold 3", tmp_path)] == ["c"]
    assert VOC("test", tmp_path, ["red cell"], splits={"test": "val"})[0].id == "a"
    with pytest.raises(GlimpseError, match=r"ImageSets/Main/train.txt cannot be read"):
        VOC("train", tmp_path)
    with pytest.raises(GlimpseError, match="'x' is listed more than once"):
        VOC("fold 3", tmp_path, ["x", "x"])


DEFECTS = {
    "unknown class 'cow boy'": lambda root: write_voc(root, {"a": [("cow boy", 1, 1, 9, 9)]}),
    r"an empty or reversed box": lambda root: write_voc(root, {"a": [("cat", 9, 1, 8, 9)]}),
    r"a box outside the image": lambda root: write_voc(root, {"a": [("cat", 1, 1, 42, 9)]}),
    r"a value that is no number": lambda root: write_voc(root, {"a": [("cat", "", 1, 8, 9)]}),
    r"a coordinate is no number": lambda root: write_voc(root, {"a": [("cat", "nan", 1, 8, 9)]}),
    r"annotation cannot be read": lambda root: (root / "Annotations" / "a.xml").write_text("<annotation><object>"),
    r"no single image file": lambda root: (root / "JPEGImages" / "a.jpg").unlink(),
    r"broken image file": lambda root: os.truncate(root / "JPEGImages" / "a.jpg", 700),
    r"of another size than the image": lambda root: write_voc(root, {"a": []}, size=(40, 31)),
    r"listed more than once": lambda root: (root / "ImageSets" / "Main" / "train.txt").write_text("a\na\n"),
}
OF_OBJECTS = list(DEFECTS)[:5]


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_named_or_left_out_and_logged(tmp_path, kind, caplog):
    write_voc(tmp_path, {"a": []})
    DEFECTS[kind](tmp_path)
    with pytest.raises(Fault, match=kind) as error:
        VOC("train", tmp_path)
    assert "/a." in str(error.value) and "\n" not in str(error.value)
    assert ("object 1" in str(error.value)) == (kind in OF_OBJECTS)

    write_voc(tmp_path, {"b": [("dog", 2, 2, 9, 9)]}, split="more")
    with open(tmp_path / "ImageSets" / "Main" / "train.txt", "a") as file:
        file.write("b\n")
    with caplog.at_level(logging.WARNING):
        data = VOC("train", tmp_path, on_fault="skip")
    lost = "object" if kind in OF_OBJECTS else "image"
    assert {what: len(faults) for what, faults in data.skipped.items()} == {"image": 0, "object": 0} | {
        lost: 2 if "more than once" in kind else 1}
    assert f"left out {len(data.skipped[lost])} {lost}" in caplog.text and data.skipped[lost][0].kind in caplog.text
    assert [e.id for e in data] == (["a", "b"] if lost == "object" else ["b"])
    assert sum(len(e.boxes) for e in data) == 1


def test_a_box_one_pixel_outside_is_cut_and_counted(tmp_path, caplog):
    write_voc(tmp_path, {"a": [("cat", 0, 0, 41, 30), ("cat", 2, 2, 9, 9)]})
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(VOC("train", tmp_path)[0].boxes, [[0, 0, 40, 30], [1, 1, 9, 9]])
    assert "cut 1 boxes to their images" in caplog.text


def test_exif_the_declared_size_tells_the_frame_or_the_log_tells_the_doubt(tmp_path, caplog):
    write_image(tmp_path / "JPEGImages" / "a.jpg", orientation=6)
    write_voc(tmp_path, {"a": [("cat", 1, 1, 9, 30)]})
    assert VOC("train", tmp_path)[0].image.shape == (30, 40, 3)
    assert not caplog.text
    with pytest.raises(Fault, match="40x30, the image 30x40; EXIF turns this image, and frame = 'stored' would fit"):
        VOC("train", tmp_path, frame="upright")
    write_voc(tmp_path, {"a": [("cat", 1, 1, 9, 40)]}, size=(30, 40))
    with pytest.raises(Fault, match="30x40, the image 40x30; EXIF turns this image, and frame = 'upright' would fit"):
        VOC("train", tmp_path)
    example = VOC("train", tmp_path, frame="upright")[0]
    assert example.image.shape == (40, 30, 3) and list(example.boxes[0]) == [0, 0, 9, 40]
    for orientation, size in ((3, (40, 30)), (6, None)):
        caplog.clear()
        write_image(tmp_path / "JPEGImages" / "a.jpg", orientation=orientation)
        write_voc(tmp_path, {"a": []}, size=size)
        assert VOC("train", tmp_path)[0].image.shape == (30, 40, 3)
        assert "EXIF would turn 1 images" in caplog.text and "taken as stored" in caplog.text


def test_faults_name_the_parameter_and_the_value(tmp_path):
    write_voc(tmp_path, {"a": []})
    with pytest.raises(GlimpseError, match="on_fault must be one of 'raise', 'skip', got 'ignore'"):
        VOC("train", tmp_path, on_fault="ignore")
    with pytest.raises(GlimpseError, match="JPEGImages is no folder|cannot be read"):
        VOC("train", tmp_path / "nowhere")
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(GlimpseError, match="has no image that can be used"):
        VOC("train", tmp_path, on_fault="skip")


def edit(root, old, new, id="a"):
    path = root / "Annotations" / f"{id}.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("old, new, message", [
    ("<bndbox>", "<bndbox><xmin>1</xmin></bndbox><bndbox>", "a.xml, object 1: <bndbox> is given more than once"),
    ("<xmin>", "<xmin>2</xmin><xmin>", "a.xml, object 1: <xmin> is given more than once"),
    ("<name>", "<name>dog</name><name>", "a.xml, object 1: <name> is given more than once"),
    ("<size>", "<size></size><size>", "a.xml: <size> is given more than once"),
    ("<width>40<", "<width>nan<", r"a.xml: a size that is no number of pixels \(<width> is nan\)"),
    ("<width>40<", "<width>1e400<", r"a.xml: a size that is no number of pixels \(<width> is inf\)"),
    ("<width>40<", "<width>40.5<", r"a.xml: a size that is no number of pixels \(<width> is 40.5\)"),
    ("<width>40<", "<width>-40<", r"a.xml: a size that is no number of pixels \(<width> is -40\)"),
    ("<xmin>1<", "<xmin>1e999<", "object 1 .'cat'.: a coordinate is no number"),
    ("<xmin>1<", "<xmin>1_0<", "object 1: a value that is no number .<xmin> is '1_0'"),
    ("<xmin>1<", "<xmin>1<a/>0<", "object 1: <xmin> holds elements in place of a value"),
    ("<difficult>0<", "<difficult>2<", r"object 1: <difficult> must be 0 or 1 \(it is 2.0\)"),
    ("<name>cat</name>", "", "object 1: lacks <name>"),
    ("<bndbox>", "<box>", "cannot be read .mismatched tag"),
    ("<object>", "<objects><object>", "mismatched tag"),
])
def test_doubled_missing_and_absurd_elements_are_named(tmp_path, old, new, message):
    write_voc(tmp_path, {"a": [("cat", 1, 1, 9, 9)]})
    edit(tmp_path, old, new)
    with pytest.raises(Fault, match=message):
        VOC("train", tmp_path)


def test_what_is_no_annotation_of_voc_is_named(tmp_path):
    write_voc(tmp_path, {"a": [("cat", 1, 1, 9, 9)]})
    path = tmp_path / "Annotations" / "a.xml"
    text = path.read_text()
    for content, message in ((f"<html>{text}</html>", "no annotation of VOC .its root element is <html>"),
                             (f"<annotation>{text}</annotation>", "an <object> that is no child of <annotation>"),
                             ("<annotation><Object/></annotation>", "an <object> that is no child of <annotation>")):
        path.write_text(content)
        with pytest.raises(Fault, match=message):
            VOC("train", tmp_path)


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis", "utf-16", "utf-8", "utf-8-sig"])
def test_xml_in_the_encoding_that_it_declares(tmp_path, encoding):
    write_voc(tmp_path, {"a": [("猫", 1, 1, 9, 9)]})
    path = tmp_path / "Annotations" / "a.xml"
    declaration = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    path.write_bytes((declaration + path.read_text()).encode(encoding))
    (tmp_path / "classes.txt").write_bytes("dog\r\n猫\r\n".encode("utf-8-sig"))
    data = VOC("train", tmp_path, "classes.txt")
    assert data.class_names == ("dog", "猫") and list(data[0].labels) == [1]


def test_encodings_that_cannot_be_read_are_named_and_skipped(tmp_path):
    write_voc(tmp_path, {"a": [("cat", 1, 1, 9, 9)], "b": []})
    path = tmp_path / "Annotations" / "a.xml"
    for content, message in ((b'<?xml version="1.0" encoding="martian"?><annotation/>', "unknown encoding: martian"),
                             ("<annotation>é</annotation>".encode("latin-1"), "utf-8.* can't decode"),
                             (b'<?xml version="1.0" encoding="hex"?><annotation/>', "'hex' is not a text encoding")):
        path.write_bytes(content)
        with pytest.raises(Fault, match=f"a.xml: .*{message}") as error:
            VOC("train", tmp_path)
        assert "\n" not in str(error.value)
        assert [example.id for example in VOC("train", tmp_path, on_fault="skip")] == ["b"]


@pytest.mark.parametrize("lines, ids", [
    ("b.jpg\na.jpg\n", ["b", "a"]), ("./JPEGImages/b.jpg\n/home/x/JPEGImages/a.jpg\n", ["b", "a"]),
    ("JPEGImages\\b.jpg", ["b"]), ("b -1\na  1\nphoto 1  0\n", ["b", "a", "photo 1"]),
    ("b.jpg 1\na.jpg -1\n", ["b", "a"]), ("photo 1\n", ["photo 1"]), ("\ufeffb\r\na\r\n", ["b", "a"])])
def test_image_sets_as_voc_and_tools_write_them(tmp_path, lines, ids):
    write_voc(tmp_path, {"a": [], "b": [], "photo 1": []})
    (tmp_path / "ImageSets" / "Main" / "cat_train.txt").write_text(lines, encoding="utf-8")
    assert [example.id for example in VOC("cat_train", tmp_path)] == ids


def test_a_line_that_may_mean_two_images_is_named(tmp_path):
    write_voc(tmp_path, {"a": [], "photo 1": [], "photo": []})
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a -1\nphoto 1\n")
    with pytest.raises(Fault, match="train.txt, line 'photo 1': a line that may mean two images .'photo 1' or 'photo'"):
        VOC("train", tmp_path)


@pytest.mark.parametrize("one, other", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_class_is_known_however_its_accents_are_coded(tmp_path, one, other):
    listed, written = (unicodedata.normalize(form, "café") for form in (one, other))
    write_voc(tmp_path, {"a": [(written, 1, 1, 9, 9)]})
    data = VOC("train", tmp_path, [listed])
    assert data.class_names == (listed,) and data[0].labels == [0]


def test_images_in_folders_of_folders(tmp_path):
    write_voc(tmp_path, {"a": []})
    write_image(tmp_path / "JPEGImages" / "sub" / "a.jpg")
    (tmp_path / "Annotations" / "sub").mkdir()
    (tmp_path / "Annotations" / "a.xml").rename(tmp_path / "Annotations" / "sub" / "a.xml")
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("sub/a\n")
    assert VOC("train", tmp_path)[0].id == "sub/a"
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("../JPEGImages/../a\n")
    with pytest.raises(Fault, match="no single image file"):
        VOC("train", tmp_path)


def test_the_computers_own_encoding_has_no_say(tmp_path):
    """A locale that is not UTF-8, in a process of its own."""
    write_voc(tmp_path, {"a": []})
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    text = f"<annotation><object><name>猫</name>{box}</object></annotation>"
    (tmp_path / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    (tmp_path / "classes.txt").write_text("猫\n", encoding="utf-8")
    program = ("from glimpse.data.voc import VOC; "
               f"print(ascii(VOC('train', {str(tmp_path)!r}, 'classes.txt').class_names))")
    found = subprocess.run([sys.executable, "-X", "utf8=0", "-c", program], capture_output=True, text=True,
                           env=os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"})
    assert found.stdout == "('\\u732b',)\n", found.stderr


@pytest.mark.parametrize("name, images, boxes, classes", [
    ("aquarium-640", (448, 127, 63), 4814, 7), ("bccd", (205, 87, 72), 4886, 3)])
@pytest.mark.skipif(not REAL or not pathlib.Path(REAL).is_dir(), reason="GLIMPSE_DATA names no folder of real data")
def test_real_data(name, images, boxes, classes, caplog):
    """Every image of real data sets is read; what is known of them holds."""
    splits = [VOC(split, pathlib.Path(REAL) / name, "classes.txt") for split in ("train", "validation", "test")]
    examples = [example for split in splits for example in split]
    assert tuple(map(len, splits)) == images and len(splits[0].class_names) == classes
    assert sum(len(e.boxes) for e in examples) == boxes and not caplog.text
    assert sum(len(e.boxes) == 0 for e in examples) == (name == "aquarium-640")
    for example in examples:
        height, width, channels = example.image.shape
        assert channels == 3 and (example.boxes[:, 2:] <= [width, height]).all() and (example.boxes[:, :2] >= 0).all()
        assert (example.boxes[:, :2] < example.boxes[:, 2:]).all()
