"""The whole way of photographs, on a small folder in VOC's layout."""

import json

import numpy as np
import pytest

from experiments import detect, evaluate, train
from glimpse import config
from glimpse.training.experiment import Experiment
from tests.data.photo_files import write_image, write_voc, write_yolo


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


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def own_photos(tmp_path_factory):
    """Pictures that lie, in YOLO's layout, without a validation and a test split; one for later that stands."""
    root = tmp_path_factory.mktemp("own")
    for place in range(6):
        write_image(root / "mine" / "images" / "train" / f"{place}.jpg", size=(30 + place, 60))
    write_yolo(root / "mine", {f"{place}": "0 0.25 0.5 0.5 0.9\n1 0.7 0.5 0.4 0.4\n" for place in range(6)},
               data="train: images/train\nnames: ['cost_$5$', 'a|b/c']\n")
    write_image(root / "upright.jpg", size=(60, 40))
    return root


def test_a_folder_of_photographs_at_the_first_try(own_photos, capsys, caplog):
    """experiments/photos.gin as it is, but for its size and its ImageNet weights."""
    small = ["efficientnet_lite0.weights=None", "TRAIN_STEPS=2", "Framing.short_side=32", "Framing.longest_side=64",
             "WindowGrid.sizes=(200, 320)", "RoISampling.rois_per_image=8", f"CACHE={str(own_photos / 'cache')!r}",
             "GlimpseDetector.units=(8, 8)", f"DATA_ROOT={str(own_photos / 'mine')!r}"]
    run = own_photos / "run"
    train.main(["--gin_file=experiments/photos.gin", f"--workdir={run}", *(f"--gin_param={each}" for each in small)])
    assert "In call to" not in caplog.text
    assert "has no split 'test'; there are train: nothing is evaluated on it" in caplog.text
    assert "read in the layout of YOLO" in caplog.text and "1 of its 6 training images" in caplog.text
    results, data = (json.loads((run / name).read_text()) for name in ("results.json", "data.json"))
    assert list(results["metrics"]) == ["validation"]
    assert data["class_names"] == ["cost_$5$", "a|b/c"] and data["canvas"] == [32, 64]  # 30 x 60 becomes 32 x 64
    capsys.readouterr()

    evaluate.main([f"--run={run}", "--split=validation", f"--detections={own_photos / 'found'}"])
    assert json.loads(capsys.readouterr().out)["metrics"] == results["metrics"]["validation"]
    assert (own_photos / "found" / "comp4_det_validation_a%7Cb%2Fc.txt").is_file()
    detect.main([f"--run={run}", str(own_photos / "upright.jpg"), "--score=0.01", "--glimpses"])
    assert (run / "detections" / "upright.png").is_file()
    with pytest.raises(SystemExit):
        evaluate.main([f"--run={run}", "--split=test"])
    assert "has no split 'test'; there are train" in capsys.readouterr().err


def test_the_shipped_data_sets_keep_their_reader_and_canvas():
    for name, canvas in (("aquarium", (640, 640)), ("bccd", (480, 640))):
        with config.configuration(f"experiments/{name}.gin", ["DATA_ROOT = 'x'"]) as text:
            assert config.setting("Framing.canvas") == canvas and config.setting("Experiment.coco_ap") is True
            assert config.setting("Experiment.data") == "@VOC" and config.setting("VOC.classes") == "classes.txt"
            assert config.setting("Experiment.proposals") == "@SelectiveSearch()" and "photographs" not in text
