import json

import numpy as np
import pytest

from glimpse.evaluation.average_precision import evaluate
from glimpse.evaluation.coco_ap import evaluate_coco
from glimpse.evaluation.detection_files import write_coco_results, write_voc_results

pytest.importorskip("pycocotools")
NAMES = ("cat", "dog")


def found(boxes=(), scores=(), labels=()):
    return {"boxes": np.reshape(np.asarray(boxes, np.float32), [-1, 4]), "scores": np.asarray(scores, np.float32),
            "labels": np.asarray(labels, np.int32)}


def truth(boxes=(), labels=(), difficult=None):
    return {"boxes": np.reshape(np.asarray(boxes, np.float32), [-1, 4]), "labels": np.asarray(labels, np.int32),
            "difficult": np.zeros(len(labels), bool) if difficult is None else np.array(difficult)}


def test_by_hand():
    # A cat found at IoU 0.8, after a miss of a higher score; a dog not found.
    detections = [found([[50, 50, 60, 60], [0, 0, 10, 8]], [0.9, 0.8], [0, 0]), found()]
    objects = [truth([[0, 0, 10, 10]], [0]), truth([[0, 0, 9, 9]], [1])]
    metrics = evaluate_coco(detections, objects, NAMES)
    # Precision 1/2 at every recall of the cat, none of the dog; 0.8 passes 0.50, 0.55, ..., 0.80, seven of ten
    # thresholds.
    assert metrics["coco_ap@0.50"] == pytest.approx(0.25) == metrics["coco_ap@0.75"]
    assert metrics["coco_ap@0.50:0.95"] == pytest.approx(0.25 * 0.7)
    assert metrics["coco_ar100@0.50:0.95"] == pytest.approx(0.5 * 0.7) and metrics["coco_ar1@0.50:0.95"] == 0


def test_a_crowd_takes_any_number_of_detections():
    boxes = [[0, 0, 10, 10], [20, 20, 90, 90]]
    inside = [[30, 30, 40, 40], [50, 50, 60, 60]]
    detections = [found([boxes[0], *inside], [0.5, 0.9, 0.8], [0, 0, 0])]
    assert evaluate_coco(detections, [truth(boxes, [0, 0], [False, True])], NAMES)["coco_ap@0.50"] == pytest.approx(1)
    # As an ordinary object it is not found, and they are wrong: precision 1/3 up to recall 1/2, 51 of 101 levels.
    assert evaluate_coco(detections, [truth(boxes, [0, 0])], NAMES)["coco_ap@0.50"] == pytest.approx(51 / 101 / 3)


def test_close_to_voc_2010_where_there_is_no_crowd():
    random = np.random.default_rng(0)
    objects, detections = [], []
    for _ in range(30):
        corners = random.uniform(0, 80, (8, 2))
        boxes = np.concatenate([corners, corners + random.uniform(10, 40, (8, 2))], axis=1)
        labels = random.integers(0, 2, 8)
        objects.append(truth(boxes, labels))
        detections.append(found(boxes + random.normal(0, 3, boxes.shape), random.uniform(0, 1, 8), labels))
    ours, theirs = evaluate(detections, objects, NAMES), evaluate_coco(detections, objects, NAMES)
    assert 0.2 < theirs["coco_ap@0.50:0.95"] < 0.8
    for threshold in ("0.50", "0.75", "0.50:0.95"):
        assert theirs[f"coco_ap@{threshold}"] == pytest.approx(ours[f"voc10_map@{threshold}"], abs=0.01)


def test_nothing_found_and_nothing_there():
    assert evaluate_coco([found()], [truth([[0, 0, 9, 9]], [1])], NAMES)["coco_ap@0.50"] == 0
    assert evaluate_coco([found([[0, 0, 9, 9]], [1], [0])], [truth()], NAMES) == {}


def test_result_files(tmp_path):
    detections = [found([[0, 0, 10, 10], [4.25, 6, 5, 7]], [0.75, 0.5], [1, 0]), found()]
    write_coco_results(tmp_path / "r.json", detections, [42, "x"], [3, 7])
    assert json.loads((tmp_path / "r.json").read_text()) == [
        {"image_id": 42, "category_id": 7, "bbox": [0, 0, 10, 10], "score": 0.75},
        {"image_id": 42, "category_id": 3, "bbox": [4.25, 6, 0.75, 1], "score": 0.5}]
    write_voc_results(tmp_path, "test", detections, ["000042", "x"], NAMES)
    assert (tmp_path / "comp4_det_test_dog.txt").read_text() == "000042 0.750000 1.00 1.00 10.00 10.00\n"
    assert (tmp_path / "comp4_det_test_cat.txt").read_text() == "000042 0.500000 5.25 7.00 5.00 7.00\n"


def test_ids_that_are_texts_stay_texts_for_pycocotools(tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    truth_file = {"images": [{"id": "000001"}, {"id": "7"}], "categories": [{"id": "c", "name": "cat"}],
                  "annotations": [{"id": 1, "image_id": "000001", "category_id": "c", "bbox": [0, 0, 10, 10],
                                   "area": 100, "iscrowd": 0}]}
    (tmp_path / "truth.json").write_text(json.dumps(truth_file))
    write_coco_results(tmp_path / "r.json", [found([[0, 0, 10, 10]], [0.75], [0]), found([[0, 0, 9, 9]], [0.5], [0])],
                       ["000001", "7"], ["c"])
    coco = COCO(tmp_path / "truth.json")
    scoring = COCOeval(coco, coco.loadRes(str(tmp_path / "r.json")), "bbox")
    scoring.evaluate()
    scoring.accumulate()
    scoring.summarize()
    assert scoring.stats[0] == pytest.approx(1)


def test_class_names_and_ids_of_any_characters_stay_in_the_directory_and_apart(tmp_path):
    names = ("../up", "a/b", "a%2Fb", "cat", "Cat", "猫", "..", "con\nvict", "x" * 400, "x" * 401)
    directory = tmp_path / "found"
    directory.mkdir()
    boxes = [found([[0, 0, 10, 10]] * len(names), [0.5] * len(names), range(len(names)))]
    write_voc_results(directory, "../test", boxes, ["photo 1\n"], names)
    files = sorted(path.name for path in directory.iterdir())
    assert len(files) == len(names) and [path.name for path in tmp_path.iterdir()] == ["found"]
    assert {"comp4_det_%2E.%2Ftest_%2E.%2Fup.txt", "comp4_det_%2E.%2Ftest_猫.txt"} <= set(files)
    for file in files:
        assert (directory / file).read_text() == "photo%201%0A 0.500000 1.00 1.00 10.00 10.00\n"
