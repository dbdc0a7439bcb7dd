import json

import pytest

from experiments import evaluate, train


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
    assert set(results["proposal_recall"]) == {f"{split}@{iou}" for split in results["metrics"] for iou in ("0.50", "0.70")}
    log = results["log"]
    assert log["step"] == [1, 2, 3, 4, 5, 6] and {"class_loss", "box_loss", "policy_loss", "reward"} < set(log)
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
