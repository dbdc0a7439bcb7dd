"""The README: short, its example runs, and its table says what the runs say."""

import importlib
import pathlib
import re

from matplotlib.figure import Figure

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(README.splitlines()) <= 180


def test_the_python_example_runs():
    example, = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(example, names)
    assert names["pooled"].shape == (1, 2, 7, 7, 512)


def test_the_table_is_that_of_the_runs(monkeypatch, capsys):
    """Its networks, their weights, and their mAP at two lengths of training are those of docs/results/budget.md."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "pictures")
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    importlib.import_module("budget").main()
    of_runs = {}
    for line in capsys.readouterr().out.splitlines():
        data, name, weights, steps, _, score, _ = (part.strip() for part in line.split("|")[1:-1])
        if data == "digits":
            of_runs.setdefault((name, weights), {})[steps] = score
    rows = re.findall(r"^\| (T = .*?) \| ([\d.]+) \| (.*?) \| (.*?) \|$", README, flags=re.MULTILINE)
    assert len(rows) == 6
    for name, weights, *shown in rows:
        name = name.partition(":")[0].replace("`", "")
        assert [of_runs[name, weights][steps] for steps in ("1500", "4500")] == shown


def test_every_room_is_named():
    rooms = {path.name for path in (ROOT / "glimpse").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms <= set(re.findall(r"`glimpse/(\w+)/`", README))


def test_its_sentences_are_short():
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    text = re.sub(r"^[|#!].*$", "", text, flags=re.MULTILINE).replace("\n* ", "\n\n* ")
    for paragraph in re.split(r"\n\s*\n", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)):
        for sentence in re.split(r"(?<=[.:;?])\s", " ".join(paragraph.split())):
            assert len(re.findall(r"[\w'`@=.%]+", sentence)) <= 25, sentence
