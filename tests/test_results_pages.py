"""The pages of results say what the committed runs say."""

import importlib
import pathlib

import pytest
from matplotlib.figure import Figure

DOCS = pathlib.Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name, pictures", [
    ("when_it_pays", ["when_it_pays"]), ("rivals", []), ("pointing", ["pointing"]), ("speed", []),
    ("budget", ["budget"]), ("zoom", ["zoom"]), ("photographs", [])])
def test_the_tables_are_those_of_the_runs(name, pictures, monkeypatch, capsys):
    monkeypatch.syspath_prepend(DOCS / "pictures")
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: drawn.append(path.stem))
    importlib.import_module(name).main()
    page = (DOCS / "results" / f"{name}.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) >= 4 and [line for line in page if line in rows] == rows and drawn == pictures
