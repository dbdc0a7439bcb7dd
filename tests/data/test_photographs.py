"""A folder of photographs whose layout is found out: splits, classes, what is drawn for validation, what is refused."""

import pickle
import shutil

import gin
import numpy as np
import pytest

from glimpse.data.example import NoSplit
from glimpse.data.layouts import find_layout, photographs
from glimpse.errors import GlimpseError
from tests.data.photo_files import write_coco, write_image, write_voc, write_yolo

CAT = [("cat", 1, 1, 20, 30)]
ROW = "0 0.25 0.5 0.5 1\n"


@pytest.fixture(autouse=True)
def no_configuration():
    yield
    gin.clear_config()


def ids(data):
    return [data[place].id for place in range(len(data))]


def write_lists(root, *names):
    for name in names:
        write_voc(root, {f"{name}-{place}": CAT for place in range(2)}, split=name)


def test_the_lists_of_voc(tmp_path):
    write_lists(tmp_path, "train", "val", "test", "trainval")
    assert ids(photographs("train", tmp_path)) == ["train-0", "train-1"]
    assert ids(photographs("validation", tmp_path)) == ["val-0", "val-1"]
    assert ids(photographs("test", tmp_path)) == ["test-0", "test-1"]


def test_a_validation_split_is_not_taken_from_a_list_that_is_part_of_the_training_images(tmp_path):
    write_lists(tmp_path, "trainval", "val")
    train, validation = (ids(photographs(split, tmp_path)) for split in ("train", "validation"))
    assert sorted(train + validation) == ["trainval-0", "trainval-1"]


def test_classes_of_voc_are_read_from_all_splits_or_from_their_file(tmp_path):
    write_voc(tmp_path, {"a": [("dog", 1, 1, 20, 30)]})
    write_voc(tmp_path, {"b": [(" cat ", 1, 1, 20, 30)]}, split="val")
    assert photographs("train", tmp_path).class_names == ("cat", "dog")
    (tmp_path / "classes.txt").write_text("dog\ncat\ncow\n")
    assert photographs("train", tmp_path).class_names == ("dog", "cat", "cow")
    gin.bind_parameter("VOC.classes", ["cat", "dog"])
    assert photographs("train", tmp_path).class_names == ("cat", "dog")


def test_folders_of_splits_in_the_layout_of_voc(tmp_path):
    for split, name in (("train", "Train"), ("valid", "valid")):
        write_voc(tmp_path / "all", {f"{split}-{place}": CAT for place in range(2)})
        for part in ("Annotations", "JPEGImages"):
            (tmp_path / name).mkdir(exist_ok=True)
            shutil.move(tmp_path / "all" / part, tmp_path / name / part.replace("JPEGImages", "images"))
        shutil.rmtree(tmp_path / "all")
    assert ids(photographs("train", tmp_path)) == ["train-0", "train-1"]
    assert ids(photographs("validation", tmp_path)) == ["valid-0", "valid-1"]


def test_coco_by_the_names_of_its_files(tmp_path):
    for split in ("train2017", "val2017"):
        write_coco(tmp_path, [(1, 7, [1, 2, 3, 4])], (f"{split}-a",), split)
    (tmp_path / "annotations" / "captions_train2017.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / "notes.json").write_text("{}")
    layout = find_layout(tmp_path)
    assert layout.reader == "COCO" and list(layout.splits) == ["train", "validation"]
    assert len(photographs("train", tmp_path)) == len(photographs("validation", tmp_path)) == 1
    np.testing.assert_array_equal(photographs("validation", tmp_path)[0].boxes, [[1, 2, 4, 6]])


def test_two_files_of_one_split_are_refused(tmp_path):
    write_coco(tmp_path, [], split="a")
    write_coco(tmp_path, [], split="b")
    with pytest.raises(GlimpseError, match="a.json and .*b.json would both be the split 'train'"):
        photographs("train", tmp_path)


@pytest.mark.parametrize("images, labels", [
    ("images/{}", "labels/{}"), ("{}/images", "{}/labels"), ("{}", "{}")])
def test_yolo_without_a_file_of_classes(tmp_path, images, labels):
    for split, row in (("train", ROW), ("val", "2 0.25 0.5 0.5 1\n")):
        write_image(tmp_path / images.format(split) / "a.jpg")
        (tmp_path / labels.format(split)).mkdir(parents=True, exist_ok=True)
        (tmp_path / labels.format(split) / "a.txt").write_text(row)
    assert find_layout(tmp_path).reader == "YOLO"
    train, validation = (photographs(split, tmp_path) for split in ("train", "validation"))
    assert train.class_names == validation.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(train[0].boxes, [[0, 0, 20, 30]])
    assert validation[0].labels == 2


def test_a_folder_in_a_folder(tmp_path):
    write_yolo(tmp_path / "export" / "mine", {"a": ROW, "b": ROW}, data="train: images/train\nnames: [cat]\n")
    (tmp_path / "__MACOSX").mkdir()
    assert photographs("train", tmp_path).class_names == ("cat",)


def test_validation_images_are_drawn_once_and_for_all(tmp_path, caplog):
    write_yolo(tmp_path, {f"{place:02}": ROW for place in range(10)}, data="train: images/train\nnames: [cat]\n")
    train, validation = (ids(photographs(split, tmp_path)) for split in ("train", "validation"))
    assert len(train) == 8 and len(validation) == 2 and sorted(train + validation) == [f"{n:02}" for n in range(10)]
    assert ids(photographs("validation", tmp_path)) == validation
    assert ids(photographs("validation", tmp_path, seed=1)) != validation
    assert len(photographs("validation", tmp_path, validation=0.5)) == 5
    said = [record.message for record in caplog.records if "has no validation split" in record.message]
    assert "2 of its 10 training images, drawn with photographs.seed = 0, are not trained on" in said[0]
    assert photographs("train", tmp_path).outline(0).size == (30, 40)
    with pytest.raises(IndexError):
        photographs("train", tmp_path)[8]


def test_a_drawn_split_goes_to_another_process(tmp_path):
    write_voc(tmp_path, {name: CAT for name in "abc"})
    for split in ("train", "validation"):
        data = photographs(split, tmp_path)
        again = pickle.loads(pickle.dumps(data))
        assert ids(again) == ids(data) and again.class_names == data.class_names == ("cat",)
        assert again.outline(0).id == data[0].id and again.stamp(0) == data.stamp(0)


def test_a_split_that_is_not_there(tmp_path):
    write_yolo(tmp_path, {"a": ROW, "b": ROW}, data="train: images/train\nnames: [cat]\n")
    with pytest.raises(NoSplit, match="has no split 'test'; there are train"):
        photographs("test", tmp_path)


@pytest.mark.parametrize("files, said", [
    ({}, "is in no layout that is known here: looked for a YAML file with names and train"),
    ({"a.jpg": "", "notes.txt": "1 2 3"}, "is in no layout that is known here"),
    ({"000001.txt": "000001\n000002\n000003\n000004\n000005\n000006\n"}, "is in no layout that is known here"),
])
def test_folders_without_a_layout(tmp_path, files, said):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(GlimpseError, match=said) as error:
        photographs("train", tmp_path)
    assert "\n" not in str(error.value)


def test_other_folders_that_are_refused(tmp_path):
    with pytest.raises(GlimpseError, match="nowhere is no folder; DATA_ROOT names the folder"):
        photographs("train", tmp_path / "nowhere")
    write_voc(tmp_path, {"a": CAT, "b": CAT})
    write_yolo(tmp_path, {"a": ROW, "b": ROW})
    with pytest.raises(GlimpseError, match=r"holds YOLO \(.*data.yaml\) and VOC \(.*Annotations\): say which is meant"):
        photographs("train", tmp_path)
    assert photographs("train", tmp_path, layout="VOC").class_names == ("cat",)


def test_a_defect_names_the_way_to_see_and_to_skip_them_all(tmp_path):
    write_yolo(tmp_path, {"a": ROW, "b": "0 0.25 0.5 0.5 1 0 0\n"}, data="train: images/train\nnames: [cat]\n")
    with pytest.raises(GlimpseError, match=r"b.txt, line 1: a row that .* experiments.inspect --data=.* 'skip'"):
        photographs("train", tmp_path)
    assert len(photographs("train", tmp_path, on_fault="skip")) == 1
    gin.bind_parameter("YOLO.polygons", True)  # what the configuration says of the reader goes before
    data = [photographs(split, tmp_path) for split in ("train", "validation")]
    boxes = {data[place][0].id: data[place][0].boxes.tolist() for place in range(2)}
    assert boxes == {"a": [[0, 0, 20, 30]], "b": [[0, 0, 20, 30]]}  # the latter around (10, 15), (20, 30) and (0, 0)
