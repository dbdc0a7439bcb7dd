"""What runs leave beside `results.json`, and what a study makes of it: tiny runs, from the command to the report."""

import json

import numpy as np
import pytest

from experiments import report, sweep, train
from glimpse.evaluation.average_precision import average_precisions
from glimpse.evaluation.errors_by_kind import KINDS
from glimpse.evaluation.matches import matches_file, read_matches
from tests.data.photo_files import write_image, write_voc


def test_matches_and_errors_of_a_run_and_the_intervals_of_its_study(tmp_path, tiny, capsys):
    workdir = tmp_path / "study"
    for policy in ("learned", "fixed"):
        for seed in range(2):
            bindings = [*tiny, "NUM_GLIMPSES = 2", f"POLICY = @{policy}()", f"SEED = {seed}"]
            train.main(["--gin_file=experiments/digits_learned.gin", *(f"--gin_param={each}" for each in bindings),
                        f"--workdir={workdir / f'POLICY={policy},SEED={seed}'}"])
    report.main([f"--study={workdir}"])
    for run in workdir.glob("POLICY=*/"):
        results = json.loads((run / "results.json").read_text())
        assert sorted(path.name for path in run.glob("matches_*")) == ["matches_test.npz", "matches_validation.npz"]
        for split in ("validation", "test"):
            matches = read_matches(run / matches_file(split))
            names = [key.removeprefix("voc10_ap@0.50/") for key in results["metrics"][split] if "voc10_ap@0.50/" in key]
            found = average_precisions(matches, [str(label) for label in range(10)])
            assert found["voc10_map@0.50:0.95"] == results["metrics"][split]["voc10_map@0.50:0.95"]
            assert len(names) == np.count_nonzero(matches.positives)
            assert list(results["errors"][split]) == list(KINDS)
    text = (workdir / "report.md").read_text()
    head = next(line for line in text.splitlines() if line.startswith("| learner |"))
    assert "[seeds and images]" in head and "p, seeds and images" in head and "p, sign flips" in head
    assert "| learned | fixed | control | 2 |" in text and "## Errors by kind" in text
    assert "best learner minus rival or control" in capsys.readouterr().out


@pytest.fixture
def study_without_objects(tmp_path, tiny):
    """Of photographs whose test objects are all difficult."""
    root = tmp_path / "photos"
    for split in ("train", "val", "test"):
        for place in range(2):
            write_image(root / "JPEGImages" / f"{split}-{place}.jpg", size=(40, 60))
        write_voc(root, {f"{split}-{place}": [("cat", 3, 5, 22, 28, int(split == "test")), ("dog", 20, 2, 38, 20, 1)]
                         for place in range(2)}, size=None, split=split)
    bindings = [binding for binding in tiny if "DigitScenes" not in binding] + [
        "Experiment.data = @VOC", f"VOC.root = {str(root)!r}", "VOC.classes = ['cat', 'dog']"]
    (tmp_path / "x.gin").write_text("import glimpse.data.voc\ninclude 'experiments/digits.gin'\n" + "\n".join(bindings))
    path = tmp_path / "study.gin"
    path.write_text(f"study.experiment = {str(tmp_path / 'x.gin')!r}\n"
                    "study.grids = [{'NUM_GLIMPSES': [2], 'SEED': [0]}]\n")
    return path


@pytest.mark.slow
def test_a_test_split_without_an_object_that_counts_ends_no_study(tmp_path, study_without_objects, capsys):
    sweep.main([f"--gin_file={study_without_objects}", f"--workdir={tmp_path / 'study'}", "--jobs=2"])
    printed = capsys.readouterr().out
    assert "done NUM_GLIMPSES=2,SEED=0: mAP undefined (no object of the test split counts), in" in printed
    assert "test: mAP undefined, for no object of this split counts" in (
        tmp_path / "study" / "NUM_GLIMPSES=2,SEED=0.log").read_text()
    text = (tmp_path / "study" / "report.md").read_text()
    assert "mAP is undefined for 1 of the runs" in text
    results = json.loads((tmp_path / "study" / "NUM_GLIMPSES=2,SEED=0" / "results.json").read_text())
    assert results["metrics"]["test"] == {} == results["errors"]["test"] and results["metrics"]["validation"]
