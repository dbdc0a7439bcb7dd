"""The whole way of photographs, on a small folder in VOC's layout."""

import json

import pytest

from experiments import evaluate


def test_train_and_evaluate_on_a_folder_of_images_of_different_sizes(tmp_path, train_on_photos, capsys):
    pytest.importorskip("pycocotools")
    workdir = train_on_photos("Experiment.coco_ap = True")
    results = json.loads((workdir / "results.json").read_text())
    assert {"voc07_map@0.50", "voc10_map@0.50", "coco_ap@0.50:0.95"} <= set(results["metrics"]["test"])
    capsys.readouterr()

    evaluate.main([f"--run={workdir}", "--split=test", f"--detections={tmp_path / 'found'}"])
    assert json.loads(capsys.readouterr().out)["metrics"] == results["metrics"]["test"]
    found = json.loads((tmp_path / "found" / "coco_results_test.json").read_text())
    lines = [line.split() for name in ("cat", "dog")
             for line in (tmp_path / "found" / f"comp4_det_test_{name}.txt").read_text().splitlines()]
    assert len(found) == len(lines) > 0 and {each["image_id"] for each in found} == {f"test-{place}" for place in range(3)}
    sizes = {"test-0": (40, 30), "test-1": (60, 40), "test-2": (40, 60)}  # in the pixels of the files, not of the network
    for id, _, x1, y1, x2, y2 in lines:
        assert 1 <= float(x1) and 1 <= float(y1) and float(x2) <= sizes[id][0] + 0.01 and float(y2) <= sizes[id][1] + 0.01
