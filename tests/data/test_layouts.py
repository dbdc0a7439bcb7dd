"""What annotation tools export, as each of them lays it out: the readers read the same boxes from all of them.

Sources: the exports of labelImg 1.8, CVAT 2 (formats "Pascal VOC 1.1", "COCO 1.0", "YOLO 1.1" and "Ultralytics YOLO
Detection"), VoTT 2 (VOC) and 1 (YOLO), Label Studio 1, Roboflow, LabelMe's labelme2voc.py and labelme2coco.py,
labelme2yolo.
"""

import json
import unicodedata

import numpy as np
import pytest

from glimpse.data.coco import COCO
from glimpse.data.example import NoSplit
from glimpse.data.layouts import find_layout, photographs
from glimpse.data.voc import VOC
from glimpse.data.yolo import YOLO
from glimpse.errors import GlimpseError
from tests.data.photo_files import write_image

# The same two objects everywhere, in an image of 40 x 30; a second image shows none.
NAMES = ("cat", "red dog")
BOXES = {"cat": (4, 6, 20, 15), "red dog": (10, 0, 40, 30)}  # xyxy, continuous


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            write_image(root / name)
        else:
            (root / name).write_text(content, encoding="utf-8")


def xml(head="", decimals=0, objects=True, more=""):
    """VOC's coordinates are 1-based and include the last pixel."""
    things = "".join(
        f"""<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>{more}
        <bndbox><xmin>{x1 + 1:.{decimals}f}</xmin><ymin>{y1 + 1:.{decimals}f}</ymin><xmax>{x2:.{decimals}f}</xmax>
        <ymax>{y2:.{decimals}f}</ymax></bndbox></object>"""
        for name, (x1, y1, x2, y2) in BOXES.items() if objects)
    return f"""<annotation verified="yes">{head}<size><width>40</width><height>30</height><depth>3</depth></size>
    <segmented>0</segmented>{things}</annotation>"""


def rows():
    """YOLO's class, centre and size, in shares of 40 x 30."""
    return "".join(f"{label} {(x1 + x2) / 80:.6f} {(y1 + y2) / 60:.6f} {(x2 - x1) / 40:.6f} {(y2 - y1) / 30:.6f}\n"
                   for label, (x1, y1, x2, y2) in enumerate(BOXES.values()))


def instances(folder="", first_id=1, parent=False):
    names = ["animals", *NAMES] if parent else NAMES
    return json.dumps({
        "info": {"description": "", "date_created": ""}, "licenses": [{"id": 0, "name": "", "url": ""}],
        "images": [{"id": id, "width": 40, "height": 30, "file_name": f"{folder}{name}.jpg", "flickr_url": ""}
                   for id, name in enumerate(("a", "b"), start=first_id)],
        "categories": [{"id": id, "name": name, "supercategory": "animals" if parent and id else "none"}
                       for id, name in enumerate(names, start=first_id)],
        "annotations": [{"id": id, "image_id": first_id, "category_id": id + first_id + parent, "segmentation": [],
                         "area": 1.0, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0,
                         "attributes": {"occluded": False}}
                        for id, (x1, y1, x2, y2) in enumerate(BOXES.values())]})


def images(folder):
    return {f"{folder}/a.jpg": None, f"{folder}/b.jpg": None}


LAYOUTS = {
    "labelImg VOC": (
        lambda: {**images("."), "a.xml": xml("<folder>x</folder><path>C:\\a.jpg</path>"), "b.xml": xml(objects=False)},
        lambda root: VOC("train", root, NAMES, lists=None, images=".", annotations=".")),
    "labelImg YOLO": (
        lambda: {**images("."), "a.txt": rows(), "b.txt": "", "classes.txt": "cat\nred dog\n"},
        lambda root: YOLO("train", root, "classes.txt", ".")),
    "CVAT VOC": (
        lambda: {**images("JPEGImages"), "Annotations/a.xml": xml(decimals=2, more="<occluded>0</occluded>"),
                 "Annotations/b.xml": xml(objects=False), "ImageSets/Main/default.txt": "a\nb\n",
                 "labelmap.txt": "# label:color_rgb:parts:actions\n"},
        lambda root: VOC("default", root, NAMES)),
    "CVAT COCO": (
        lambda: {**images("images"), "annotations/instances_default.json": instances()},
        lambda root: COCO("default", root, images="images")),
    "CVAT YOLO 1.1": (
        lambda: {**images("obj_train_data"), "obj_train_data/a.txt": rows(), "obj_train_data/b.txt": "",
                 "obj.names": "cat\nred dog\n", "obj.data": "classes = 2\ntrain = data/train.txt\n",
                 "train.txt": "data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n"},
        lambda root: YOLO("train", root, "obj.names", "{split}.txt")),
    "CVAT Ultralytics": (
        lambda: {**images("images/train"), "labels/train/a.txt": rows(), "labels/train/b.txt": "",
                 "data.yaml": "names:\n  0: cat\n  1: red dog\npath: .\ntrain: train.txt\n",
                 "train.txt": "data/images/train/a.jpg\ndata/images/train/b.jpg\n"},
        lambda root: YOLO("train", root)),
    "VoTT VOC": (
        lambda: {**images("JPEGImages"), "Annotations/a.xml": xml(decimals=6), "Annotations/b.xml": xml(objects=False),
                 "ImageSets/Main/cat_train.txt": "a.jpg 1\nb.jpg -1\n"},
        lambda root: VOC("train", root, NAMES, splits={"train": "cat_train"})),
    "VoTT YOLO": (
        lambda: {**images("data/obj"), "data/obj/a.txt": rows(), "data/obj/b.txt": "",
                 "data/obj.names": "cat\r\nred dog\r\n", "data/train.txt": "data/obj/a.jpg\r\ndata/obj/b.jpg\r\n"},
        lambda root: YOLO("train", root, "data/obj.names", "data/{split}.txt")),
    "Label Studio VOC": (
        lambda: {**images("images"), "Annotations/a.xml": xml(), "Annotations/b.xml": xml(objects=False)},
        lambda root: VOC("train", root, NAMES, lists=None, images="images")),
    "Label Studio COCO": (
        lambda: {**images("images"), "result.json": instances("images\\", first_id=0)},
        lambda root: COCO("train", root, "result.json", ".")),
    "Label Studio YOLO": (
        lambda: {**images("images"), "labels/a.txt": rows(), "labels/b.txt": "", "classes.txt": "cat\nred dog"},
        lambda root: YOLO("train", root, "classes.txt", "images")),
    "Roboflow VOC": (
        lambda: {**images("valid"), "valid/a.xml": xml(more="<occluded>0</occluded>"),
                 "valid/b.xml": xml(objects=False)},
        lambda root: VOC("validation", root, NAMES, {"validation": "valid"}, None, "{split}", "{split}")),
    "Roboflow COCO": (
        lambda: {**images("valid"), "valid/_annotations.coco.json": instances(first_id=0, parent=True)},
        lambda root: COCO("validation", root, "{split}/_annotations.coco.json", splits={"validation": "valid"},
                          leave_out=["animals"])),
    "Roboflow YOLO": (
        lambda: {**images("valid/images"), "valid/labels/a.txt": rows(), "valid/labels/b.txt": "", "data.yaml":
                 "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\n"
                 "names: ['cat', 'red dog']\n"},
        lambda root: YOLO("validation", root)),
    "LabelMe VOC": (
        lambda: {**images("JPEGImages"), "Annotations/a.xml": xml("<folder/><annotation/><image/>", decimals=1),
                 "Annotations/b.xml": xml(objects=False), "class_names.txt": "cat\nred dog"},
        lambda root: VOC("train", root, "class_names.txt", lists=None)),
    "LabelMe COCO": (
        lambda: {**images("JPEGImages"), "annotations.json": instances("JPEGImages/", first_id=0)},
        lambda root: COCO("train", root, "annotations.json", ".")),
    "LabelMe YOLO": (
        lambda: {**images("images/train"), "labels/train/a.txt": rows(), "labels/train/b.txt": "", "dataset.yaml":
                 "path: /home/x/YOLODataset\ntrain: images/train\nval: images/val\ntest:\n"
                 "names:\n  0: cat\n  1: red dog\n"},
        lambda root: YOLO("train", root, "dataset.yaml")),
    "Ultralytics": (
        lambda: {**images("images/val"), "labels/val/a.txt": rows(), "data.yaml":
                 "path: ../datasets/x  # from the working directory\ntrain: images/train\nval: images/val\n"
                 "names: [cat, red dog]\n"},
        lambda root: YOLO("validation", root)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tool_gives_the_same_boxes(tmp_path, layout):
    files, read = LAYOUTS[layout]
    write(tmp_path, files())
    data = read(tmp_path)
    assert data.class_names == NAMES and len(data) == 2
    shown, empty = data[0], data[1]
    np.testing.assert_allclose(shown.boxes, list(BOXES.values()), atol=1e-4)
    assert list(shown.labels) == [0, 1] and not shown.difficult.any() and not len(empty.boxes)
    assert str(shown.id).endswith(("a", "1", "0")) and shown.image.shape == (30, 40, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_every_tool_is_found_out(tmp_path, layout):
    files, _ = LAYOUTS[layout]
    write(tmp_path, files())
    if any("val" in name.partition(".")[0] for name in files()):
        splits = ("validation",)
    else:  # the images lie in train; where the tool names no images for validation, one of them is drawn for it
        splits = ("train",) if "validation" in find_layout(tmp_path).splits else ("train", "validation")
    data = [photographs(split, tmp_path) for split in splits]
    examples = [each[place] for each in data for place in range(len(each))]
    assert all(each.class_names == NAMES for each in data) and len(examples) == 2
    shown, empty = sorted(examples, key=lambda example: -len(example.boxes))
    np.testing.assert_allclose(shown.boxes, list(BOXES.values()), atol=1e-4)
    assert list(shown.labels) == [0, 1] and not len(empty.boxes)


def test_lists_of_classes_that_name_different_images_are_no_split(tmp_path):
    write(tmp_path, {**images("JPEGImages"), "Annotations/a.xml": xml(), "Annotations/b.xml": xml(objects=False),
                     "ImageSets/Main/cat_train.txt": "a -1\nb  1\n", "ImageSets/Main/dog_train.txt": "b 1\na 1\n"})
    assert len(photographs("train", tmp_path)) == 1  # and one for validation
    (tmp_path / "ImageSets" / "Main" / "dog_train.txt").write_text("b 1\n")
    with pytest.raises(GlimpseError, match="cat_train.txt and .*dog_train.txt name different images: write .*/train"):
        photographs("train", tmp_path)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    assert len(photographs("train", tmp_path)) == 1


def test_names_in_two_codings_of_accents_are_one_class(tmp_path):
    for name, form in (("a", "NFC"), ("b", "NFD")):
        write(tmp_path, {f"{name}.jpg": None, f"{name}.xml": unicodedata.normalize(form, xml().replace("cat", "café"))})
    assert len(photographs("train", tmp_path).class_names) == 2


def test_the_test_images_of_coco_need_no_annotations(tmp_path, caplog):
    """COCO's own folder; the parent of the categories is in the file of the training images alone."""
    test = json.loads(instances())
    del test["annotations"]
    write(tmp_path, {**images("train2017"), **images("test2017"), "annotations/captions_train2017.json": "{}",
                     "annotations/instances_train2017.json": instances(parent=True),
                     "annotations/image_info_test-dev2017.json": json.dumps(test)})
    data = photographs("test", tmp_path)
    assert data.class_names == NAMES and len(data) == 2 and not len(data[0].boxes)
    assert photographs("train", tmp_path).class_names == NAMES
    (tmp_path / "annotations" / "image_info_test2017.json").write_text(json.dumps(test))
    with pytest.raises(NoSplit, match="has no split 'test'"):
        photographs("test", tmp_path)
    assert "are lists of images without annotations, of which none is read" in caplog.text


def test_a_parent_that_has_none_itself_is_left_out(tmp_path):
    content = json.loads(instances(parent=True))
    del content["categories"][0]["supercategory"]
    write(tmp_path, {**images("."), "train.json": json.dumps(content)})
    assert photographs("train", tmp_path).class_names == NAMES


def test_too_long_a_name_of_an_image_is_left_out_like_others(tmp_path):
    content = json.loads(instances())
    content["images"].insert(0, {"id": 9, "file_name": "a" * 5000})
    write(tmp_path, {**images("train"), "train.json": json.dumps(content)})
    with pytest.raises(GlimpseError, match="File name too long"):
        photographs("train", tmp_path)
    assert len(photographs("train", tmp_path, on_fault="skip")) == 1  # and one for validation


def test_names_in_the_log_stay_on_its_line(tmp_path, caplog):
    write(tmp_path, {**images("."), "train.json": instances().replace('"cat"', json.dumps("a\nb\x1b[31m\u202e"))})
    photographs("train", tmp_path)
    line, = (record.getMessage() for record in caplog.records if "read in the layout" in record.getMessage())
    assert line.isprintable() and r"a\nb\x1b[31m\u202e" in line
