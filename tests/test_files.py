import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glimpse.files import (
    discard,
    file_name_of,
    read_text,
    remove_leftovers,
    temporary_name,
    write_json,
    write_whole,
)


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"a": 1.5})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1.5}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_lists_of_numbers_stand_on_one_line(tmp_path):
    value = {"log": {"step": [1, 2], "loss": [-2.5e-07, 1.5]}, "runs": ["a", "[\n1,\n2]"], "none": [],
             "pairs": [[1, 2]]}
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


def test_what_a_killed_process_leaves_is_known_by_its_name_and_removed(tmp_path):
    for name in ("results.json", ".hidden", ".x.1.2", "x.1.2.tmp", ".x.tmp"):
        (tmp_path / name).write_text("mine")
    temporary_name(tmp_path / "results.json").write_text("hal")
    (temporary_name(tmp_path / "ckpt-20") / "below").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", ".x.1.2", ".x.tmp", "results.json", "x.1.2.tmp"]


def test_files_and_directories_are_discarded(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "directory" / "below").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("directory", "file", "link"):
        discard(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_threads_may_write_the_same_file(tmp_path):
    path = tmp_path / "map.npy"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: write_whole(path, b"x" * 100_000), range(200)))
    assert path.stat().st_size == 100_000 and [p.name for p in tmp_path.iterdir()] == ["map.npy"]


def test_texts_are_utf8(tmp_path):
    write_whole(tmp_path / "x", "größe 大")
    assert (tmp_path / "x").read_bytes() == "größe 大".encode() and read_text(tmp_path / "x") == "größe 大"


@pytest.mark.parametrize("text, name", [
    ("red cell-3_b.jpg", "red cell-3_b.jpg"), ("猫 é", "猫 é"), ("../a", "%2E.%2Fa"), ("..", "%2E%2E"),
    ("a/b", "a%2Fb"), ("a%2Fb", "a%252Fb"), ("a\\b:*?", "a%5Cb%3A%2A%3F"), ("", "%"), ("\n\0", "%0A%00"),
    (" a ", "%20a%20"), (42, "42"),
    ("\ud800", "%ED%A0%80"), ("x~1", "x%7E1")])
def test_any_text_becomes_a_file_name(tmp_path, text, name):
    assert file_name_of(text) == name
    (tmp_path / name).write_text("")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_long_texts_become_short_names_that_stay_apart():
    names = {file_name_of(text) for text in ("é" * 300, "é" * 301, "é" * 299 + "/")}
    assert len(names) == 3 and all(len(name.encode()) <= 160 and name.startswith("é" * 60) for name in names)


@given(st.lists(st.text(st.characters(), max_size=80), unique=True, min_size=2, max_size=5))
def test_file_names_of_texts_are_apart_and_single(texts):
    names = [file_name_of(text) for text in texts]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.isprintable() and name[0] != "." and not set(name) & set('/\\:*?"<>|') and len(name.encode()) <= 160
