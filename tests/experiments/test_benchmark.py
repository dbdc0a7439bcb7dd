"""The benchmark's entry point, and a tiny run of the RoI pooling benchmark without torchvision."""
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import types

import gin
import numpy as np
import pytest

from experiments import train
from experiments.benchmark import __main__ as benchmark
from experiments.benchmark import glimpses


@pytest.fixture
def fake(monkeypatch):
    module = types.SimpleNamespace(
        __doc__="", add_flags=lambda parser: None, run=lambda options: {"runs": options.runs},
        table=lambda result: f"a table of {result['runs']} runs")
    monkeypatch.setitem(sys.modules, "experiments.benchmark.roi_pooling", module)


def test_prints_the_table_and_writes_the_result(fake, capsys, tmp_path):
    benchmark.main(["roi_pooling", "--runs", "12", "--json", str(tmp_path / "result.json")])
    assert capsys.readouterr().out == "a table of 12 runs\n"
    assert json.loads((tmp_path / "result.json").read_text()) == {"runs": 12}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_it_draws_ratios(monkeypatch, tmp_path):
    module = types.SimpleNamespace(
        __doc__="", add_flags=lambda parser: None, run=lambda options: {}, table=lambda result: "",
        ratios=lambda result: ({"a step": {"T=1": 1, "T=3": 1.7}}, "time over that of one glimpse"))
    monkeypatch.setitem(sys.modules, "experiments.benchmark.roi_pooling", module)
    benchmark.main(["roi_pooling", "--ratios", str(tmp_path / "r")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.pdf", "r.png"]


@pytest.mark.parametrize("arguments, words", [
    ([], "benchmark"), (["unknown"], "unknown"), (["roi_pooling", "--runs", "0"], "at least 1"),
    (["roi_pooling", "--runs", "x"], "--runs"),
    (["roi_pooling", "--json", "/no/such/folder/result.json"], "cannot be written")])
def test_bad_usage_exits_with_2(fake, capsys, arguments, words):
    with pytest.raises(SystemExit) as exit:
        benchmark.main(arguments)
    assert exit.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("operator, contenders", [
    ("roi_pool", ["ours", "ours, shapes unknown", "map_fn layer"]), ("roi_align", ["ours", "ours, shapes unknown"])])
def test_tiny_run_without_torchvision_says_what_it_left_out(tmp_path, operator, contenders):
    # In processes of their own, where no torchvision can be imported.
    (tmp_path / "torchvision.py").write_text("raise ImportError")
    program = f"""
import json, types
from experiments.benchmark import roi_pooling
workloads = [((1, 6, 7, 2), 3, 2, None), ((1, 9, 9, 2), 3, 2, 8), ((1, 9, 9, 2), 3, 2, roi_pooling.ALL_SIZES)]
options = types.SimpleNamespace(runs=1, operator={operator!r})
result = roi_pooling.run(options, workloads, sides=[], threads=(1, 2), memory=False)
print(json.dumps(result))
print(roi_pooling.table(result))
groups, _ = roi_pooling.ratios(result)
assert len(groups) == 3 and all(ratios["ours"] == 1 for ratios in groups.values()), groups
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment).stdout
    result, _, text = output.partition("\n")
    result = json.loads(result)
    assert "torchvision is not installed" in text
    assert result["operator"] == operator and f"{operator}, median of 1 runs" in text
    assert [timed["threads"] for timed in result["timed"]] == [1, 2]
    for timed in result["timed"]:
        # The usual layer is timed once.
        assert [list(workload["contenders"]) for workload in timed["workloads"]] == [
            [name for name in contenders if name != "map_fn layer" or timed["threads"] == 2]] * 3
        ours = timed["workloads"][0]["contenders"]["ours"]["forward"]
        assert ours["over_ours_wall"] == ours["over_ours_cpu"] == 1 and ours["wall_ms"] > 0 < ours["cpu_ms"]
    for name in (*contenders, "[1, 6, 7, 2] x3 @2", "[1, 9, 9, 2] x3 of 8 cells @2",
                 "[1, 9, 9, 2] x3 of all sizes @2", "1 thread\n", "2 threads\n"):
        assert name in text


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two tiny trained runs, of one and of two glimpses."""
    folder, bindings = tmp_path_factory.mktemp("runs"), [
        "TRAIN_STEPS=2", "Experiment.batch_size=2", "DigitScenes.sizes={'train': 8, 'validation': 2, 'test': 4}",
        "WindowGrid.sizes=(20, 30)", "RoISampling.rois_per_image=8", "small_cnn.filters=(4, 4, 4)",
        "GlimpseDetector.units=(16, 16)", "POOLED_SIZE=3"]
    for num_glimpses in (1, 2):
        train.main(["--gin_file=experiments/digits.gin", *(f"--gin_param={b}" for b in bindings),
                    f"--gin_param=NUM_GLIMPSES={num_glimpses}", f"--workdir={folder / str(num_glimpses)}"])
    return folder


def test_glimpses_are_timed_against_one_and_against_stopping(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(glimpses, "TRAINING", {
        f"T={count}": (glimpses.LEARNED, [f"NUM_GLIMPSES = {count}", "Experiment.batch_size = 2"])
        for count in (1, 2)})
    monkeypatch.setattr(glimpses, "CONFIDENCES", (0.0, 1.1))
    benchmark.main(["glimpses", "--runs=1", f"--run={trained / '1'}", f"--run={trained / '2'}",
                    f"--json={tmp_path / 'result.json'}", f"--picture={tmp_path / 'picture'}"])
    printed = capsys.readouterr().out
    assert "training step" in printed and "T=2, stops at 1.1" in printed
    result = json.loads((tmp_path / "result.json").read_text())
    assert list(result["training_step_ms"]) == ["T=1", "T=2",
                                                glimpses.FURTHER] and all(result["training_step_ms"].values())
    rows = result["detection"]
    assert [(row["glimpses"], row["confidence"], row["glimpses_per_proposal"]) for row in rows] == [
        (1, None, 1), (2, None, 2), (2, 0.0, 1), (2, 1.1, 2)]
    assert rows[3]["map"] == pytest.approx(rows[1]["map"]) and all(row["ms"] > 0 for row in rows)
    assert {"picture.png", "picture.pdf"} < {path.name for path in tmp_path.iterdir()}


def test_runs_are_timed_with_stopping_at_a_confidence_alone(trained, tmp_path, capsys, monkeypatch):
    """What results.json tells of is not evaluated again."""
    monkeypatch.setattr(glimpses, "_training_steps", lambda rounds: {"T=1": 1.0})
    asked, evaluate = [], glimpses.Experiment.evaluate
    monkeypatch.setattr(glimpses.Experiment, "evaluate", lambda experiment, split, confidence: (
        asked.append(confidence), evaluate(experiment, split, confidence))[1])
    flags = ["glimpses", "--runs=1", f"--run={trained / '1'}", f"--run={trained / '2'}"]
    benchmark.main([*flags, "--confidence=0", f"--json={tmp_path / 'result.json'}"])
    rows = json.loads((tmp_path / "result.json").read_text())["detection"]
    assert [(row["glimpses"], row["confidence"], row["glimpses_per_proposal"]) for row in rows] == [
        (1, None, 1), (2, 0.0, 1)]
    assert asked == [0.0]
    with pytest.raises(SystemExit) as exit:
        benchmark.main([*flags, "--confidence=2"])
    assert exit.value.code == 2 and "--confidence must lie in [0, 1], got 2" in capsys.readouterr().err


def test_a_picture_without_a_directory_is_refused_before_anything_is_timed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(glimpses, "_training_steps", lambda rounds: pytest.fail("timed"))
    with pytest.raises(SystemExit) as exit:
        benchmark.main(["glimpses", f"--picture={tmp_path / 'none' / 'picture'}"])
    assert exit.value.code == 2 and "there is no directory" in capsys.readouterr().err.splitlines()[-1]


def test_glimpses_asks_for_a_run_of_one_glimpse_first(trained, capsys, monkeypatch):
    monkeypatch.setattr(glimpses, "_training_steps", lambda rounds: {})
    for run, words in ((trained / "2", "must have one glimpse"), (trained, "holds no config.gin")):
        with pytest.raises(SystemExit) as exit:
            benchmark.main(["glimpses", f"--run={run}"])
        assert exit.value.code == 2 and words in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_every_row_of_a_study_is_timed_once(tiny, tmp_path, capsys):
    """Seeds are no rows, a cascade has layers of its own for each glimpse, and the oracle sees the true boxes."""
    study = tmp_path / "three.gin"
    study.write_text("study.experiment = 'experiments/digits.gin'\nstudy.grids = [{'NUM_GLIMPSES': [1, 2], "
                     "'SEED': [0, 1]}, {'NUM_GLIMPSES': [2], 'POLICY': ['@oracle()'], 'OWN_LAYERS': ['none'], "
                     "'SEED': [0, 1]}]\n")
    benchmark.main(["study", "--runs=1", f"--gin_file={study}", *(f"--gin_param={each}" for each in tiny),
                    f"--json={tmp_path / 'result.json'}"])
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert [row["row"] for row in rows] == [
        "NUM_GLIMPSES=1", "NUM_GLIMPSES=2", "NUM_GLIMPSES=2,POLICY=oracle,OWN_LAYERS=none"]
    one, own_layers, shared = (row["parameters"] for row in rows)
    assert own_layers > one == shared
    assert all(row["step_ms"] > 0 < row["image_ms"] for row in rows)
    assert "ms an image" in capsys.readouterr().out


@pytest.mark.slow
def test_a_slow_pipeline_is_waited_for(tiny, tmp_path, capsys, monkeypatch):
    """Proposals that take 0.2 s an image, one image a batch and one at a time: the step, of milliseconds, waits for
    most of that.
    """
    one_at_a_time = threading.Lock()

    def slow(image, id=None):
        with one_at_a_time:
            time.sleep(0.2)
        return np.array([[10, 10, 40, 40], [50, 50, 80, 80]], np.float32)

    gin.external_configurable(lambda: slow, name="slow_proposals", module="tests")
    benchmark.main(["input_pipeline", "--runs=5", "--gin_file=experiments/digits.gin", f"--json={tmp_path / 'x.json'}",
                    *(f"--gin_param={b}"
                      for b in [*tiny, "Experiment.batch_size = 1", "Experiment.proposals = @slow_proposals()"])])
    result = json.loads((tmp_path / "x.json").read_text())
    timed = {name: each["ms"] for name, each in result["timed"].items()}
    assert timed["pipeline alone"] > 190 and timed["step fed by the pipeline"] > 190 > timed["step alone"]
    assert timed["step of a training"] > 100  # while its first step compiles, batches get ready
    assert 100 < result["waits_ms"] < timed["step fed by the pipeline"]
    assert f"a step waits {result['waits_ms']:.1f} ms for its batch" in capsys.readouterr().out


PEER = """
import json, sys
from experiments.benchmark import peer, torch_twin
peer.NETWORKS = {"photographs": (*peer.NETWORKS["photographs"][:1], [
    *peer.NETWORKS["photographs"][1], "GlimpseDetector.units = (16, 16)", "RoISampling.rois_per_image = 8",
    "Experiment.batch_size = 2"], peer.NETWORKS["photographs"][2])}
SETTING
rows = peer._time("photographs", 1, 1)
print(json.dumps(rows))
machine = {"processor": "x", "cores": 1, "load_before": 0, "load_after": 0}
print(peer.table({"machine": machine, "versions": {}, "runs": 1, "timed": [
    {"network": "photographs", "threads": 1, "rows": rows}]}))
"""


def peer_run(setting=""):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", PEER.replace("SETTING", setting)], capture_output=True, text=True,
                          env=environment)


@pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="needs the extra [bench]")
def test_the_peer_computes_the_same_numbers():
    ended = peer_run()
    assert ended.returncode == 0, ended.stderr[-2000:]
    first, _, text = ended.stdout.partition("\n")
    rows = json.loads(first)
    assert [(row["task"], row["glimpses"]) for row in rows] == [
        (task, name) for name, more in (("T=1", ["fc6 and fc7"]), ("T=3, learned", []), ("T=3, refine", []))
        for task in ["step", "detection", *more]]
    for row in rows:
        assert 0 < max(row["differences"].values()) < 1e-4 and row["torch"]["over_ours_cpu"] > 0
    assert "step, T=3, learned" in text and "photographs, 1 thread " in text


@pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="needs the extra [bench]")
def test_a_peer_that_computes_other_numbers_is_refused():
    ended = peer_run("torch_twin.SAMPLING_RATIO = 1")
    assert "GlimpseError: ours and torch compute different numbers for photographs" in ended.stderr


def test_the_peer_asks_for_torch(tmp_path):
    (tmp_path / "torchvision.py").write_text("raise ImportError")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    ended = subprocess.run([sys.executable, "-m", "experiments.benchmark", "peer"], capture_output=True, text=True,
                           env=environment)
    assert ended.returncode == 2 and ended.stderr.splitlines()[-1] == (
        "error: the peer needs torch and torchvision: pip install torch==2.14.1 torchvision==0.29.1")


def test_coverage_of_intervals_is_counted(tmp_path, capsys):
    benchmark.main(["coverage", "--studies=40", "--runs=50", f"--json={tmp_path / 'x.json'}"])
    result = json.loads((tmp_path / "x.json").read_text())
    assert list(result["seeds"]) == ["normal", "skewed", "skewed, paired", "heavy-tailed"]
    normal = result["seeds"]["normal"]
    # Two values of one sign, as half of all pairs are, leave 0 outside their range; the width of t at two seeds is
    # known.
    assert normal["2"]["percentile bootstrap"]["covers"] < 0.8 < normal["2"]["t"]["covers"]
    assert normal["2"]["studentised bootstrap"]["width"] is None and normal["5"]["t"]["width"] > 3
    assert set(result["images"]["images"]["5"]) == {"t over seeds", "two-level percentile", "seeds and images"}
    assert "two-level percentile" in capsys.readouterr().out


@pytest.mark.slow
def test_memory_over_a_short_training(tmp_path, capsys):
    benchmark.main(["memory", "--steps=20", "--runs=2", "--proposals=50", f"--json={tmp_path / 'x.json'}"])
    result = json.loads((tmp_path / "x.json").read_text())
    assert len(result["training"]) == 20 and len(result["evaluations"]) == 2
    assert all(100 < value < 10_000 for value in (*result["training"], *result["evaluations"], result["proposals"]))
    assert "evaluation with 50 proposals an image" in capsys.readouterr().out


@pytest.mark.slow
def test_what_watching_adds_to_a_step(tiny, capsys):
    pytest.importorskip("tensorboard")
    bindings = [f"--gin_param={each}" for each in [*tiny, "NUM_GLIMPSES = 2"]]
    benchmark.main(["watching", "--gin_file=experiments/digits.gin", *bindings, "--runs=1", "--steps=24", "--every=8"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("1 pairs of trainings of 24 steps")
    for kind, line in zip(("wall", "CPU"), lines[2:4]):
        assert line.split()[0] == kind and all(float(each) > 0 for each in line.split()[1:3])
    assert float(lines[4].split()[-2]) > 0


@pytest.mark.slow
def test_scaling_on_few_steps(tmp_path, capsys):
    benchmark.main(["scaling", "--only=workers", "--only=jobs", "--runs=2", "--study_steps=2",
                    f"--json={tmp_path / 'x.json'}"])
    result = json.loads((tmp_path / "x.json").read_text())
    assert len(result["workers"]) == 3 and len(result["jobs"]) == 2
    for each in (*result["workers"].values(), *result["jobs"].values()):
        assert each["wall_ms"] > 0 and each["cpu_ms"] > 0
    assert "two workers, 1 thread each" in capsys.readouterr().out


def test_the_exponent_of_a_power_law():
    from experiments.benchmark.scaling import exponent
    assert exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)
