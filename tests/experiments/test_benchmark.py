"""The benchmark's entry point, and a tiny run of the RoI pooling benchmark without torchvision."""
import json
import subprocess
import sys
import types

import pytest

from experiments.benchmark import __main__ as benchmark


@pytest.fixture
def fake(monkeypatch):
    module = types.SimpleNamespace(run=lambda runs: {"runs": runs}, table=lambda result: f"a table of {result['runs']} runs")
    monkeypatch.setitem(sys.modules, "experiments.benchmark.roi_pooling", module)


def test_prints_the_table_and_writes_the_result(fake, capsys, tmp_path):
    benchmark.main(["roi_pooling", "--runs", "12", "--json", str(tmp_path / "result.json")])
    assert capsys.readouterr().out == "a table of 12 runs\n"
    assert json.loads((tmp_path / "result.json").read_text()) == {"runs": 12}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("arguments, words", [
    ([], "benchmark"), (["unknown"], "unknown"), (["roi_pooling", "--runs", "0"], "at least 1"),
    (["roi_pooling", "--runs", "x"], "--runs"), (["roi_pooling", "--json", "/no/such/folder/result.json"], "cannot be written")])
def test_bad_usage_exits_with_2(fake, capsys, arguments, words):
    with pytest.raises(SystemExit) as exit:
        benchmark.main(arguments)
    assert exit.value.code == 2
    assert words in capsys.readouterr().err


def test_tiny_run_without_torchvision_says_what_it_left_out():
    # In a process of its own, where no torchvision can be imported.
    program = """
import json, sys
sys.modules["torchvision"] = None
from experiments.benchmark import roi_pooling
result = roi_pooling.run(1, workloads=[((1, 6, 7, 2), 3, 2)], sides=[], memory=False)
print(json.dumps(result))
print(roi_pooling.table(result))
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    result, _, text = output.partition("\n")
    result = json.loads(result)
    assert "torchvision is not installed" in text
    assert list(result["workloads"][0]["contenders"]) == ["ours", "ours, shapes unknown", "map_fn layer"]
    for name in ("ours", "map_fn layer", "[1, 6, 7, 2] x3 @2"):
        assert name in text
