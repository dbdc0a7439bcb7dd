import pytest

from experiments import propose
from tests.data.photo_files import write_voc


@pytest.fixture
def flags(tmp_path):
    """A configuration of data and proposals alone; all that this entry point needs."""
    for split in ("train", "val"):
        write_voc(tmp_path / "photos", {f"{split}-{place}": [("cat", 1, 1, 20, 30)] for place in range(2)}, split=split)
    (tmp_path / "x.gin").write_text("import glimpse.training.experiment\ninclude 'data/voc.gin'\n"
                                    f"DATA_ROOT = {str(tmp_path / 'photos')!r}\nCACHE = {str(tmp_path / 'cache')!r}\n")
    return [f"--gin_file={tmp_path / 'x.gin'}", "--jobs=1"]


def test_it_fills_the_cache_once_and_prints_the_recall(flags, tmp_path, capsys):
    pytest.importorskip("cv2")
    propose.main([*flags, "--split=train", "--split=validation"])
    printed = capsys.readouterr().out
    assert "train: 2 images" in printed and "validation: 2 images" in printed and "recall at IoU 0.7" in printed
    files = list((tmp_path / "cache").rglob("*.npz"))
    before = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 1  # the four pictures are one
    propose.main([*flags, "--split=train", "--images=1"])
    assert "train: 1 images" in capsys.readouterr().out
    assert [file.stat().st_mtime_ns for file in files] == before


def test_the_recall_of_other_proposals(flags, capsys):
    more = ["--gin_param=Experiment.proposals=@WindowGrid()", "--gin_param=WindowGrid.sizes=(24.6,)",
            "--gin_param=WindowGrid.aspect_ratios=(0.667,)", "--split=train"]
    propose.main([*flags, *more])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    # Windows 20 wide and 30 high, 9 apart: the first is the object.
    assert rows[0][3] == "4" and rows[-1] == ["all", "100.0", "%", "100.0", "%"]


def test_it_draws_the_recall(flags, tmp_path):
    more = ["--gin_param=Experiment.proposals=@WindowGrid()", "--split=train", "--split=validation"]
    propose.main([*flags, *more, f"--picture={tmp_path / 'recall'}"])
    assert (tmp_path / "recall.png").is_file() and (tmp_path / "recall.pdf").is_file()


def test_faults_end_with_one_line_and_status_2(flags, capsys):
    for more in (["--split=dev"], ["--images=0"], ["--jobs=0"], ["--picture=/no/such/x"]):
        with pytest.raises(SystemExit) as stop:
            propose.main([*flags, *more])
        assert stop.value.code == 2 and capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")
