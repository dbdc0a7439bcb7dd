"""What the system refuses, as the programs say it."""

import errno
import os
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
