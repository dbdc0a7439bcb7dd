import json
import re
import shutil

import pandas as pd
import pytest

from experiments import explore, train
from glimpse.training import run


def fails(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        explore.main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    message, = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    return message


def block(path, name):
    return json.loads(re.search(f'<script type="application/json" id="{name}">(.*?)</script>', path.read_text())[1])


@pytest.fixture(scope="module")
def one_glimpse(tmp_path_factory, tiny):
    workdir = tmp_path_factory.mktemp("one") / "T=1"
    train.main(["--gin_file=experiments/digits.gin", *(f"--gin_param={b}" for b in [*tiny, "NUM_GLIMPSES = 1"]),
                f"--workdir={workdir}"])
    return workdir


def test_a_split_of_a_run(tmp_path, digit_run, capsys):
    out = tmp_path / "new" / "x.html"
    explore.main([f"--run={digit_run}", f"--out={out}"])
    about, objects, images = (block(out, name) for name in ("about", "objects", "images"))
    assert [each["id"] for each in images] == [f"test-{place:05d}" for place in range(4)]
    assert len(objects) == sum(len(each["objects"]) for each in images) > 4
    assert {each["run"] for each in objects} == {"run"} and about["runs"][0]["settings"]["steps trained"] == "6"
    results = run.read_results(digit_run)  # what it shows is what was evaluated
    assert about["runs"][0]["map"]["50:95"] == pytest.approx(
        results["metrics"]["test"]["voc10_map@0.50:0.95"], abs=1e-4)
    assert {kind: each["count"] for kind, each in about["runs"][0]["errors"].items()} == {
        kind: each["count"] for kind, each in results["errors"]["test"].items()}
    table = pd.read_csv(out.with_suffix(".csv"))
    assert table["iou_2"].tolist() == [each["iou"][1] for each in objects]
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(f"{len(objects)} objects in 4 images, 0.") and line.endswith(
        f"MB: {out}, and as a table {tmp_path / 'new' / 'x.csv'}")


def test_two_runs_and_the_first_images_of_photographs(tmp_path, digit_run, one_glimpse, photo_run):
    out = tmp_path / "x.html"
    explore.main([f"--run={digit_run}", f"--against={one_glimpse}", f"--out={out}", "--split=validation"])
    about, objects = block(out, "about"), block(out, "objects")
    assert [each["num_glimpses"] for each in about["runs"]] == [2, 1] and about["split"] == "validation"
    half = len(objects) // 2
    for one, other in zip(objects[:half], objects[half:]):
        assert one["id"] == other["id"] and one["box"] == other["box"] and other["gain"] is None
        assert one["difference"] == pytest.approx(one["reward"] - other["reward"], abs=1e-4)

    explore.main([f"--run={photo_run}", "--images=2"])
    images, objects = (block(photo_run / "explore.html", name) for name in ("images", "objects"))
    assert [(each["width"], each["height"]) for each in images] == [(40, 30), (60, 40)]
    assert [each["difficult"] for each in objects] == [False, False, False, True]
    assert objects[0]["box"] == [2, 4, 22, 28]


def test_faults_end_with_one_line_before_anything_is_written(tmp_path, tiny, digit_run, photo_run, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "there.html").write_text("mine")
    (tmp_path / "beside.csv").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    run, out, kept = f"--run={digit_run}", f"--out={tmp_path / 'new.html'}", sorted(tmp_path.iterdir())
    for name in ("there.html", "beside.html", "folder.html"):
        assert "is there already; remove it, or name another file" in fails([run, f"--out={tmp_path / name}"], capsys)
    assert "file is a file; name a directory" in fails([run, f"--out={tmp_path / 'file' / 'x.html'}"], capsys)
    assert "must be the name of an HTML file, such as explore.html" in fails([run, f"--out={tmp_path / 'x'}"], capsys)
    assert "--images must be a whole number of at least 1, got 0" in fails([run, "--images=0", out], capsys)
    assert "--run and --against are both" in fails([run, f"--against={digit_run}", out], capsys)
    assert "split must be one of 'train', 'validation', 'test', got 'tests'" in fails(
        [run, "--split=tests", out], capsys)
    assert "holds no config.gin; name the --workdir of a training" in fails([f"--run={tmp_path}", out], capsys)
    assert f"{digit_run} and {photo_run} differ in data, 4 and 3 images" in fails(
        [run, f"--against={photo_run}", out], capsys)
    other = tmp_path / "other"
    shutil.copytree(digit_run, other)
    text = (other / "config.gin").read_text()
    (other / "config.gin").write_text(text.replace("DigitScenes.seed = 0", "DigitScenes.seed = 1"))
    assert "run and other differ in data: image 1 is test-00000 and test-00000, with other pixels or annotations; " in (
        fails([run, f"--against={other}", out], capsys))
    (other / "config.gin").write_text(text.replace("'test': 4, ", ""))
    assert "DigitScenes.sizes must name a number of scenes for 'test'" in fails([f"--run={other}", out], capsys)
    shutil.rmtree(other)
    assert sorted(tmp_path.iterdir()) == kept and (tmp_path / "there.html").read_text() == "mine"
