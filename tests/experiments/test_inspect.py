"""The page on a data set."""

import html
import re

import pytest

from experiments import inspect
from tests.data.photo_files import write_voc, write_yolo

NAMES = ["cost_$5$", "a|b *c* `d` <e>"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "0 0.25 0.5 0.5 1\n1 0.5 0.5 0.25 0.25\n"
    names = "".join(f"  - {name!r}\n" for name in NAMES)
    labels = {f"{place}": rows + "9 0.5 0.5 0.1 0.1\n" * (place == 3) for place in range(6)}
    return write_yolo(tmp_path / "mine", labels, data=f"train: images/train\nnames:\n{names}")


def test_it_shows_counts_defects_recall_and_pictures(photos, capsys):
    inspect.main([f"--data={photos}"])
    page = (photos.parent / "inspect_mine.html").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "train: 5 images, 10 objects" in printed and "validation: 1 images" in printed
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)]
    assert set(NAMES) <= set(cells) and any("3.txt, line 3: unknown class '9'" in cell for cell in cells)
    assert page.count("<svg") == 5 and page.count('<img src="data:image/png') == 2
    assert "WindowGrid, on 5 images of train" in page and "There is no test split" in page and "In call to" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page) and "<script" not in page
    inspect.main([f"--data={photos}"])  # a page is made anew


def test_any_configuration_can_be_inspected(tmp_path, capsys):
    write_voc(tmp_path / "photos", {"a": [("cat", 1, 1, 20, 30)], "b": [("cat", 1, 1, 20, 30)]})
    (tmp_path / "x.gin").write_text("import glimpse.training.experiment\ninclude 'data/voc.gin'\nCACHE = 'cache'\n"
                                    "Experiment.proposals = @WindowGrid()\nimport glimpse.data.proposals\n"
                                    f"DATA_ROOT = {str(tmp_path / 'photos')!r}\nVOC.classes = ['cat', 'dog']\n")
    inspect.main([f"--gin_file={tmp_path / 'x.gin'}", f"--out={tmp_path / 'page.html'}"])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No training image shows dog" in page and "Of cat there are 2 objects" in page
    assert "There is no validation split" in page


def test_faults_are_one_line(photos, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.html").write_text("mine")
    for arguments in ([f"--data={tmp_path / 'empty'}"], [f"--data={photos}", f"--out={tmp_path / 'other.html'}"],
                      [f"--data={photos}", f"--out={tmp_path / 'nowhere' / 'x.html'}"], [],
                      [f"--data={photos}", "--images=0"]):
        with pytest.raises(SystemExit) as stop:
            inspect.main(arguments)
        said = capsys.readouterr().err.strip().splitlines()
        assert stop.value.code == 2 and said[-1].startswith("error: ")
    assert (tmp_path / "other.html").read_text() == "mine"
