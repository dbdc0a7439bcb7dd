import json
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments import detect
from glimpse.data.example import Example
from glimpse.evaluation.evaluator import evaluate_detector
from glimpse.training.restore import restored
from tests.data.photo_files import pixels, write_image


def fails(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        detect.main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    message, = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    return message


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def expected(workdir, *images):
    """What the evaluation of a run detects in each image alone, and the names of its classes."""
    nothing = np.zeros([0, 4], np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
    with restored(workdir) as (experiment, _):
        class Data(list):
            class_names = experiment.trained_on.class_names
        return [evaluate_detector(experiment.detector, Data([Example("x", image, *nothing)]), experiment.proposals,
                                  experiment.seed, 1, experiment.framing)["detections"][0]
                for image in images], Data.class_names


def assert_same(content, found, class_names, scale=1):
    assert [each["label"] for each in content["detections"]] == [class_names[label] for label in found["labels"]]
    np.testing.assert_allclose([each["score"] for each in content["detections"]], found["scores"], atol=1e-5)
    np.testing.assert_allclose([each["box"] for each in content["detections"]], found["boxes"] * scale, atol=0.02)


def test_without_a_framing_boxes_are_those_of_the_file_though_the_network_saw_less(tmp_path, digit_run, capsys):
    large = tmp_path / "large.png"
    Image.fromarray(pixels(96, 192)).save(large)
    small = tmp_path / "small.jpg"
    write_image(small, "L")
    detect.main([f"--run={digit_run}", str(large), str(small), "--score=0"])
    out = digit_run / "detections"
    assert names(out) == ["large.json", "large.png", "small.json", "small.png"]
    content = json.loads((out / "large.json").read_text())
    assert {name: content[name] for name in ("file", "width", "height", "run")} == {
        "file": str(large), "width": 192, "height": 96, "run": str(digit_run)}
    grey = Image.fromarray(pixels(96, 192)).convert("L")
    grey = grey.resize((96, 48), Image.Resampling.BILINEAR)
    seen = [np.asarray(picture)[..., None] for picture in (grey, Image.open(small))]
    (found, found_in_small), class_names = expected(digit_run, *seen)
    assert len(found["boxes"]) > 5 and found["boxes"][:, 2].max() <= 96
    assert_same(content, found, class_names, scale=2)
    assert Image.open(out / "large.png").size == (3 * 192, 3 * 96)

    content = json.loads((out / "small.json").read_text())
    assert_same(content, found_in_small, class_names)
    assert "glimpses" not in content["detections"][0]
    lines = capsys.readouterr().out.splitlines()
    assert f"{small}: {len(found_in_small['boxes'])} detections" in lines
    assert lines[-1] == f"pictures and numbers: {out}"


def test_with_a_framing_boxes_and_glimpses_are_those_of_the_upright_file(tmp_path, photo_run):
    photo, out = tmp_path / "photo.jpg", tmp_path / "a" / "b"
    write_image(photo, orientation=6, size=(60, 100))
    with Image.open(photo) as stored:  # 60 x 100 once upright, and 38 x 64 for a Framing of 40 and 64
        upright = Image.fromarray(np.rot90(stored, -1))
    scale = np.array([60 / 38, 100 / 64] * 2)
    (found,), class_names = expected(photo_run, np.asarray(upright.resize((38, 64), Image.Resampling.BILINEAR)))
    middle = float(np.median(found["scores"]))
    assert len(found["scores"]) > 5 and found["scores"][0] > middle
    detect.main([f"--run={photo_run}", str(photo), "--glimpses", f"--out={out}", f"--score={middle}"])
    content = json.loads((out / "photo.json").read_text())
    assert (content["width"], content["height"]) == (60, 100)
    assert Image.open(out / "photo.png").size == (300, 500)
    sure = found["scores"] >= middle
    assert_same(content, {name: part[sure] for name, part in found.items() if name != "id"}, class_names, scale)

    with restored(photo_run) as (experiment, _):
        proposals = experiment.proposals(np.zeros([64, 38, 3], np.uint8)) * scale
    for each in content["detections"]:
        glimpses = np.array(each["glimpses"])
        assert glimpses.shape == (2, 4) and np.abs(proposals - glimpses[0]).max(axis=1).min() < 0.02
        assert (glimpses >= 0).all() and (glimpses <= [60.01, 100.01] * 2).all()


def test_faults_end_with_one_line_before_anything_is_written(tmp_path, digit_run, capsys):
    photo = tmp_path / "street.png"
    write_image(photo)
    (tmp_path / "notes.png").write_text("mine")
    (tmp_path / "other").mkdir()
    write_image(tmp_path / "other" / "street.jpg")
    out, run = f"--out={tmp_path / 'new'}", f"--run={digit_run}"
    kept = names(tmp_path)
    # A fault of a photo, not of the run's configuration.
    assert fails([run, photo, tmp_path / "notes.png", out], capsys).startswith(
        f"error: {tmp_path / 'notes.png'}: no JPEG or PNG image")
    assert fails([run, "none.png", out], capsys) == "error: none.png: no such image file"
    assert "street.png and " in fails([run, photo, tmp_path / "other" / "street.jpg", out], capsys)
    assert "--score must lie in [0, 1], got 1.5" in fails([run, photo, "--score=1.5", out], capsys)
    assert "notes.png is a file; name a directory" in fails([run, photo, f"--out={tmp_path / 'notes.png'}"], capsys)
    assert "notes.png is a file" in fails([run, photo, f"--out={tmp_path / 'notes.png' / 'x'}"], capsys)
    assert "holds no config.gin" in fails([f"--run={tmp_path}", photo, out], capsys)
    (tmp_path / "other" / "config.gin").write_text((digit_run / "config.gin").read_text())
    assert "holds no checkpoint yet" in fails([f"--run={tmp_path / 'other'}", photo, out], capsys)
    (tmp_path / "other" / "checkpoints").mkdir()
    assert "data.json cannot be read (" in fails([f"--run={tmp_path / 'other'}", photo, out], capsys)  # there is none
    (tmp_path / "other" / "data.json").write_text("{")
    assert "data.json cannot be read (" in fails([f"--run={tmp_path / 'other'}", photo, out], capsys)
    (tmp_path / "other" / "data.json").write_text((digit_run / "data.json").read_text())
    assert "holds no checkpoint yet" in fails([f"--run={tmp_path / 'other'}", photo, out], capsys)
    before = photo.read_bytes()  # a picture in the directory of --out would be replaced by the one with boxes
    assert "street.png is there already" in fails([run, photo, f"--out={tmp_path}"], capsys)
    assert names(tmp_path) == kept and photo.read_bytes() == before


def test_the_photos_that_a_run_was_trained_on_may_be_gone(tmp_path, photo_run):
    """A run taken to another machine: of its data set nothing but the directory of the run is there."""
    away, photo = tmp_path / "away", tmp_path / "photo.jpg"
    shutil.copytree(photo_run, away)
    (away / "config.gin").write_text((away / "config.gin").read_text().replace(str(photo_run.parent),
                                                                               str(tmp_path / "gone")))
    write_image(photo)
    for run in (photo_run, away):
        detect.main([f"--run={run}", str(photo), "--score=0", f"--out={tmp_path / run.name}"])
    here, there = (json.loads((tmp_path / run.name / "photo.json").read_text())["detections"]
                   for run in (photo_run, away))
    assert here == there and here
