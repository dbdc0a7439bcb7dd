import json
import subprocess
import sys

import pytest

from experiments import report

THRESHOLDS = [f"{k / 100:.2f}" for k in range(50, 100, 5)]


def write_run(study, name, level):
    """A finished run whose mAP falls from `level` by one point a threshold."""
    values = {f"voc10_map@{threshold}": level - k / 100 for k, threshold in enumerate(THRESHOLDS)}
    values["voc10_map@0.50:0.95"] = sum(values.values()) / len(values)
    results = {
        "configuration": {"SEED": 0},
        "metrics": {"validation": values, "test": values},
        "proposal_recall": {"validation@0.5": 0.5, "test@0.5": 0.987},
        "parameters": 1234567,
        "milliseconds_per_image": 3.25,
        "seconds": {"train": 60.0},
        "versions": {"python": "3.12.1"},
        "machine": {"processor": "a processor", "accelerators": []},
    }
    if "POLICY" in name:
        results["policy"] = {"test": {"glimpse 2": {"mean": {"dx": 0.1}, "spread": {"dx": level / 10}}}}
    (study / name).mkdir(parents=True)
    (study / name / "results.json").write_text(json.dumps(results))


@pytest.fixture
def study(tmp_path):
    directory = tmp_path / "counts"
    for seed in range(3):
        write_run(directory, f"NUM_GLIMPSES=1,SEED={seed}", 0.60 + seed / 100)
        write_run(directory, f"NUM_GLIMPSES=3,POLICY=fixed,SEED={seed}", 0.70 + seed / 50)
    write_run(directory, "NUM_GLIMPSES=3,POLICY=learned,SEED=0", 0.65)
    write_run(directory, "NUM_GLIMPSES=3,POLICY=learned,SEED=9", 0.65)
    return directory


def test_the_report_and_its_pictures(study):
    (study / "NUM_GLIMPSES=5,SEED=0").mkdir()
    plan = [path.name for path in study.iterdir()]
    (study / "study.json").write_text(json.dumps({"runs": plan}))
    path = report.write_report(study)
    text = path.read_text()

    assert path == study / "report.md" and text.startswith("# Study `counts`\n")
    assert "* NUM_GLIMPSES: 1, 3\n* POLICY: fixed, learned\n* SEED: 0, 1, 2, 9" in text
    assert "* finished: 8 runs; **missing: 1**\n  * missing: `NUM_GLIMPSES=5,SEED=0`" in text
    # Means over thresholds lie 4.5 points below the level, 70 and 80 lie 4 and 6 below.
    assert "| 1 | - | 3 | 56.5 [55.5, 57.5] | 61.0 [60.0, 62.0] | 57.0 [56.0, 58.0] | 55.0 [54.0, 56.0] |" in text
    assert "| 3.2 | 1,234,567 |" in text
    assert "| 3 | fixed | 3 | +11.0 [+10.0, +12.0] |" in text
    assert "| 3 | learned | 1 | +5.0 [-] |" in text
    assert "`NUM_GLIMPSES=3,POLICY=learned,SEED=9`" in text  # has no pair
    assert "| 3 | fixed | glimpse 2 | +0.10 (0.07) |\n| 3 | learned | glimpse 2 | +0.10 (0.07) |\n" in text
    assert "| test@0.5 | 98.7 | 98.7 | 98.7 |" in text and "validation@0.5" not in text
    assert "* python: 3.12.1" in text and "* processor: a processor\n* accelerators: none" in text

    pictures = ["difference_over_iou.png", "map_over_glimpses.png", "map_over_iou.png"]
    assert sorted(file.name for file in study.iterdir() if file.is_file()) == [*pictures, "report.md", "study.json"]
    for picture in pictures:
        assert f"({picture})" in text
        assert (study / picture).read_bytes().startswith(b"\x89PNG")
    assert report.write_report(study).read_text() == text  # the same runs give the same report


def test_the_terminal_table_fits_a_hundred_columns(study):
    text = report.summary_text(study)
    assert max(map(len, text.splitlines())) <= 100
    head = next(line for line in text.splitlines() if "NUM_GLIMPSES" in line)
    assert head.split()[:3] == ["NUM_GLIMPSES", "POLICY", "seeds"]
    assert "+11.0 [+10.0, +12.0]" in text
    assert "POLICY=learned,SEED=9" in text


def test_a_single_seed_has_no_interval(tmp_path):
    write_run(tmp_path, "NUM_GLIMPSES=1,SEED=0", 0.6)
    write_run(tmp_path, "NUM_GLIMPSES=2,SEED=0", 0.7)
    assert "| 2 | 1 | 65.5 [-] |" in report.write_report(tmp_path).read_text()


def test_a_study_over_another_axis_names_its_picture_after_it(tmp_path):
    for size in (1, 7):
        write_run(tmp_path, f"NUM_GLIMPSES=3,POOLED_SIZE={size},SEED=0", 0.5)
    text = report.write_report(tmp_path).read_text()
    assert "(map_over_pooled_size.png)" in text and (tmp_path / "map_over_pooled_size.png").exists()
    assert "no differences to show" in text and not (tmp_path / "difference_over_iou.png").exists()


def test_a_study_without_a_numeric_axis_has_no_pictures(tmp_path):
    for policy in ("fixed", "random"):
        write_run(tmp_path, f"POLICY={policy},SEED=0", 0.5)
    assert "## Pictures" not in report.write_report(tmp_path).read_text()
    assert not list(tmp_path.glob("*.png"))


def test_faults_are_named(study, tmp_path):
    with pytest.raises(ValueError, match="--split=train: .* there are .'test', 'validation'"):
        report.write_report(study, split="train")
    (study / "study.json").write_text("[]")
    with pytest.raises(ValueError, match="study.json must hold"):
        report.write_report(study)
    assert not (study / "report.md").exists()


def test_the_command_line(study, capsys):
    report.main([f"--study={study}", "--split=validation"])
    assert "validation split" in capsys.readouterr().out and (study / "report.md").exists()


def test_a_fault_ends_the_command_with_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "experiments.report", f"--study={tmp_path / 'none'}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr == f"error: {tmp_path / 'none'} is no directory; give the directory of a study\n"
