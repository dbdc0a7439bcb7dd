"""What the system refuses, as the programs say it."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from experiments import launch
from glimpse import system_faults
from glimpse.files import write_whole


@pytest.mark.parametrize("number", sorted(system_faults._CURES))
def test_a_fault_of_the_system_is_one_line_with_path_and_cure_and_status_2(number, capsys):
    @launch.exit_on_error
    def program(arguments):
        raise OSError(number, os.strerror(number), "runs/x")

    with pytest.raises(SystemExit) as stop:
        program([])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1
    assert said.startswith(f"error: runs/x: {os.strerror(number)}; ")


@pytest.mark.parametrize("error, line", [
    (tf.errors.ResourceExhaustedError(None, None, "runs/x/ckpt-3_temp/part-0.data; No space left on device"),
     "runs/x/ckpt-3_temp/part-0.data: No space left on device; make room"),
    (tf.errors.PermissionDeniedError(None, None, "{{node Save}} runs/x/ckpt; Permission denied [Op:SaveV2]"),
     "runs/x/ckpt: Permission denied; give"),
    (tf.errors.UnknownError(None, None, "OSError: [Errno 24] Too many open files: 'my photos/a.jpg'\nTraceback"),
     "my photos/a.jpg: Too many open files; allow"),
    (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room"),
])
def test_what_python_and_tensorflow_say(error, line):
    assert system_faults.line_of(error).startswith(line)


@pytest.mark.parametrize("error", [OSError("no number"), ConnectionResetError(errno.ECONNRESET, "reset"), KeyError(28),
                                   tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")])
def test_other_faults_keep_their_traceback(error):
    assert system_faults.line_of(error) is None


def test_a_failed_write_names_its_file_and_leaves_nothing(tmp_path):
    path = tmp_path / ("x" * 240)  # its temporary name is too long
    with pytest.raises(OSError) as fault:
        write_whole(path, "text")
    assert system_faults.line_of(fault.value) == f"{path}: File name too long; use a shorter name"
    with pytest.raises(OSError) as fault:
        write_whole(tmp_path / "none" / "x", "text")
    assert fault.value.filename == str(tmp_path / "none" / "x") and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_under_what_is_printed(tmp_path, capsys):
    @launch.exit_on_error
    def program(arguments):
        print("results")

    with open("/dev/full", "w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as stop:
            program([])
        with pytest.raises(OSError):
            full.close()
    assert stop.value.code == 2 and "No space left on device" in capsys.readouterr().err


@pytest.fixture
def disk(tmp_path):
    """A small file system in memory, full, and what mounts it anew with other options."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True).returncode
    if mount("size=256k"):
        pytest.skip("no right to mount a file system")
    (path / "filler").write_bytes(bytes(2**18 - 2**13))
    yield path, mount
    subprocess.run(["umount", "-l", path], capture_output=True)


def test_what_tensorflow_says_of_a_disk_that_is_full_or_only_read(disk):
    path, mount = disk
    module = tf.Module()
    module.value = tf.Variable(tf.zeros([2**16]))

    def line():
        with pytest.raises(Exception) as fault:
            tf.train.CheckpointManager(tf.train.Checkpoint(m=module), path / "checkpoints", max_to_keep=1).save()
        with pytest.raises(Exception) as other:
            tf.saved_model.save(module, path / "exported")
        return [system_faults.line_of(each.value) for each in (fault, other)]

    for said in line():
        assert said.startswith(f"{path}/") and "No space left on device; make room there, and give the same" in said
    assert mount("remount,ro") == 0
    for said in line():
        assert said.startswith(str(path)) and "Read-only file system; name a directory that may be written" in said


@pytest.mark.parametrize("program, arguments", [
    ("train", ["--gin_file=experiments/digits.gin", "--workdir=größe"]), ("evaluate", ["--run=größe"])])
def test_names_that_tensorflow_would_not_find_in_this_locale_are_refused(tmp_path, program, arguments):
    ended = subprocess.run(
        [sys.executable, "-m", f"experiments.{program}", *arguments], capture_output=True, cwd=tmp_path,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                          "PYTHONPATH": str(pathlib.Path(__file__).parents[1])})
    said = ended.stderr.decode()
    assert ended.returncode == 2 and said.count("\n") == 1 and said.isascii() and "set PYTHONUTF8=1" in said
    assert not list(tmp_path.iterdir())
