"""Whose code a run directory may run."""

import json
import multiprocessing
import sys

import pytest

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training import own_modules, run, trained_on
from glimpse.training.restore import restored

POLICY = '''
import gin
import tensorflow as tf
import {name}_sizes


@gin.register("{name}")
class Mine:
    def __call__(self, situation, explore):
        return tf.fill([tf.shape(situation.hidden)[0], 4], {name}_sizes.SIZE)
'''


def write_own(directory, name):
    """A gin file with a policy beside it, in a module that imports another one."""
    directory.mkdir()
    (directory / f"{name}.py").write_text(POLICY.format(name=name))
    (directory / f"{name}_sizes.py").write_text("SIZE = 0.1\n")
    (directory / "mine.gin").write_text(f"import {name}\ninclude 'experiments/digits.gin'\nPOLICY = @{name}()\n"
                                       "RELABEL_IOUS = None\n")
    return directory / "mine.gin"


@pytest.fixture
def noted(tmp_path):
    """A run directory as training leaves it, of a configuration that imports a module of one's own; and its name."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    file = write_own(tmp_path / "mine", name)
    workdir = tmp_path / "run"
    workdir.mkdir()
    with config.configuration(file) as text:
        (workdir / run.CONFIG).write_text(text)
        assert own_modules.write_note(workdir, text, file) == []
    yield workdir, name
    for each in (name, f"{name}_sizes"):
        sys.modules.pop(each, None)


def read(workdir, allowed=()):
    may_import, directories = own_modules.trusted(workdir, allowed)
    with config.import_directories(directories), config.configuration(workdir / run.CONFIG, may_import=may_import):
        pass


def test_the_directory_of_the_gin_file_is_on_the_import_path_for_its_own_time(noted):
    workdir, name = noted
    assert f"import {name}" in (workdir / run.CONFIG).read_text()
    assert not any("mine" in directory and str(workdir.parent) in directory for directory in sys.path)


def test_the_modules_of_a_training_are_noted_with_what_they_import(noted):
    workdir, name = noted
    note = json.loads((workdir / own_modules.NOTE).read_text())["modules"]
    assert [each["name"] for each in note] == [name, f"{name}_sizes"]
    assert all(len(each["sha256"]) == 64 and each["path"].startswith(str(workdir.parent)) for each in note)
    read(workdir)


@pytest.mark.parametrize("part", ["", "_sizes"])
def test_a_module_that_has_changed_is_run_only_if_it_is_allowed_by_name(noted, part):
    workdir, name = noted
    (workdir.parent / "mine" / f"{name}{part}.py").write_text("print('changed')")
    with pytest.raises(GlimpseError, match=f"{name}{part}.py is not what it was .* --allow_import={name}"):
        read(workdir)
    read(workdir, [name])


def test_a_module_that_is_gone_is_named(noted):
    workdir, name = noted
    (workdir.parent / "mine" / f"{name}.py").unlink()
    with pytest.raises(GlimpseError, match=f"{name}.py is not there"):
        read(workdir)


def test_another_module_of_the_same_name_is_not_taken_for_it(noted, tmp_path, monkeypatch):
    workdir, name = noted
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / f"{name}.py").write_text("print('another')")
    monkeypatch.syspath_prepend(tmp_path / "first")
    sys.modules.pop(name)
    with pytest.raises(GlimpseError, match=f"which is now .*first/{name}.py, and was .*mine/{name}.py; rename one"):
        read(workdir)


def foreign(directory, line):
    (directory / run.CHECKPOINTS).mkdir(parents=True)
    (directory / run.CONFIG).write_text(f"{line}\nimport glimpse.training.experiment\nExperiment.seed = 0\n")
    (directory / trained_on.DATA).write_text('{"class_names": ["a"], "category_ids": [1], "image_shape": [8, 8, 1]}')
    (directory / "evil.py").write_text("open('evil was here', 'w').close()")


@pytest.mark.parametrize("line, message", [
    ("import evil", "imports 'evil', which is no module of this program"),
    ("from os import path", "imports 'os.path'"),
    ("import evil as glimpse", "imports 'evil'"),
    ("from __gin__ import dynamic_registration", "imports '__gin__.dynamic_registration'"),
    ("include 'more.gin'", "line 1: includes 'more.gin'"),
    ("include '/etc/passwd'", "line 1: includes '/etc/passwd'"),
])
def test_a_foreign_run_runs_nothing_of_its_own(tmp_path, monkeypatch, line, message):
    foreign(tmp_path / "run", line)
    (tmp_path / "run" / "more.gin").write_text("import evil\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "run")  # at the worst
    with pytest.raises(GlimpseError) as error:
        with restored("run"):
            pass
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "evil was here").exists() and "evil" not in sys.modules


def vouched(workdir, path, key=None):
    """A note of a module "evil", as it is or signed."""
    modules = [{"name": "evil", "path": str(path), "sha256": own_modules._sha256(path)}]
    note = modules if key is None else {"modules": modules, "signature": own_modules._signature(modules, key)}
    (workdir / own_modules.NOTE).write_text(json.dumps(note))


def test_a_note_that_came_with_the_run_proves_nothing(tmp_path, monkeypatch):
    """Neither for a module in the run's directory, nor for one that lies elsewhere, such as in a folder of all users.
    """
    monkeypatch.chdir(tmp_path)
    foreign(tmp_path / "run", "import evil")
    elsewhere = tmp_path / "all users" / "evil.py"
    elsewhere.parent.mkdir()
    (tmp_path / "run" / "evil.py").rename(elsewhere)
    (tmp_path / "run" / "evil.py").symlink_to(elsewhere)
    own_key = own_modules._key(make=True)
    for key in (None, b"", bytes(32), b"x" * 32):
        for path in (elsewhere, tmp_path / "run" / "evil.py"):
            vouched(tmp_path / "run", path, key)
            with pytest.raises(GlimpseError, match="evil.py was not noted by a training of yours .* --allow_import=ev"):
                with restored("run"):
                    pass
    (tmp_path / "run" / "evil.py").unlink()
    (tmp_path / "run" / "evil.py").write_text("open('evil was here', 'w').close()")
    vouched(tmp_path / "run", tmp_path / "run" / "evil.py", own_key)
    with pytest.raises(GlimpseError, match="evil.py came with the run"):
        with restored("run"):
            pass
    assert not (tmp_path / "evil was here").exists()


def test_a_note_that_was_changed_is_nobodys(noted):
    workdir, name = noted
    note = json.loads((workdir / own_modules.NOTE).read_text())
    (workdir.parent / "mine" / f"{name}_sizes.py").write_text("print('changed')")
    note["modules"][1]["sha256"] = own_modules._sha256(workdir.parent / "mine" / f"{name}_sizes.py")
    (workdir / own_modules.NOTE).write_text(json.dumps(note))
    with pytest.raises(GlimpseError, match="was not noted by a training of yours"):
        read(workdir)


def test_the_key_is_made_once_and_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with multiprocessing.get_context("fork").Pool(8) as pool:
        keys = pool.map(own_modules._key, [True] * 40)
    path = tmp_path / "config" / "glimpse" / "key"
    assert len(set(keys)) == 1 and len(keys[0]) == 32 and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_no_key_can_be_kept_the_note_is_unsigned_and_the_log_says_so(noted, tmp_path, monkeypatch, caplog):
    workdir, name = noted
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with config.configuration(tmp_path / "mine" / "mine.gin") as text:
        own_modules.write_note(workdir, text, tmp_path / "mine" / "mine.gin")
    assert "key cannot be written" in caplog.text
    with pytest.raises(GlimpseError, match="was not noted by a training of yours"):
        read(workdir)
    read(workdir, [name])


def test_a_note_of_another_shape_is_one_line(tmp_path):
    foreign(tmp_path / "run", "import evil")
    for text in ("[3]", "{", "[{}]", '{"modules": [], "signature": 3}', '{"modules": 3, "signature": null}'):
        (tmp_path / "run" / own_modules.NOTE).write_text(text)
        with pytest.raises(GlimpseError, match="modules.json cannot be read"):
            own_modules.trusted(tmp_path / "run")
