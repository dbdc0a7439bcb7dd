import numpy as np
import pytest
from PIL import Image

from experiments import train, visualize
from glimpse import config
from glimpse.data.digits import DigitScenes
from glimpse.training import checkpoints, run, trained_on
from glimpse.training.experiment import Experiment


def trained(workdir, bindings):
    train.main(["--gin_file=experiments/digits.gin", *(f"--gin_param={b}" for b in bindings), f"--workdir={workdir}"])
    return workdir


def fails(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        visualize.main(arguments)
    assert stop.value.code == 2
    message, = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    return message


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def of_strips(*stems):
    return sorted(f"{stem}.{form}" for stem in stems for form in ("png", "pdf", "gif"))


def test_the_pictures_of_a_run(tmp_path, tiny, capsys):
    workdir = trained(tmp_path / "x", tiny)
    visualize.main([f"--run={workdir}", "--detections=1"])
    sheets = [f"{name}.{form}" for name in ("contact_sheet", "policy_map") for form in ("png", "pdf")]
    strips = [name for name in names(workdir / "pictures") if name not in sheets]
    stems = {name.split(".")[0] for name in strips}
    assert set(sheets) < set(names(workdir / "pictures")) and strips == of_strips(*stems)
    assert {stem.split("_")[0] for stem in stems} == {"best1", "worst1", "random1"}
    assert {stem.split("_")[1] for stem in stems} <= {f"test-{index:05d}" for index in range(4)}

    out = tmp_path / "image"
    visualize.main(
        [f"--run={workdir}", "--split=validation", "--image=validation-00001", "--detections=1", f"--out={out}"])
    assert names(out) == of_strips("validation-00001_detection1")
    assert Image.open(out / "validation-00001_detection1.gif").n_frames == 2

    out = tmp_path / "object"
    visualize.main([f"--run={workdir}", "--image=test-00001", "--object=1", f"--out={out}"])
    assert names(out) == of_strips("test-00001_object1")

    photo = tmp_path / "street.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, [200, 300, 3], np.uint8)).save(photo)
    visualize.main([f"--run={workdir}", f"--photo={photo}", "--detections=1", f"--out={tmp_path / 'photo'}"])
    assert names(tmp_path / "photo") == of_strips("street_detection1")

    capsys.readouterr()
    (tmp_path / "file").write_text("mine")
    kept = names(tmp_path)
    out = f"--out={tmp_path / 'new'}"
    assert "--image=test-00004 is not among the 4 images, test-00000 to test-00003" in fails(
        [f"--run={workdir}", "--image=test-00004", out], capsys)
    # A fault of the photo, not of the run's configuration.
    assert fails([f"--run={workdir}", f"--photo={tmp_path / 'file'}", out], capsys).startswith(
        f"error: {tmp_path / 'file'}: no JPEG or PNG image")
    assert fails([f"--run={workdir}", "--photo=none.png", out], capsys) == "error: none.png: no such image file"
    assert "error: --object=99 is not in test-00001: its objects are 1 to " in fails(
        [f"--run={workdir}", "--image=test-00001", "--object=99", out], capsys)
    assert "--object must be a whole number of at least 1, got 0" in fails(
        [f"--run={workdir}", "--image=test-00001", "--object=0", out], capsys)
    for other in ([], [f"--photo={photo}"]):
        assert "--object=1 needs --image=ID" in fails([f"--run={workdir}", "--object=1", *other, out], capsys)
    assert "--detections must be a whole number of at least 1, got 0" in fails(
        [f"--run={workdir}", "--detections=0", out], capsys)
    assert "split must be one of" in fails([f"--run={workdir}", "--split=tests", out], capsys)
    assert "is a file; name a directory" in fails([f"--run={workdir}", f"--out={tmp_path / 'file'}"], capsys)
    assert names(tmp_path) == kept and (tmp_path / "file").read_text() == "mine"


def test_one_glimpse(tmp_path, tiny):
    workdir = trained(tmp_path / "x", [*tiny, "NUM_GLIMPSES = 1"])
    visualize.main([f"--run={workdir}", "--detections=1"])
    assert {"contact_sheet.png", "contact_sheet.pdf"} < set(names(workdir / "pictures"))
    assert not any("policy_map" in name for name in names(workdir / "pictures"))  # there is no policy
    strip, = (workdir / "pictures").glob("best1_*.gif")
    assert Image.open(strip).n_frames == 1


def test_what_is_drawn_is_chosen_by_gain_and_by_lot(tmp_path, tiny):
    """Against the sorted list of all: nobody picks the flattering ones by hand."""
    from glimpse.evaluation.sequences import follow, sequences_of_objects
    with config.configuration("experiments/digits.gin", [*tiny, "DigitScenes.sizes = {'train': 8, 'test': 10}"]):
        experiment = Experiment()
        sequences = [each for followed in follow(experiment.detector, experiment.data(split="test"),
                                                 experiment.proposals, 0) for each in sequences_of_objects(followed)]
    groups, rule = visualize.chosen_sequences(sequences, 2, np.random.default_rng(0))
    gains = sorted(each.gain for each in sequences)
    assert len(gains) > 6
    assert [each.gain for each in groups["best gains"]] == gains[::-1][:2]
    assert [each.gain for each in groups["worst losses"]] == gains[:2]
    draws = {visualize.chosen_sequences(sequences, 2, np.random.default_rng(seed))[0]["random draw"][0].name
             for seed in range(20)}
    assert len(draws) > 3 and "after the last glimpse minus after the first" in rule
    assert len(visualize.chosen_sequences(sequences, 99, np.random.default_rng(0))[0]["random draw"]) == len(sequences)


def test_a_contact_sheet_counts_others_where_there_are_some():
    assert "\nAll 1,502 objects; by lot\n" in visualize.caption_of("test", 1502, 1502, "by lot")
    assert "\n3 of 4 objects (the others have no proposal of IoU 0.5); by lot\n" in visualize.caption_of(
        "test", 3, 4, "by lot")


def test_a_run_that_cannot_be_drawn(tmp_path, tiny, capsys):
    assert "holds no config.gin; name the --workdir of a training" in fails([f"--run={tmp_path}"], capsys)
    with config.configuration("experiments/digits.gin", tiny) as text:
        (tmp_path / "config.gin").write_text(text)
    assert "holds no checkpoint yet; train it first" in fails([f"--run={tmp_path}"], capsys)
    assert names(tmp_path) == ["config.gin"]


def test_a_picture_without_detections(tmp_path, tiny, capsys, monkeypatch):
    """A network that has learned to call everything background."""
    with config.configuration("experiments/digits.gin", tiny) as text:
        (tmp_path / "config.gin").write_text(text)
        experiment = Experiment()
        for head in experiment.detector.class_heads:
            kernel, bias = head.get_weights()
            head.set_weights([0 * kernel, 20 * np.eye(len(bias))[0]])
        experiment.trainer.optimizer.iterations.assign(1)
        checkpoints.save(tmp_path / run.CHECKPOINTS, experiment.checkpoint, step=1, keep=1)
        trained_on.write_trained_on(tmp_path, experiment.trained_on)
    assert "nothing was detected in test-00001" in fails([f"--run={tmp_path}", "--image=test-00001"], capsys)
    assert names(tmp_path) == sorted([run.CHECKPOINTS, run.CONFIG, trained_on.DATA])
    monkeypatch.setattr(DigitScenes, "class_names", DigitScenes.class_names[::-1])  # since it was trained
    for more in (["--image=test-00001"], ["--image=test-00001", "--object=1"], []):
        assert "the classes of split 'test' are not those of 'train'" in fails([f"--run={tmp_path}", *more], capsys)
