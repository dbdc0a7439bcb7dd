"""The whole way of photographs, on a small folder in VOC's layout."""

import json

import pytest

from experiments import evaluate, train
from tests.data.photo_files import write_image, write_voc


def test_train_and_evaluate_on_a_folder_of_images_of_different_sizes(tmp_path, tiny, capsys):
    pytest.importorskip("pycocotools")
    root = tmp_path / "photos"
    for split in ("train", "val", "test"):
        for place, size in enumerate(((30, 40), (40, 60), (60, 40))):
            write_image(root / "JPEGImages" / f"{split}-{place}.jpg", size=size)
        write_voc(root, {f"{split}-{place}": [("cat", 3, 5, 22, 28), ("dog", 20, 2, 38, 20, place)] for place in range(3)},
                  size=None, split=split)
    bindings = [b for b in tiny if "DigitScenes" not in b] + [
        "Experiment.data = @VOC", f"VOC.root = {str(root)!r}", "VOC.classes = ['cat', 'dog']",
        "Experiment.framing = @Framing()", "Framing.short_side = 40", "Framing.longest_side = 64",
        "Experiment.evaluation_batch_size = 2", "Experiment.coco_ap = True"]
    (tmp_path / "x.gin").write_text("import glimpse.data.voc\nimport glimpse.data.framing\ninclude 'experiments/digits.gin'\n"
                                    + "\n".join(bindings))
    workdir = tmp_path / "run"
    train.main([f"--gin_file={tmp_path / 'x.gin'}", f"--workdir={workdir}"])
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
