"""The builders of TensorFlow Datasets itself, on folders that the test writes in the place of their downloads."""

import numpy as np
import pytest

from glimpse.data.tfds import TFDS
from glimpse.data.voc import VOC
from glimpse.errors import GlimpseError
from tests.data.photo_files import write_coco, write_voc

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def local(tmp_path, monkeypatch):
    """Both builders, with `tmp_path` as what they have downloaded and unpacked."""
    from tensorflow_datasets.object_detection import coco, voc
    monkeypatch.setattr(voc.Voc, "_split_generators", lambda self, manager: {
        "train": self._generate_examples(tmp_path, "train")})
    monkeypatch.setattr(coco.Coco, "_split_generators", lambda self, manager: {
        "validation": self._generate_examples(
            str(tmp_path), str(tmp_path), "val2017", coco.AnnotationType.BBOXES, None)})
    return tmp_path


def test_voc_gives_what_the_reader_of_its_folder_gives(local):
    root = local / "VOCdevkit" / "VOC2007"
    write_voc(root, {"a": [("cat", 1, 1, 40, 30), ("dog", 5, 7, 5, 7, 1)], "b": [("person", 3, 4, 33, 24)]})
    data, folder = TFDS("train", "voc/2007", str(local / "prepared")), VOC("train", root)
    assert data.class_names == folder.class_names and len(data) == 2
    expected = {example.id: example for example in folder}
    for example in data:
        for part, other in zip(example[2:], expected.pop(example.id)[2:]):
            np.testing.assert_allclose(part, other, atol=1e-3)
            assert part.dtype == other.dtype
    assert not expected and data[0].image.shape == (30, 40, 3) and data[0].image.dtype == np.uint8


def test_coco_and_its_crowds(local):
    categories = [(id, f"class {id}") for id in range(1, 81)]  # as many as the builder wants
    write_coco(local, [(1, 7, [1.5, 2, 10, 20.25]), (1, 3, [0, 0, 40, 30], True)], ("a",), "val2017", categories)
    data = TFDS("validation", "coco/2017", str(local / "prepared"))
    np.testing.assert_allclose(data[0].boxes, [[1.5, 2, 11.5, 22.25], [0, 0, 40, 30]], atol=1e-3)
    assert [data.class_names[label] for label in data[0].labels] == ["class 7", "class 3"]
    assert data[0].id == 1 and list(data[0].difficult) == [False, True]


def test_faults_name_the_data_set(local):
    write_voc(local / "VOCdevkit" / "VOC2007", {"a": []})
    with pytest.raises(GlimpseError, match="TFDS: 'voc/2007', split 'dev': "):
        TFDS("dev", "voc/2007", str(local / "prepared"))
    with pytest.raises(GlimpseError, match="TFDS: 'no_such_set', split 'train': "):
        TFDS("train", "no_such_set", str(local))


@pytest.mark.parametrize("name", ["huggingface:voc", "kubric:movi_a/256x256", "x:y:1.0.0", 3, None])
def test_data_sets_of_others_whose_code_would_be_run_are_refused(name):
    with pytest.raises(GlimpseError, match="TFDS.name must be that of a data set of TensorFlow Datasets itself"):
        TFDS("train", name)
