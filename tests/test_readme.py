"""The README: short, its example runs, and its table says what the runs say."""

import json
import pathlib
import re

import numpy as np

from glimpse.studies.intervals import t_interval

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
    """Mean and t interval over seeds, from the runs of the study of rivals."""
    coded = "SUPERVISION=every,BOX_REFERENCE=glimpse,FUSION=last"
    axes = {"none": "NUM_GLIMPSES=1", "fixed": "NUM_GLIMPSES={},POLICY=fixed,SUPERVISION=every",
            "learned": "NUM_GLIMPSES={},POLICY=learned,SUPERVISION=last",
            "refine": f"NUM_GLIMPSES={{}},POLICY=refine,{coded},RECURRENCE=relu",
            "cascade": f"NUM_GLIMPSES={{}},POLICY=refine,{coded},RECURRENCE=no_recurrence,OWN_LAYERS=all,SCORE=mean,"
                       "RELABEL_IOUS=0.5x0.6x0.7x0.7x0.7"}
    rows = re.findall(r"^\| (\d) \| `?(\w+)[`:\s].*\| (\d) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", README,
                      flags=re.MULTILINE)
    assert 4 <= len(rows) <= 6
    for number, policy, *shown in rows:
        runs = [json.loads(path.read_text()) for path in (ROOT / "docs/results").glob(
            f"rivals/{axes[policy].format(number)},SEED=[0-4]/results.json")]
        values = [100 * run["metrics"]["test"]["voc10_map@0.50:0.95"] for run in runs]
        assert shown == [f"{len(values)}", *(f"{value:.1f}" for value in (np.mean(values), *t_interval(values)))]


def test_every_room_is_named():
    rooms = {path.name for path in (ROOT / "glimpse").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms <= set(re.findall(r"`glimpse/(\w+)/`", README))


def test_its_sentences_are_short():
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    text = re.sub(r"^[|#!].*$", "", text, flags=re.MULTILINE).replace("\n* ", "\n\n* ")
    for paragraph in re.split(r"\n\s*\n", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)):
        for sentence in re.split(r"(?<=[.:;?])\s", " ".join(paragraph.split())):
            assert len(re.findall(r"[\w'`@=.%]+", sentence)) <= 25, sentence
