"""The trained network that is shipped: small, read by every program, and as good as its results say."""

import json
import pathlib
import re
import shlex
import shutil

import pytest
import safetensors

from experiments import detect, explore, export, visualize
from glimpse.training import run
from glimpse.training.restore import restored

ROOT = pathlib.Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"
RESULTS = json.loads((DIGITS / run.RESULTS).read_text())
MAP = "voc10_map@0.50:0.95"
# A processor of another kind rounds otherwise, and a detection or two change places.
NEAR = 0.002


def test_it_is_small_and_tells_what_it_is():
    shipped = [path for path in DIGITS.iterdir() if path.is_file() and not path.name.startswith("explore")]
    assert sum(path.stat().st_size for path in shipped) < 4e6
    with safetensors.safe_open(DIGITS / run.WEIGHTS, framework="numpy") as file:
        assert file.metadata() == {"step": "1500", "trained_steps": "1500"}
    assert RESULTS["configuration"]["NUM_GLIMPSES"] == 3 and RESULTS["configuration"]["POLICY"] == "@refine()"
    assert f"{100 * RESULTS['metrics']['test'][MAP]:.1f} on the 500 test" in " ".join(
        (DIGITS / "README.md").read_text().split())


@pytest.mark.parametrize("split", ["validation", pytest.param("test", marks=pytest.mark.slow)])
def test_its_map_is_what_its_results_say(split):
    with restored(DIGITS) as (experiment, step):
        assert step == experiment.train_steps == 1500
        found = experiment.evaluate(split)["metrics"]
    for key in (MAP, "voc10_map@0.50"):
        assert found[key] == pytest.approx(RESULTS["metrics"][split][key], abs=NEAR)


@pytest.mark.slow
def test_the_commands_of_its_page_run(tmp_path, monkeypatch, capsys):
    """From a copy of the clone's folder, lest anything is written beside it; the training apart."""
    shutil.copytree(DIGITS, tmp_path / "examples" / "digits", ignore=shutil.ignore_patterns(
        "pictures", "detections", "explore.*"))
    monkeypatch.chdir(tmp_path)
    programs = {"visualize": visualize, "detect": detect, "explore": explore, "export": export}
    lines = re.findall(r"^python -m experiments\.(\w+) (.*)$", (DIGITS / "README.md").read_text(), re.MULTILINE)
    for name, words in lines:
        if name in programs and "runs/digits" not in words:
            programs[name].main(shlex.split(words.replace("--images=50", "--images=4")))
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"examples/digits/pictures/test-00185_object2.png", "examples/digits/detections/scene.png",
            "examples/digits/explore.html", "exported/digits/saved_model.pb"} <= made
    block, = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "tutorial.md").read_text(), re.DOTALL | re.MULTILINE)
    capsys.readouterr()
    exec(block, {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()
            if float(line.split()[1]) > 0.9] == ["zero", "two"]
    labels = [each["label"] for each in json.loads(
        (tmp_path / "examples/digits/detections/scene.json").read_text())["detections"]]
    assert sorted(labels) == ["two", "zero"]
