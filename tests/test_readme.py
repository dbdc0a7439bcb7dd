"""The README: short, its example runs, and its table says what the runs say."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(README.splitlines()) <= 180


def test_the_python_example_runs():
    example, = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(example, names)
    assert names["pooled"].shape == (1, 2, 7, 7, 512)


def test_the_table_is_that_of_the_runs():
    rows = re.findall(r"^\| (\d) \| (\S+?)[:\s].*\| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", README, flags=re.MULTILINE)
    assert len(rows) == 5
    for number, policy, *shown in rows:
        axes = f"NUM_GLIMPSES={number}" + ("" if policy == "none" else f",POLICY={policy.strip('`')}")
        runs = [json.loads((ROOT / "docs/results/glimpse_count" / f"{axes},SEED={seed}" / "results.json").read_text())
                for seed in range(5)]
        values = [100 * run["metrics"]["test"]["voc10_map@0.50:0.95"] for run in runs]
        assert shown == [f"{value:.1f}" for value in (sum(values) / 5, min(values), max(values))]


def test_every_room_is_named():
    rooms = {path.name for path in (ROOT / "glimpse").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms <= set(re.findall(r"`glimpse/(\w+)/`", README))


def test_its_sentences_are_short():
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    text = re.sub(r"^[|#!].*$", "", text, flags=re.MULTILINE).replace("\n* ", "\n\n* ")
    for paragraph in re.split(r"\n\s*\n", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)):
        for sentence in re.split(r"(?<=[.:;?])\s", " ".join(paragraph.split())):
            assert len(re.findall(r"[\w'`@=.%]+", sentence)) <= 25, sentence
