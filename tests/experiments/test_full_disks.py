"""Disks that are full or may not be written: real ones, small file systems in memory, where root may mount them.

Each program ends with one line and status 2; once there is room, the same command goes on to the same bits.
"""

import json
import os
import subprocess

import pytest

from experiments import detect, evaluate, export, propose, report, sweep, train, visualize
from tests.data.photo_files import write_image
from tests.experiments.test_sweep import write_study
from tests.experiments.test_train import flags

KIB, MIB = 2**10, 2**20
FULL = "No space left on device; make room there"


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode == 0


class Disk:
    """A file system in memory of some bytes, at `path`."""

    def __init__(self, path, size):
        self.path, self.filler = path, path / "filler"
        path.mkdir()
        if not mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", path):
            pytest.skip("no right to mount a file system")

    def fill(self, left=0):
        """Leaves so many bytes."""
        self.filler.unlink(missing_ok=True)
        free = os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize
        self.filler.write_bytes(bytes(max(0, free - left)))

    def set(self, option):
        assert mount("-o", f"remount,{option}", self.path)


@pytest.fixture
def disk(tmp_path):
    disks = []

    def make(size):
        disks.append(Disk(tmp_path / f"disk{len(disks)}", size))
        return disks[-1]
    yield make
    for each in disks:
        subprocess.run(["umount", "-l", each.path], capture_output=True)


def line_of(main, arguments, capsys):
    """The one line with which a program ends."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line.lower()]
    errors = [line for line in said if line.startswith("error: ")]
    assert stop.value.code == 2 and len(errors) == 1 and "Traceback" not in "".join(said), said
    return errors[0]


def outcome(workdir):
    """What must not depend on whether a run was stopped."""
    results = json.loads((workdir / "results.json").read_text())
    log = (workdir / "metrics.jsonl").read_text()
    return results["metrics"], results["errors"], results["policy"], results["log"], log


def test_a_training_on_a_full_disk_goes_on_to_the_same_bits(disk, tiny, digit_run, capsys):
    """First there is no room for the configuration, then none for the second checkpoint beside the first."""
    small = disk(3 * MIB)
    workdir = small.path / "run"
    needed = sum(file.stat().st_size for file in (digit_run / "checkpoints" / "ckpt-3").iterdir())
    small.fill()
    assert FULL in line_of(train.main, flags(workdir, tiny), capsys)
    assert not (workdir / "results.json").exists()
    small.fill(needed + 48 * KIB)  # for one, and for the files beside it
    assert FULL in line_of(train.main, flags(workdir, tiny), capsys)
    assert (workdir / "checkpoints" / "ckpt-3").is_dir() and not (workdir / "results.json").exists()
    small.filler.unlink()
    train.main(flags(workdir, tiny))
    assert outcome(workdir) == outcome(digit_run)


def test_programs_on_a_full_disk_and_on_one_that_is_only_read(disk, tiny, digit_run, tmp_path, capsys):
    small = disk(3 * MIB)
    photo = tmp_path / "photo.png"
    write_image(photo, "L", size=(96, 96))
    run = f"--run={digit_run}"
    commands = {
        "evaluate": (evaluate.main, [run, f"--detections={small.path / 'found'}"]),
        "export": (export.main, [run, f"--out={small.path / 'exported'}"]),
        "visualize": (visualize.main, [run, f"--photo={photo}", f"--out={small.path / 'pictures'}"]),
        "detect": (detect.main, [run, photo, "--score=0", f"--out={small.path / 'detections'}"]),
    }
    small.fill()
    for name, (main, arguments) in commands.items():
        line = line_of(main, arguments, capsys)
        assert FULL in line and str(small.path) in line, (name, line)
    small.filler.unlink()
    for path in small.path.iterdir():
        assert not [each for each in path.rglob("*") if each.is_file()], path
    small.set("ro")
    for name, (main, arguments) in commands.items():
        line = line_of(main, [each.replace("/disk0/", "/disk0/ro-") if isinstance(each, str) else each
                              for each in arguments], capsys)
        assert "Read-only file system; name a directory that may be written" in line, (name, line)
    line = line_of(train.main, flags(small.path / "run", tiny), capsys)
    assert f"error: {small.path / 'run'}: Read-only file system; name a directory that may be written" == line


@pytest.mark.slow
def test_a_study_and_its_report_on_a_full_disk(disk, tiny, digit_run, tmp_path, capsys):
    small = disk(3 * MIB)
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0, 1]}])
    arguments = [f"--gin_file={file}", f"--workdir={small.path / 'study'}", "--jobs=2"]
    small.fill()
    assert FULL in line_of(sweep.main, arguments, capsys)
    small.fill(sum(file.stat().st_size for file in (digit_run / "checkpoints").rglob("*")))  # not for those of two runs
    with pytest.raises(SystemExit) as stop:
        sweep.main(arguments)
    printed = capsys.readouterr()
    assert stop.value.code in (1, 2) and "Traceback" not in printed.out + printed.err
    small.filler.unlink()
    sweep.main(arguments)
    study = small.path / "study"
    whole = {path.name: path.read_bytes() for path in study.glob("report.*")}
    small.fill()
    line = line_of(report.main, [f"--study={study}"], capsys)
    assert FULL in line and str(study) in line
    assert {path.name: path.read_bytes() for path in study.glob("report.*")} == whole
    small.filler.unlink()
    small.set("ro")
    assert "Read-only file system" in line_of(report.main, [f"--study={study}"], capsys)


def test_proposals_on_a_full_disk(disk, tmp_path, capsys):
    pytest.importorskip("cv2")
    from tests.data.photo_files import write_voc
    root = tmp_path / "photos"
    write_voc(root, {name: [("cat", 3, 5, 22, 28)] for name in "ab"})
    (root / "classes.txt").write_text("cat\n")
    small = disk(3 * MIB)
    small.fill()
    arguments = ["--gin_file=experiments/photos.gin", f"--gin_param=DATA_ROOT={str(root)!r}", "--split=train",
                 "--gin_param=Experiment.proposals=@SelectiveSearch()",
                 f"--gin_param=SelectiveSearch.cache={str(small.path / 'cache')!r}", "--jobs=1"]
    line = line_of(propose.main, arguments, capsys)
    assert str(small.path) in line and "No space left on device" in line and "name a directory with room" in line
    assert not [path for path in (small.path / "cache").rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("size", [3 * MIB, 12 * MIB])
def test_a_training_struck_at_every_fill_of_the_disk(disk, tiny, digit_run, size, capsys):
    """From full to enough, in steps of 16 KiB: one line each time, and in the end the same bits."""
    struck = 0
    for left in range(0, 256 * KIB, 16 * KIB):
        small = disk(size)
        workdir = small.path / "run"
        small.fill(left)
        try:
            train.main(flags(workdir, tiny))
        except SystemExit as stop:
            assert stop.code == 2 and FULL in capsys.readouterr().err
            struck += 1
            small.filler.unlink()
            train.main(flags(workdir, tiny))
        assert outcome(workdir) == outcome(digit_run), left
    assert struck > 3
