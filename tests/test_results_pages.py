"""The pages of results say what the committed runs say."""

import importlib.util
import pathlib

from matplotlib.figure import Figure

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def test_the_table_of_when_it_pays_is_that_of_the_runs(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("when_it_pays", DOCS / "pictures" / "when_it_pays.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: drawn.append(path.name))
    module.main()
    page = (DOCS / "results" / "when_it_pays.md").read_text(encoding="utf-8").splitlines()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) >= 4 and set(rows) <= set(page) and drawn == ["when_it_pays.png"]
