import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from glimpse.files import read_text, write_json, write_whole


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"a": 1.5})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1.5}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_lists_of_numbers_stand_on_one_line(tmp_path):
    value = {"log": {"step": [1, 2], "loss": [-2.5e-07, 1.5]}, "runs": ["a", "[\n1,\n2]"], "none": [], "pairs": [[1, 2]]}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == value
    assert '    "step": [1, 2],\n    "loss": [-2.5e-07, 1.5]\n' in text and '  "runs": [\n    "a",\n' in text


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "report.md"
    write_whole(path, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["report.md"]


def test_threads_may_write_the_same_file(tmp_path):
    path = tmp_path / "map.npy"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: write_whole(path, b"x" * 100_000), range(200)))
    assert path.stat().st_size == 100_000 and [p.name for p in tmp_path.iterdir()] == ["map.npy"]


def test_texts_are_utf8(tmp_path):
    write_whole(tmp_path / "x", "größe 大")
    assert (tmp_path / "x").read_bytes() == "größe 大".encode("utf-8") and read_text(tmp_path / "x") == "größe 大"
