import logging
import os
import pathlib

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
