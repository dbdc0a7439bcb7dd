import json
import os

import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.files import temporary_name
from glimpse.training import checkpoints


def checkpoint_of(values=(0.0, 0.0, 0.0, 0.0)):
    checkpoint = tf.train.Checkpoint(weights=tf.Variable(values))
    checkpoint.save_counter  # noqa: B018
    return checkpoint


def save(directory, *steps, keep=2):
    for step in steps:
        checkpoints.save(directory, checkpoint_of([step, 2.0, 3.0, 4.0]), step, keep)


def restored(directory):
    """What `restore` returns, and the step that the weights tell of."""
    checkpoint = checkpoint_of()
    return checkpoints.restore(directory, checkpoint), int(checkpoint.weights[0])


def cut(content):
    return content[:len(content) // 2]


def flipped(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1:]


def test_the_last_two_are_kept_and_the_last_is_loaded(tmp_path):
    assert restored(tmp_path / "checkpoints") == (checkpoints.Restored(0, {}, []), 0)
    save(tmp_path / "checkpoints", 8, 9, 10)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["ckpt-10", "ckpt-9"]
    manifest = json.loads((tmp_path / "checkpoints" / "ckpt-10" / checkpoints.MANIFEST).read_text())
    assert sorted(manifest) == ["variables.data-00000-of-00001", "variables.index"]
    assert all(len(each) == 64 for each in manifest.values())
    assert restored(tmp_path / "checkpoints") == (checkpoints.Restored(10, {}, []), 10)
    save(tmp_path / "checkpoints", 11, keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["ckpt-11"]


def test_a_checkpoint_of_a_stop_goes_when_the_next_one_stands_and_drives_out_none(tmp_path):
    there = []
    for step in (1, 2, 3, 4, 5, 6):  # stopped after each of them, with one planned at every second
        checkpoints.save(tmp_path, checkpoint_of(), step, 2, planned=lambda step: step % 2 == 0)
        there.append(sorted(checkpoints.steps(tmp_path)))
    assert there == [[1], [2], [2, 3], [2, 4], [2, 4, 5], [4, 6]]


def test_the_window_of_the_log_stands_beside_the_variables(tmp_path):
    window = {"loss/0": np.float32(0.1), "agreement/1": np.arange(3, dtype=np.float32)}
    checkpoints.save(tmp_path, checkpoint_of(), 5, 2, window)
    again = restored(tmp_path)[0].log_window
    assert again.keys() == window.keys() and all(np.array_equal(again[name], window[name]) for name in window)


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b"", lambda content: None],
                         ids=["cut", "flipped", "empty", "gone"])
@pytest.mark.parametrize("name", ["variables.data-00000-of-00001", "variables.index", checkpoints.MANIFEST])
def test_a_damaged_one_is_named_and_the_one_before_is_loaded(tmp_path, capsys, name, damage):
    save(tmp_path, 10, 20)
    path = tmp_path / "ckpt-20" / name
    content = damage(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    assert restored(tmp_path) == (checkpoints.Restored(10, {}, [20]), 10)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "ckpt-20: " in said and "ckpt-10 is used instead" in said
    if name != checkpoints.MANIFEST:
        assert f"ckpt-20: {name} is not" in said
    checkpoints.tidy(tmp_path, [20])  # what a training does then: nothing is thrown away, and the rest is as ever
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ckpt-10", "damaged-ckpt-20"]
    save(tmp_path, 20)
    assert restored(tmp_path)[0].step == 20 and capsys.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("name", ["variables.index", checkpoints.MANIFEST, "more"])
def test_a_pipe_in_place_of_a_file_is_damage(tmp_path, name):
    save(tmp_path, 10, 20)
    (tmp_path / "ckpt-20" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "ckpt-20" / name)
    assert restored(tmp_path)[0] == checkpoints.Restored(10, {}, [20])


@pytest.mark.parametrize("manifest", [b"\xff\xfe", b"[]", b"{}", b"[" * 100_000, b'{"variables.index": 3}'])
def test_a_manifest_of_another_shape_is_damage(tmp_path, manifest):
    save(tmp_path, 10, 20)
    (tmp_path / "ckpt-20" / checkpoints.MANIFEST).write_bytes(manifest)
    assert restored(tmp_path)[0] == checkpoints.Restored(10, {}, [20])


def test_beside_damaged_ones_alone_no_run_starts_again(tmp_path):
    save(tmp_path, 10, 20)
    for step in (10, 20):
        (tmp_path / f"ckpt-{step}" / "variables.index").write_bytes(b"")
    message = (r"no checkpoint in .* can be loaded \(ckpt-20: variables.index is not as it was written; ckpt-10: .*\); "
               "restore the files from a copy, or train again with --overwrite")
    with pytest.raises(GlimpseError, match=message) as error:
        restored(tmp_path)
    assert "\n" not in str(error.value) and len(list(tmp_path.iterdir())) == 2


def test_one_of_another_network_is_no_damage(tmp_path):
    save(tmp_path, 10, 20)
    with pytest.raises(GlimpseError, match="ckpt-20 does not fit the configuration beside it"):
        checkpoints.restore(tmp_path, checkpoint_of([1.0, 2.0]))


def save_as_glimpse_01(directory, *steps):
    checkpoint = checkpoint_of()
    manager = tf.train.CheckpointManager(checkpoint, directory, max_to_keep=len(steps))
    for step in steps:
        checkpoint.weights.assign([step, 2.0, 3.0, 4.0])
        manager.save(checkpoint_number=step)


@pytest.mark.parametrize("state", [None, b"", b"model_checkpoint_path: ", b"\xff\xfe", b"garbled {"])
def test_those_of_glimpse_01_are_loaded_whatever_has_become_of_their_list(tmp_path, state):
    save_as_glimpse_01(tmp_path, 40)
    (tmp_path / "checkpoint").unlink()
    if state is not None:
        (tmp_path / "checkpoint").write_bytes(state)
    assert restored(tmp_path) == (checkpoints.Restored(40, {}, []), 40)


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b""], ids=["cut", "flipped", "empty"])
@pytest.mark.parametrize("name", ["data-00000-of-00001", "index"])
def test_those_of_glimpse_01_are_proved_by_tensorflow(tmp_path, capsys, name, damage):
    save_as_glimpse_01(tmp_path, 20, 40)
    path = tmp_path / f"ckpt-40.{name}"
    path.write_bytes(damage(path.read_bytes()))
    assert restored(tmp_path) == (checkpoints.Restored(20, {}, [40]), 20)
    assert "ckpt-40: does not fit the configuration beside it or is damaged: " in capsys.readouterr().err
    checkpoints.tidy(tmp_path, [40])
    save(tmp_path, 40, 60)
    assert sorted(each.name for each in tmp_path.iterdir() if "damaged" not in each.name) == [
        "checkpoint", "ckpt-40", "ckpt-60"]


def test_one_of_glimpse_01_without_its_index_is_no_start_from_0(tmp_path):
    save_as_glimpse_01(tmp_path, 40)
    (tmp_path / "ckpt-40.index").unlink()
    with pytest.raises(GlimpseError, match="no checkpoint in .* can be loaded"):
        restored(tmp_path)


def test_what_killed_processes_have_left_counts_for_nothing_and_is_removed(tmp_path):
    save(tmp_path, 10)
    left = temporary_name(tmp_path / "ckpt-20")
    (left / "variables_temp").mkdir(parents=True)
    (tmp_path / "ckpt-20_temp").mkdir()
    assert restored(tmp_path)[0].step == 10
    checkpoints.tidy(tmp_path, [])
    assert [each.name for each in tmp_path.iterdir()] == ["ckpt-10"]


def test_a_save_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    save(tmp_path, 10)
    monkeypatch.setattr("glimpse.training.checkpoints.write_json", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save(tmp_path, 20)
    assert [each.name for each in tmp_path.iterdir()] == ["ckpt-10"]
