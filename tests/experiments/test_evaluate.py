import json
from types import SimpleNamespace

import pytest

from experiments import evaluate
from experiments.evaluate import data_of, write_detections
from glimpse.data.coco import COCO
from glimpse.training.trained_on import read_trained_on, trained_on_of, write_trained_on
from tests.data.photo_files import write_coco


@pytest.mark.parametrize("ids, category_ids", [((1, 2), (3, 7)), (("000001", "x y"), ("a/b", "../c"))])
def test_detections_are_of_the_ids_that_pycocotools_knows(tmp_path, ids, category_ids):
    """What is written for a data set is scored against that data set's own file."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    write_coco(tmp_path, [(ids[0], category_ids[0], [1, 2, 10, 10]), (ids[1], category_ids[1], [3, 4, 20, 20])],
               categories=[(id, f"../{id}") for id in category_ids])
    path = tmp_path / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    for image, id in zip(content["images"], ids):
        image["id"] = id
    path.write_text(json.dumps(content))
    data = COCO("train", tmp_path)
    write_trained_on(tmp_path, trained_on_of(data))  # a run keeps them so
    detections = [{"id": e.id, "boxes": e.boxes, "labels": e.labels, "scores": [0.5] * len(e.boxes)} for e in data]
    write_detections(tmp_path / "found", "../test", detections, read_trained_on(tmp_path))

    assert len(list((tmp_path / "found").iterdir())) == 3 and not list(tmp_path.glob("*_test*"))
    truth = coco.COCO(path)
    scoring = evaluation.COCOeval(truth, truth.loadRes(str(tmp_path / "found" / "coco_results_%2E.%2Ftest.json")),
                                  "bbox")
    scoring.evaluate()
    scoring.accumulate()
    scoring.summarize()
    assert scoring.stats[0] == pytest.approx(1)


def test_from_the_boxes_just_found_and_what_excludes_each_other(digit_run, capsys):
    evaluate.main([f"--run={digit_run}", "--iterations=2"])
    result = json.loads(capsys.readouterr().out)
    assert result["glimpses_per_proposal"] == 6  # T = 2, three times
    for flags, message in ((["--iterations=-1"], "--iterations must be a whole number of at least 0, got -1"),
                           (["--iterations=1", "--confidence=0.5"], "exclude each other: give one")):
        with pytest.raises(SystemExit) as stop:
            evaluate.main([f"--run={digit_run}", *flags])
        assert stop.value.code == 2 and message in capsys.readouterr().err


def test_results_tell_the_role_of_the_policy_and_the_commit_of_the_code(digit_run):
    results = json.loads((digit_run / "results.json").read_text())
    assert results["policy_role"] == "rival"
    assert results["code"] is None or len(results["code"]["commit"]) == 40 and results["code"]["clean"] in (True, False)
    assert (digit_run / "matches_test.npz").is_file()


def test_the_ids_of_the_classes_are_those_of_the_file_that_is_evaluated(tmp_path):
    """Training and test images were numbered otherwise; names tell which class is which."""
    for split, ids in (("train2017", (1, 2)), ("val2017", (11, 12))):
        write_coco(tmp_path, [(1, ids[0], [1, 2, 10, 10])], split=split, categories=[*zip(ids, ("cat", "dog"))])
    data = COCO("validation", tmp_path)
    run = SimpleNamespace(annotated=lambda split: data, trained_on=trained_on_of(COCO("train", tmp_path)))
    assert run.trained_on.category_ids == (1, 2) and data_of(run, "validation").category_ids == (11, 12)
    found = [{"id": 1, "boxes": data[0].boxes, "labels": data[0].labels, "scores": [0.5]}]
    write_detections(tmp_path / "found", "validation", found, data_of(run, "validation"))
    result, = json.loads((tmp_path / "found" / "coco_results_validation.json").read_text())
    assert result["category_id"] == 11
