import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from experiments import evaluate, train
from glimpse.training import lock


def flags(workdir, bindings, *more):
    return ["--gin_file=experiments/digits.gin", *(f"--gin_param={b}" for b in bindings), f"--workdir={workdir}", *more]


def fails(main, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    return message


def test_train_and_evaluate_from_the_command_line(tmp_path, tiny, capsys):
    workdir = tmp_path / "x"
    train.main(flags(workdir, tiny, "--dry_run"))
    assert not workdir.exists() and "GlimpseDetector.num_glimpses" in capsys.readouterr().out

    train.main(flags(workdir, tiny))
    results = json.loads((workdir / "results.json").read_text())
    assert results["configuration"]["NUM_GLIMPSES"] == 2
    assert set(results["metrics"]) == {"validation", "test"} and "voc10_map@0.50:0.95" in results["metrics"]["test"]
    assert results["parameters"] > 1000 and results["milliseconds_per_image"] > 0
    assert set(results["proposal_recall"]) == {f"{split}@{iou}" for split in results["metrics"]
                                               for iou in ("0.50", "0.70")}
    log = results["log"]
    assert log["step"] == [1, 2, 3, 4, 5, 6] and {"class_loss", "box_loss", "gradient_norm", "reward"} < set(log)
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert log["reward"] == pytest.approx([line["reward"] for line in logged], rel=1e-5)
    assert {"config.gin", "operative_config.gin", "metrics.jsonl", "checkpoints"} <= {p.name for p in workdir.iterdir()}

    capsys.readouterr()
    evaluate.main([f"--run={workdir}", "--split=test"])
    again = json.loads(capsys.readouterr().out)
    assert again["metrics"] == results["metrics"]["test"] and again["step"] == 6

    before = (workdir / "results.json").stat().st_mtime_ns
    assert "holds a finished run" in fails(train.main, flags(workdir, tiny), capsys)
    assert (workdir / "results.json").stat().st_mtime_ns == before


def test_faults_end_with_one_line_and_status_2(tmp_path, tiny, capsys):
    message = fails(train.main, flags(tmp_path / "x", ["NUM_GLIMPSES = 'three'"]), capsys)
    assert "num_glimpses" in message and "'three'" in message and "experiments/digits.gin" in message
    assert "no configurable matching" in fails(train.main, flags(tmp_path / "x", ["Foo.bar = 1"]), capsys).lower()
    assert "holds no config.gin" in fails(evaluate.main, [f"--run={tmp_path}"], capsys)
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty and holds no run" in fails(train.main, flags(tmp_path, tiny), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_untrained_run_cannot_be_evaluated(tmp_path, tiny, capsys):
    from glimpse import config
    with config.configuration("experiments/digits.gin", tiny) as text:
        (tmp_path / "config.gin").write_text(text)
    assert "holds no checkpoint yet" in fails(evaluate.main, [f"--run={tmp_path}"], capsys)


@pytest.mark.parametrize("binding, message", [
    ("Experiment.evaluation_splits = ('val',)", "evaluation_splits names 'val': split must be one of"),
    ("Experiment.evaluation_splits = ('validation')", "write ('validation',), with the comma"),
    ("Experiment.evaluation_splits = ()", "must name at least one split"),
    ("DigitScenes.sizes = {'train': 8, 'validation': 2}",
     "evaluation_splits names 'test': DigitScenes.sizes must name"),
    ("Experiment.coco_ap = 'yes'", "coco_ap must be one of"),
    ("Experiment.stop_at_background = 2", "Experiment.stop_at_background must lie in"),
])
def test_what_cannot_be_evaluated_is_refused_before_the_first_step(tmp_path, tiny, capsys, binding, message):
    for more in ([], ["--dry_run"]):
        assert message in fails(train.main, flags(tmp_path / "x", [*tiny, binding], *more), capsys)
    assert not (tmp_path / "x").exists()


def results_of(workdir):
    return json.loads((workdir / "results.json").read_text())


def test_a_finished_training_is_evaluated_again_under_other_settings_of_the_evaluation(tmp_path, tiny, capsys):
    workdir = tmp_path / "x"
    on_validation = [*tiny, "Experiment.evaluation_splits = ('validation',)"]
    train.main(flags(workdir, on_validation))
    first, checkpoint = results_of(workdir), sorted((workdir / "checkpoints").iterdir())
    times = [path.stat().st_mtime_ns for path in checkpoint]

    train.main(flags(workdir, [*tiny, "DigitScenes.sizes = {'train': 8, 'validation': 3, 'test': 4}"]))
    again = results_of(workdir)
    assert set(again["metrics"]) == {"validation", "test"} and again["seconds"]["train"] == first["seconds"]["train"]
    assert again["log"] == first["log"]
    assert [path.stat().st_mtime_ns for path in sorted((workdir / "checkpoints").iterdir())] == times
    assert "'validation': 3" in (workdir / "config.gin").read_text()
    other = [*tiny, "DigitScenes.sizes = {'train': 9, 'validation': 3, 'test': 4}"]
    message = fails(train.main, flags(workdir, other), capsys)
    assert "another configuration (DigitScenes.sizes)" in message


def test_the_same_training_is_evaluated_with_early_stopping_once_the_configuration_says_so(tmp_path, tiny, capsys):
    workdir, two = tmp_path / "x", [*tiny, "NUM_GLIMPSES = 2"]
    train.main(flags(workdir, two))
    whole = results_of(workdir)
    assert whole["glimpses_per_proposal"] == {"validation": 2, "test": 2}

    train.main(flags(workdir, [*two, "Experiment.stop_at_background = 0", "Experiment.evaluation_splits = ('test',)"]))
    stopped = results_of(workdir)
    assert stopped["glimpses_per_proposal"] == {"validation": 1, "test": 1} and stopped["log"] == whole["log"]
    capsys.readouterr()
    for given, glimpses in (([], 1), (["--confidence=1"], 2)):
        evaluate.main([f"--run={workdir}", "--split=test", *given])
        assert json.loads(capsys.readouterr().out)["glimpses_per_proposal"] == glimpses


def test_evaluate_completes_the_results(tmp_path, tiny, capsys):
    """A run whose evaluation was cut short lacks results.json; one of few splits lacks a split."""
    workdir = tmp_path / "x"
    train.main(flags(workdir, tiny))
    whole = results_of(workdir)
    (workdir / "results.json").unlink()
    for splits in (["validation"], ["test"]):
        evaluate.main([f"--run={workdir}", f"--split={splits[0]}", "--confidence=0.5"])
        evaluate.main([f"--run={workdir}", f"--split={splits[0]}"])
    again = results_of(workdir)
    for part in ("metrics", "policy", "log", "configuration", "proposal_recall"):
        assert again[part] == whole[part]
    assert "holds a finished run" in fails(train.main, flags(workdir, tiny), capsys)
    before = (workdir / "results.json").read_bytes()
    evaluate.main([f"--run={workdir}", "--split=test"])
    assert (workdir / "results.json").read_bytes() == before


def test_a_run_that_is_being_written_is_left_alone(tmp_path, tiny, capsys):
    """A training is refused before it builds anything; an evaluation says what it finds, and writes nothing."""
    workdir = tmp_path / "x"
    train.main(flags(workdir, [*tiny, "Experiment.evaluation_splits = ('validation',)"]))
    before = sorted(path.name for path in workdir.iterdir())
    holder = subprocess.Popen([sys.executable, "-c", "import sys, time\nfrom glimpse.training import lock\n"
                               "with lock.held(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)", workdir],
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(SystemExit) as stop:
        train.main(flags(workdir, tiny))
    said = capsys.readouterr().err
    assert stop.value.code == 75 and said.count("\n") == 1
    assert said.startswith(f"error: {workdir} is being written by process {holder.pid} of this machine, since 20")
    evaluate.main([f"--run={workdir}", "--split=test"])
    out, err = capsys.readouterr()
    assert "voc10_map@0.50" in json.loads(out)["metrics"]
    assert f"not added to {workdir / 'results.json'}: {workdir} is being written by process {holder.pid}" in err
    holder.kill()
    holder.wait()
    assert set(results_of(workdir)["metrics"]) == {"validation"}
    evaluate.main([f"--run={workdir}", "--split=test"])
    assert set(results_of(workdir)["metrics"]) == {"validation", "test"}
    after = sorted(path.name for path in workdir.iterdir())
    assert after == sorted([*before, "matches_test.npz"]) and lock.LOCK not in after


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_tensorflow_is_imported_is_one_line(tmp_path, signum):
    process = subprocess.Popen([sys.executable, "-m", "experiments.train", "--gin_file=experiments/digits.gin",
                                f"--workdir={tmp_path / 'x'}"], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    maps, end = pathlib.Path(f"/proc/{process.pid}/maps"), time.monotonic() + 60
    while "tensorflow" not in maps.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signum)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (128 + signum, b"", b"stopped\n") and not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_finished_run_goes_on_to_more_steps_where_its_schedule_allows_it(tmp_path, tiny, capsys):
    constant = [*tiny, "Adam.learning_rate = 0.001", "POLICY_OPTIMIZER = None"]
    for name, steps in (("short", [6, 9]), ("long", [9])):
        for each in steps:
            train.main(flags(tmp_path / name, [*constant, f"TRAIN_STEPS = {each}"]))
    one, other = (results_of(tmp_path / name) for name in ("short", "long"))
    assert one["metrics"] == other["metrics"] and one["log"] == other["log"]
    assert json.loads((tmp_path / "short" / "results_6.json").read_text())["configuration"]["TRAIN_STEPS"] == 6
    message = fails(train.main, flags(tmp_path / "short", [*constant, "TRAIN_STEPS = 8"]), capsys)
    assert "of 9 steps, which it has gone beyond, so that it cannot go on to 8" in message

    train.main(flags(tmp_path / "decay", tiny))
    before = (tmp_path / "decay" / "results.json").read_bytes()
    message = fails(train.main, flags(tmp_path / "decay", [*tiny, "TRAIN_STEPS = 9"]), capsys)
    assert "of 6 steps, which CosineDecay.decay_steps depends on, so that it cannot go on to 9" in message
    assert (tmp_path / "decay" / "results.json").read_bytes() == before


@pytest.mark.parametrize("binding, message", [
    ("CosineDecay.initial_learning_rate = 'big'", "the learning rate of Trainer.optimizer cannot be computed"),
    ("CosineDecay.alpha = 'big'", "the learning rate of Trainer.optimizer cannot be computed"),
    ("Adam.learning_rate = 'big'", "Adam.learning_rate = big"),
    ("Adam.beta_1 = 'big'", "Adam.beta_1 of Trainer.optimizer must be a finite number, got 'big'"),
    ("WindowGrid.sizes = ('13',)", "WindowGrid"),
    ("POLICY = @learned", "write @learned()"),
    ("ESTIMATOR = @pathwise", "Trainer.estimator must be a reference such as @pathwise(), with (), got <class"),
    ("Experiment.proposals = @WindowGrid", "write @WindowGrid()"),
    ("GlimpseDetector.backbone = @small_cnn", "GlimpseDetector.backbone = @small_cnn()"),
    ("Experiment.framing = 0.5", "Experiment.framing must be a part such as @Framing(), got 0.5"),
    ("Experiment.framing = @WindowGrid()", "Experiment.framing must be a part such as @Framing(), got WindowGrid"),
    ("Experiment.data = @Experiment()", "lead back to where they began"),
    ("Experiment.detector = 3", "must be a reference without (), such as @GlimpseDetector, got 3"),
    ("Experiment.data = @WindowGrid", "split"),
    ("GlimpseDetector.box_scale = 0.1", "GlimpseDetector"),
])
def test_a_value_of_the_wrong_kind_is_one_line_in_a_dry_run(tmp_path, tiny, capsys, binding, message):
    said = fails(train.main, flags(tmp_path / "x", [*tiny, binding], "--dry_run"), capsys)
    assert message in said.partition(repr(binding))[2] and len(said) < 2000
    assert not (tmp_path / "x").exists()


def test_a_setting_that_an_optimizer_would_look_at_in_its_first_step_is_one_line_before_it(tmp_path, tiny, capsys):
    for more in ([], ["--dry_run"]):
        said = fails(train.main, flags(tmp_path / "x", [*tiny, "Adam.clipnorm = @repeat()"], *more), capsys)
        assert "Adam.clipnorm of Trainer.optimizer must be a finite number" in said and "RepeatPolicy" in said
    assert not (tmp_path / "x").exists()


def test_a_dry_run_trains_one_step_and_writes_nothing(tmp_path, tiny, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train.main(flags(tmp_path / "x", tiny, "--dry_run"))
    assert "Trainer.estimator" in capsys.readouterr().out and list(tmp_path.iterdir()) == []


def test_a_policy_of_ones_own_needs_no_pythonpath(tmp_path, tiny, capsys, monkeypatch):
    """Trained from another directory; then evaluated, until its module is changed."""
    (tmp_path / "mine").mkdir()
    module = tmp_path / "mine" / "policy_of_ones_own.py"
    module.write_text("import gin\nimport tensorflow as tf\n\n\n@gin.register('own_place')\ndef own_place():\n"
                      "    return lambda situation, explore: tf.zeros([tf.shape(situation.hidden)[0], 4])\n")
    (tmp_path / "mine" / "base.gin").write_text("include 'experiments/digits.gin'\nPOLICY = @own_place()\n"
                                                "RELABEL_IOUS = None\n")
    (tmp_path / "mine" / "mine.gin").write_text("import policy_of_ones_own\ninclude 'base.gin'\n" + "\n".join(tiny))
    monkeypatch.chdir(tmp_path)
    train.main([f"--gin_file={tmp_path / 'mine' / 'mine.gin'}", "--workdir=run"])
    evaluate.main(["--run=run"])
    module.write_text(module.read_text() + "# another\n")
    assert "--allow_import=policy_of_ones_own" in fails(evaluate.main, ["--run=run"], capsys)
    evaluate.main(["--run=run", "--allow_import=policy_of_ones_own"])


def test_only_the_users_own_bindings_are_warned_of_in_one_line(tmp_path, tiny, capsys):
    train.main(flags(tmp_path / "x", [*tiny, "REWARD = 'gain'", "fixed.deltas = [(0, 0, 0, 0)]"]))
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1 and "REWARD" in warnings[0] and "fixed.deltas" in warnings[0]
    assert "SGD" not in warnings[0]
