import json
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


def test_ids_are_as_the_data_set_has_them(tmp_path):
    write_coco(tmp_path, [("000001", "c7", [1, 2, 3, 4])], categories=(("c7", "cat"), ("c10", "dog")), images=("a",))
    edit(tmp_path, images=[{"id": "000001", "file_name": "a.jpg"}])
    data = COCO("train", tmp_path)
    assert data[0].id == "000001" and data.category_ids == ["c10", "c7"] and list(data[0].labels) == [1]
    edit(tmp_path, images=[{"id": 1.0, "file_name": "a.jpg"}], annotations=[])  # as table programs write whole numbers
    assert COCO("train", tmp_path)[0].id == 1 and type(COCO("train", tmp_path)[0].id) is int


def edit(root, **parts):
    path = root / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


IMAGE, ANNOTATION = {"id": 1, "file_name": "a.jpg"}, {"id": 4, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize("part, entry, message", [
    ("annotations", {"id": 4, "image_id": 1, "category_id": 7}, r"annotations\[1\]: lacks bbox"),
    ("annotations", ANNOTATION | {"bbox": None}, r"annotations\[1\]: lacks bbox"),
    ("annotations", ANNOTATION | {"image_id": 9}, "image 9: an annotation of an image that the file does not list"),
    ("annotations", ANNOTATION | {"image_id": "1"}, "of image '1': .*does not list .it is '1', the image's id is 1"),
    ("annotations", ANNOTATION | {"image_id": [1]}, r"of image \[1\]: image_id must be a whole number or a text"),
    ("annotations", ANNOTATION | {"image_id": True}, "annotation 4 of image True: image_id must be"),
    ("annotations", ANNOTATION | {"category_id": [7]}, "annotation 4 of image 1: category_id must be"),
    ("annotations", ANNOTATION | {"bbox": [1, 2, 3, True]}, "annotation 4 of image 1: a box that is not four numbers"),
    ("annotations", ANNOTATION | {"bbox": [1, 2, 10**400, 3]}, "4 of image 1 .'cat'.: a coordinate is no number"),
    ("annotations", ANNOTATION | {"bbox": [1, 2, 1e-30, 3]}, "4 of image 1 .'cat'.: an empty or reversed box"),
    ("annotations", ANNOTATION | {"iscrowd": "0"}, "annotation 4 of image 1: iscrowd must be 0 or 1 .it is '0'"),
    ("annotations", "x", r"annotations\[1\]: no object with fields .it is 'x'"),
    ("images", IMAGE | {"id": "2"}, r"images\[1\]: an id of another type than the first one's .'2' and 1"),
    ("images", IMAGE | {"id": 2, "width": "40"}, r"images\[1\], image 2: a value that is no number .width is '40'"),
    ("images", IMAGE | {"id": 2, "height": 30.5}, "image 2: a size that is no number of pixels .height is 30.5"),
    ("images", IMAGE | {"id": 2, "file_name": None}, r"images\[1\]: lacks file_name"),
    ("images", IMAGE | {"id": 2, "file_name": ["a.jpg"]}, r"images\[1\], image 2: file_name must be a text"),
    ("images", IMAGE | {"id": 2, "file_name": "../a.jpg"}, r"image 2: file_name leads outside .*'\.\./a.jpg'"),
    ("images", IMAGE | {"id": 2, "file_name": "x/../../a.jpg"}, "image 2: file_name leads outside"),
    ("images", IMAGE | {"id": 2, "file_name": "..\\a.jpg"}, "image 2: file_name leads outside the folder of images"),
    ("images", IMAGE | {"id": 2, "file_name": "/etc/passwd"}, "image 2: file_name leads outside the folder of images"),
    ("images", IMAGE | {"id": 2, "file_name": "x" * 5000}, "xxx: no JPEG or PNG image .File name too long"),
    ("images", IMAGE, "train2017/a.jpg: listed more than once"),
    ("categories", {"id": 7, "name": "dog"}, "a category id that is given more than once .7, of 'cat'"),
    ("categories", {"id": "8", "name": "dog"}, r"categories\[1\]: an id of another type than .*'8' and 7"),
    ("categories", {"id": [8], "name": "dog"}, r"categories\[1\]: id must be a whole number or a text"),
    ("categories", {"id": 8, "name": ["dog"]}, r"categories\[1\]: name must be a text"),
    ("categories", {"id": 8, "name": "\ud800"}, r"categories\[1\]: name holds half a character .it is '\\ud800'"),
    ("categories", ["dog"], r"categories\[1\]: no object with fields"),
])
def test_every_defect_is_named_and_skipped(tmp_path, part, entry, message):
    sound = {"images": [IMAGE], "categories": [{"id": 7, "name": "cat"}], "annotations": [ANNOTATION | {"id": 3}]}
    write_coco(tmp_path, [])
    edit(tmp_path, **sound | {part: [*sound[part], entry]})
    with pytest.raises(Fault, match=message) as error:
        COCO("train", tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)
    if "more than once" in message:  # nothing is left
        with pytest.raises(GlimpseError, match="has no image|must be a list of names"):
            COCO("train", tmp_path, on_fault="skip")
        return
    data = COCO("train", tmp_path, on_fault="skip")
    assert [example.id for example in data] == [1] and data[0].boxes.tolist() == [[1, 2, 4, 6]]
    assert {what: len(faults) for what, faults in data.skipped.items() if faults} == {
        {"images": "image", "annotations": "object", "categories": "class"}[part]: 1}


def test_a_field_given_twice_and_lists_nested_too_deeply(tmp_path):
    write_coco(tmp_path, [(1, 7, [1, 2, 3, 4])])
    path = tmp_path / "annotations" / "instances_train2017.json"
    text = path.read_text()
    path.write_text(text.replace('"bbox"', '"bbox": [0, 0, 9, 9], "bbox"'))
    with pytest.raises(Fault, match=r"annotations\[0\]: field 'bbox' is given more than once"):
        COCO("train", tmp_path)
    path.write_text(text.replace('"annotations"', '"annotations": [], "annotations"'))
    with pytest.raises(Fault, match="instances_train2017.json: field 'annotations' is given more than once"):
        COCO("train", tmp_path)
    path.write_text(text.replace("[1, 2, 3, 4]", "[" * 100_000 + "]" * 100_000))
    with pytest.raises(GlimpseError, match="instances_train2017.json cannot be read .its lists are nested too deeply"):
        COCO("train", tmp_path)


def test_paths_of_windows(tmp_path):
    write_coco(tmp_path, [(1, 7, [1, 2, 3, 4])], images=("sub/a",))
    edit(tmp_path, images=[{"id": 1, "file_name": "sub\\a.jpg"}])
    assert COCO("train", tmp_path)[0].image.shape == (30, 40, 3)
    (tmp_path / "train2017" / "sub" / "a.jpg").rename(tmp_path / "train2017" / "sub\\a.jpg")  # a name that is one here
    assert COCO("train", tmp_path)[0].image.shape == (30, 40, 3)


def test_image_lists_without_annotations(tmp_path, caplog):
    for split in ("train2017", "test-dev2017"):
        write_coco(tmp_path, [], split=split)
        path = tmp_path / "annotations" / f"instances_{split}.json"
        content = json.loads(path.read_text())
        del content["annotations"]
        path.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        data = COCO("test", tmp_path, splits={"test": "test-dev2017"})
    assert len(data) == 2 and not len(data[0].boxes) and data.class_names == ("dog", "cat")
    assert "holds no list 'annotations': its images are read as images without objects" in caplog.text
    with pytest.raises(GlimpseError, match="instances_train2017.json holds no list 'annotations'"):
        COCO("train", tmp_path)


def test_categories_that_are_no_classes(tmp_path, caplog):
    write_coco(tmp_path, [(1, 7, [1, 2, 3, 4])])
    edit(tmp_path, categories=[{"id": 0, "name": "pets", "supercategory": "none"},
                               {"id": 7, "name": "cat", "supercategory": "pets"}])
    with caplog.at_level(logging.WARNING):
        assert COCO("train", tmp_path).class_names == ("pets", "cat")
    assert "no object is of class 'pets', which is the parent of others; COCO.leave_out = ['pets']" in caplog.text
    data = COCO("train", tmp_path, leave_out=["pets"])
    assert data.class_names == ("cat",) and data.category_ids == [7] and list(data[0].labels) == [0]
    with pytest.raises(Fault, match="annotation 1 of image 1: unknown class 'cat'"):
        COCO("train", tmp_path, leave_out=["cat"])
    with pytest.raises(GlimpseError, match="COCO.leave_out: .* has no category 'dog'; there are 'pets', 'cat'"):
        COCO("train", tmp_path, leave_out=["dog"])
    with pytest.raises(GlimpseError, match="COCO.leave_out must be a list of names, got 'dog'"):
        COCO("train", tmp_path, leave_out="dog")
