"""The pages of results say what the committed runs say."""

import importlib.util
import pathlib

import pytest
from matplotlib.figure import Figure

DOCS = pathlib.Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["when_it_pays", "rivals"])
def test_the_tables_are_those_of_the_runs(name, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location(name, DOCS / "pictures" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: drawn.append(path.stem))
    module.main()
    page = (DOCS / "results" / f"{name}.md").read_text(encoding="utf-8").splitlines()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) >= 4 and set(rows) <= set(page) and drawn in ([], [name])
