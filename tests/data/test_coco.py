import logging

import numpy as np
import pytest

from glimpse.data.coco import COCO
from glimpse.data.image_files import Fault
from glimpse.errors import GlimpseError
from tests.data.photo_files import write_coco


def test_boxes_labels_crowds_and_ids(tmp_path):
    write_coco(tmp_path, [(1, 7, [1.5, 2, 10, 20.25]), (1, 3, [0, 0, 40, 30], True)])
    data = COCO("train", tmp_path)
    # Labels follow the ids of the categories in ascending order, as in pycocotools: 3 is 0 and 7 is 1.
    assert data.class_names == ("dog", "cat") and data.category_ids == [3, 7]
    example, empty = data[0], data[1]
    np.testing.assert_array_equal(example.boxes, [[1.5, 2, 11.5, 22.25], [0, 0, 40, 30]])
    assert list(example.labels) == [1, 0] and list(example.difficult) == [False, True]
    assert (example.id, empty.id) == (1, 2) and empty.boxes.shape == (0, 4)
    assert example.image.shape == (30, 40, 3)


def test_other_layouts(tmp_path):
    write_coco(tmp_path, [(1, 7, [1, 2, 3, 4])], split="valid")
    (tmp_path / "annotations" / "instances_valid.json").rename(tmp_path / "valid" / "_annotations.coco.json")
    data = COCO("validation", tmp_path, "{split}/_annotations.coco.json", splits={"validation": "valid"})
    assert len(data) == 2 and len(data[0].boxes) == 1


@pytest.mark.parametrize("annotation, kind", [
    ((1, 7, [1, 2, 0, 4]), "an empty or reversed box"),
    ((1, 7, [1, 2, 40, 4]), "cut"),
    ((1, 7, [1, 2, 41, 4]), "a box outside the image"),
    ((1, 5, [1, 2, 3, 4]), "unknown class '5'"),
    ((1, 7, [1, 2, "3", 4]), "a box that is not four numbers"),
])
def test_a_defective_object_is_named_or_left_out(tmp_path, annotation, kind, caplog):
    write_coco(tmp_path, [(2, 3, [1, 1, 5, 5]), (*annotation, True)], images=("a", "b"))
    if kind != "cut":
        with pytest.raises(Fault, match=f"instances_train2017.json, annotation 2 of image 1.*{kind}"):
            COCO("train", tmp_path)
    with caplog.at_level(logging.WARNING):
        data = COCO("train", tmp_path, on_fault="skip")
    assert len(data) == 2 and len(data[1].boxes) == 1 and kind in caplog.text
    assert data[0].boxes.tolist() == ([[1, 2, 40, 6]] if kind == "cut" else [])


def test_defective_files_are_named(tmp_path):
    write_coco(tmp_path, [], categories=((1, "cat"), (2, "cat")))
    with pytest.raises(GlimpseError, match="class 'cat' is listed more than once"):
        COCO("train", tmp_path)
    file = tmp_path / "annotations" / "instances_train2017.json"
    for content, message in (('{"images": [{"id": 1}]}', "holds no list 'categories'"),
                             ('{"images": [', "cannot be read"), ("[]", "holds no list 'images'")):
        file.write_text(content)
        with pytest.raises(GlimpseError, match=f"instances_train2017.json.*{message}"):
            COCO("train", tmp_path)
    with pytest.raises(GlimpseError, match="instances_test.json cannot be read"):
        COCO("test", tmp_path)


def test_a_missing_image_is_named(tmp_path):
    write_coco(tmp_path, [(1, 7, [1, 2, 3, 4])])
    (tmp_path / "train2017" / "b.jpg").unlink()
    with pytest.raises(Fault, match="train2017/b.jpg: no such image file"):
        COCO("train", tmp_path)
    assert [e.id for e in COCO("train", tmp_path, on_fault="skip")] == [1]
