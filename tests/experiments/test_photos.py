"""The whole way of photographs, on a small folder in VOC's layout."""

import json

import numpy as np
import pytest

from experiments import evaluate
from glimpse import config
from glimpse.training.experiment import Experiment
from tests.data.photo_files import write_voc


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
    assert len(found) == len(lines) > 0 and {each["image_id"] for each in found} == {f"test-{place}"
                                                                                     for place in range(3)}
    # in the pixels of the files, not of the network
    sizes = {"test-0": (40, 30), "test-1": (60, 40), "test-2": (40, 60)}
    for id, _, x1, y1, x2, y2 in lines:
        assert 1 <= float(x1) and 1 <= float(y1)
        assert float(x2) <= sizes[id][0] + 0.01 and float(y2) <= sizes[id][1] + 0.01


def test_the_recipe_of_fast_rcnn_trains_on_a_small_devkit(tmp_path):
    """experiments/hara_voc07.gin as it is, but for its size, its ImageNet weights and its selective search."""
    for split in ("trainval", "test"):
        write_voc(tmp_path, {f"{split}-{place}": [("cat", 3, 5, 22, 28), ("dog", 20, 2, 38, 20, int(place > 0))]
                             for place in range(3)}, split=split)
    (tmp_path / "small.gin").write_text("\n".join([
        "import glimpse.data.proposals", "include 'experiments/hara_voc07.gin'", f"DATA_ROOT = {str(tmp_path)!r}",
        "Experiment.proposals = @WindowGrid()", "Framing.short_side = 64", "Framing.longest_side = 96",
        "vgg16.weights = None", "GlimpseDetector.units = (16, 16)", "TRAIN_STEPS = 2", "Experiment.log_every = 1"]))
    with config.configuration(tmp_path / "small.gin"):
        experiment = Experiment()
        detector, policy_optimizer = experiment.detector, experiment.trainer.policy_optimizer
        before = {v.path: v.numpy() for v in detector.trainable_variables}
        experiment.train(tmp_path)
        moved = {v.path: np.abs(v.numpy() - before[v.path]).max() for v in detector.trainable_variables}
        assert detector.num_classes == 20 and detector.num_glimpses == 3 and detector.pooled_size == (7, 7)
        assert policy_optimizer.iterations == 2 and float(policy_optimizer.learning_rate) == pytest.approx(2e-5)
        # conv1 and conv2 rest, as in Fast R-CNN (2015), section 4.5; all else has moved, the glimpse head among it.
        assert not any("block1" in path or "block2" in path for path in moved)
        assert sum("block" in path for path in moved) == 2 * 9 and any("glimpse_head" in path for path in moved)
        assert all(moved.values())
        assert 0 <= experiment.evaluate("test")["metrics"]["voc07_map@0.50"] <= 1
