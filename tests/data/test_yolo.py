import logging
import os
import random

import numpy as np
import pytest

from glimpse.data.image_files import Fault
from glimpse.data.yolo import YOLO
from glimpse.errors import GlimpseError
from tests.data.mutated import broken
from tests.data.photo_files import write_image, write_yolo


def test_boxes_labels_and_ids_by_hand(tmp_path):
    # Centre (20, 15) and 40 x 30: the whole image. Centre (10, 6) and 10 x 3: from 5, 4.5 to 15, 7.5.
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1\n\n1 0.25 0.2 0.25 0.1\n", "sub/b": ""})
    data = YOLO("train", tmp_path)
    assert data.class_names == ("cat", "red dog") and [example.id for example in data] == ["a", "sub/b"]
    np.testing.assert_allclose(data[0].boxes, [[0, 0, 40, 30], [5, 4.5, 15, 7.5]], atol=1e-5)
    assert list(data[0].labels) == [0, 1] and not data[0].difficult.any() and data[1].boxes.shape == (0, 4)
    assert (data[0].boxes.dtype, data[0].labels.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize("row, message", [
    ("2 0.5 0.5 1 1", r"line 2: unknown class '2' \(there are cat, red dog\)"),
    ("-1 0.5 0.5 1 1", "line 2: unknown class '-1'"),
    ("0.5 0.5 0.5 1 1", "line 2: unknown class '0.5'"),
    ("cat 0.5 0.5 1 1", "line 2: a value that is no number .column 1 is 'cat'"),
    ("0 0.5 0,5 1 1", "line 2: a value that is no number .column 3 is '0,5'"),
    ("0 nan 0.5 1 1", r"line 2 \('cat'\): a coordinate is no number"),
    ("0 0.5 0.5 0 1", r"line 2 \('cat'\): an empty or reversed box"),
    ("0 20 15 40 30", r"line 2 \('cat'\): a box outside the image"),
    ("0 0.5 0.5 1", r"line 2: a row that is not class, x, y, width, height \(it has 4 numbers"),
    ("0 0.1 0.1 0.5 0.1 0.5 0.5", r"line 2: a row .*it has 7 numbers; YOLO.polygons = True reads"),
])
def test_a_defective_row_is_named_or_left_out(tmp_path, row, message, caplog):
    write_yolo(tmp_path, {"a": f"1 0.5 0.5 0.5 0.5\n{row}\n", "b": ""})
    with pytest.raises(Fault, match=f"labels/train/a.txt, {message}"):
        YOLO("train", tmp_path)
    with caplog.at_level(logging.WARNING):
        data = YOLO("train", tmp_path, on_fault="skip")
    assert len(data) == 2 and len(data[0].boxes) == 1 and "left out 1 object: " in caplog.text


def test_polygons_are_read_where_asked_for(tmp_path):
    write_yolo(tmp_path, {"a": "1 0.1 0.2 0.5 0.1 0.3 0.6\n0 0.5 0.5 0.5 0.5\n"})
    data = YOLO("train", tmp_path, polygons=True)
    np.testing.assert_allclose(data[0].boxes, [[4, 3, 20, 18], [10, 7.5, 30, 22.5]], atol=1e-5)
    (tmp_path / "labels" / "train" / "a.txt").write_text("1 0.1 0.2 0.5 0.1 0.3\n")
    with pytest.raises(Fault, match="line 1: a row that is not"):
        YOLO("train", tmp_path, polygons=True)


def test_a_missing_label_file_is_an_image_without_objects_and_the_log_says_so(tmp_path, caplog):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1", "b": None})
    with caplog.at_level(logging.WARNING):
        assert [len(example.boxes) for example in YOLO("train", tmp_path)] == [1, 0]
    assert "1 of 2 images have no file of boxes" in caplog.text and "labels/train/b.txt" in caplog.text
    (tmp_path / "labels" / "train" / "a.txt").unlink()
    with pytest.raises(GlimpseError, match="no image of split 'train' has a file of boxes, such as .*train/a.txt"):
        YOLO("train", tmp_path)
    write_yolo(tmp_path, {"c": None}, split="val")
    assert len(YOLO("validation", tmp_path)) == 1


def test_boxes_refer_to_the_upright_image_as_in_ultralytics(tmp_path, caplog):
    write_image(tmp_path / "images" / "train" / "a.jpg", orientation=6)
    write_yolo(tmp_path, {"a": "0 0.5 0.25 1 0.5"})
    with caplog.at_level(logging.WARNING):
        example = YOLO("train", tmp_path)[0]
    assert example.image.shape == (40, 30, 3) and list(example.boxes[0]) == [0, 0, 30, 20]
    assert "EXIF would turn 1 images" in caplog.text and "taken as upright" in caplog.text
    assert YOLO("train", tmp_path, frame="stored")[0].image.shape == (30, 40, 3)


@pytest.mark.parametrize("names, expected", [
    ("[no, yes]", ("no", "yes")), ("[1, 2.0]", ("1", "2.0")), ("{1: b, 0: a}", ("a", "b")),
    ("['null', \"a: b\"]", ("null", "a: b"))])
def test_names_are_texts_whatever_yaml_takes_them_for(tmp_path, names, expected):
    write_yolo(tmp_path, {"a": "1 0.5 0.5 1 1"}, f"train: images/train\nnames: {names}\nnc: 2\n")
    assert YOLO("train", tmp_path).class_names == expected


@pytest.mark.parametrize("data, message", [
    ("names: [cat]", "has no 'train': name its images there, or in YOLO.images, or another split in YOLO.splits"),
    ("train: images/train", "lacks names"),
    ("train: images/train\nnames: [cat, null]", "class 2 must be a text"),
    ("train: images/train\nnames: [cat, [dog]]", "class 2 must be a text"),
    ("train: images/train\nnames: [cat, cat]", "class 'cat' is listed more than once"),
    ("train: images/train\nnames: {0: cat, 2: dog}", "names must be numbered 0, 1, 2 and so on .number '1' is missing"),
    ("train: images/train\nnames: [cat]\nnc: 2", "names must be a list, nc its length .nc is '2'"),
    ("train: images/train\nnames: [cat]\nnames: [dog]", "field 'names' is given more than once"),
    ("train: images/nowhere\nnames: [cat]", "no 'images/nowhere' in"),
    ("train: ../../etc\nnames: [cat]", r"no '\.\./\.\./etc' in"),
    ("train: /etc\nnames: [cat]", "no '/etc' in"),
    ("train: [images/train, {}]\nnames: [cat]", "paths must be texts"),
    ("- a", "no object with fields"),
    ("names: [", "cannot be read"),
    ("a: &a [*a]", "cannot be read|lacks names"),
    ("[" * 3000, "cannot be read"),
])
def test_a_defective_description_is_named(tmp_path, data, message):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1"}, data)
    with pytest.raises(GlimpseError, match=message) as error:
        YOLO("train", tmp_path)
    assert "data.yaml" in str(error.value) and "\n" not in str(error.value)


def test_tags_of_yaml_run_nothing(tmp_path):
    write_yolo(tmp_path, {"a": ""}, "names: !!python/object/apply:os.mkdir [x]\ntrain: images/train")
    assert YOLO("train", tmp_path).class_names == ("x",) and not os.path.exists("x")


def test_lists_of_images(tmp_path):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1", "b": "1 0.5 0.5 1 1", "c": ""}, "train: train.txt\nnames: [cat, dog]\n")
    text = f"./images/train/b.jpg\r\n\r\n{tmp_path}/images/train/a.jpg\r\n"
    (tmp_path / "train.txt").write_bytes(text.encode("utf-8-sig"))
    assert [example.id for example in YOLO("train", tmp_path)] == ["images/train/b", "images/train/a"]
    (tmp_path / "train.txt").write_text(
        "images/train/c.jpg\nimages\\train\\a.jpg\nimages/train/x.jpg\n../../../etc/passwd\n")
    with pytest.raises(Fault, match="train.txt, line 'images/train/x.jpg': no such image file"):
        YOLO("train", tmp_path)
    data = YOLO("train", tmp_path, on_fault="skip")
    assert [example.id for example in data] == ["images/train/c", "images/train/a"] and len(data.skipped["image"]) == 2
    (tmp_path / "train.txt").write_text("images/train/a.jpg\n./images/train/a.jpg\n")
    with pytest.raises(Fault, match="listed more than once"):
        YOLO("train", tmp_path)


def test_several_folders(tmp_path):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1"})
    write_yolo(tmp_path, {"a": "1 0.5 0.5 1 1"}, "train: [images/train, images/val]\nnames: [cat, dog]\n", split="val")
    assert [(e.id, list(e.labels)) for e in YOLO("train", tmp_path)] == [("images/train/a", [0]), ("images/val/a", [1])]


def test_other_kinds_of_images_are_not_passed_over(tmp_path):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1"})
    (tmp_path / "images" / "train" / "b.webp").write_bytes(b"RIFF")
    (tmp_path / "images" / "train" / "._a.jpg").write_bytes(b"of a Macintosh")
    with pytest.raises(Fault, match="b.webp: no JPEG or PNG image"):
        YOLO("train", tmp_path)


def test_the_number_of_a_class_is_that_of_its_line(tmp_path):
    write_yolo(tmp_path, {"a": "1 0.5 0.5 1 1"})
    (tmp_path / "classes.txt").write_text("cat\nred dog\n\n\n")
    assert YOLO("train", tmp_path, "classes.txt", "images/train").class_names == ("cat", "red dog")
    (tmp_path / "classes.txt").write_text("cat\n\nred dog\n")
    with pytest.raises(Fault, match="classes.txt, line 3: an empty line before a class, .* in doubt .'red dog'"):
        YOLO("train", tmp_path, "classes.txt", "images/train")


def test_a_file_of_classes_needs_the_place_of_the_images(tmp_path):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1"})
    (tmp_path / "classes.txt").write_bytes("猫\r\nred dog\r\n".encode("utf-8-sig"))
    with pytest.raises(GlimpseError, match="YOLO.images must say where the images of a split lie"):
        YOLO("train", tmp_path, "classes.txt")
    assert YOLO("train", tmp_path, "classes.txt", "images/{split}").class_names == ("猫", "red dog")
    (tmp_path / "classes.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(GlimpseError, match="classes.txt cannot be read: it is not in UTF-8"):
        YOLO("train", tmp_path, "classes.txt", "images/{split}")
    with pytest.raises(GlimpseError, match="names.txt cannot be read .*YOLO.data names the file of classes"):
        YOLO("train", tmp_path, "names.txt", "images/{split}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_are_refused(tmp_path):
    write_yolo(tmp_path, {"a": None, "b": "0 0.5 0.5 1 1"})
    os.mkfifo(tmp_path / "labels" / "train" / "a.txt")
    with pytest.raises(Fault, match="a.txt: labels cannot be read .it is no regular file"):
        YOLO("train", tmp_path)


def test_faults_of_parameters(tmp_path):
    write_yolo(tmp_path, {"a": ""})
    with pytest.raises(GlimpseError, match="YOLO.splits must be a dictionary of names"):
        YOLO("train", tmp_path, splits="val")
    with pytest.raises(GlimpseError, match="YOLO.polygons must be one of True, False, got 'yes'"):
        YOLO("train", tmp_path, polygons="yes")
    with pytest.raises(GlimpseError, match="most_pixels must be a whole number"):
        YOLO("train", tmp_path, most_pixels="many")


def test_a_mutated_description_is_read_or_refused_in_one_line(tmp_path):
    """As text: what it means then, only YAML itself can tell."""
    text = "path: .\ntrain: images/train\nnc: 2\nnames:\n  0: 'cat'\n  1: red dog  # two\nkpt_shape: [17, 3]\n"
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1"})
    read = 0
    for number in range(600):
        (tmp_path / "data.yaml").write_bytes(broken(random.Random(number), text.encode()))
        try:
            data = YOLO("train", tmp_path)
        except GlimpseError as error:
            assert str(error).isprintable() and str(tmp_path) in str(error)
        else:
            read += 1
            assert data[0].boxes.tolist() == [[0, 0, 40, 30]] and all(isinstance(name, str)
                                                                      for name in data.class_names)
    assert 50 < read < 550
