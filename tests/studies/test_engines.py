"""What engines are told and refuse, without any cluster."""

import pytest

from experiments import sweep
from glimpse.errors import GlimpseError
from glimpse.studies.launchers import node
from glimpse.studies.launchers.ray import Ray
from glimpse.studies.launchers.slurm import Slurm
from glimpse.studies.plan import launcher_of
from tests.experiments.test_sweep import write_study


def test_an_engine_is_named_by_the_study_or_the_command_line(tmp_path, tiny):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0]}])
    assert launcher_of(file, [], jobs=3).jobs == 3
    assert launcher_of(file, ["ray.cpus = 4"], "@ray()").cpus == 4
    file.write_text(file.read_text() + "study.launcher = @slurm()\nslurm.cpus = 2\nslurm.more = {'account': 'a'}\n")
    launcher = launcher_of(file, ["slurm.hours = 0.5"])
    assert (launcher.cpus, launcher.minutes, launcher.more) == (2, 30, {"account": "a"})


@pytest.mark.parametrize("flags, message", [
    (["--launcher=@pbs()"], "--launcher must be one of @local(), @ray(), @slurm(), got '@pbs()'"),
    (["--launcher=@ray()", "--jobs=2"], "--jobs=2 is for @local(); ray.cpus says what a run needs"),
    (["--launcher=@ray()", "--gin_param=ray.cpu=2"], "ray.cpu"),
    (["--launcher=@ray()", "--gin_param=ray.cpus='all'"], "ray.cpus must be a whole number of at least 1, got 'all'"),
    (["--launcher=@slurm()", "--gin_param=slurm.more='x'"], "slurm.more must be a dict of options of sbatch, got 'x'"),
    (["--gin_param=study.launcher=3"], "study.launcher must be @local(), @ray() or @slurm(), got 3"),
])
def test_a_faulty_engine_is_one_line(tmp_path, tiny, capsys, flags, message):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0]}])
    with pytest.raises(SystemExit) as stop:
        sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", *flags])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and message in said and said.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_commands_are_shown_and_nothing_runs(tmp_path, tiny, capsys):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1, 2], "SEED": [0]}])
    sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", "--launcher=@slurm()", "--only_print"])
    lines = capsys.readouterr().out.splitlines()
    assert "an array of at most 256 at a time, 1 CPUs and 0 GPUs a run" in lines[0]
    assert sum(" -m experiments.train --gin_file=" in line for line in lines) == 2
    assert not (tmp_path / "study").exists()


def test_without_sbatch_slurm_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="pip install 'glimpse[slurm]' for SLURM's launcher")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GlimpseError, match="needs the commands sbatch and srun, which are not here"):
        Slurm().begin(tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_ray_address_that_nobody_answers_is_refused(tmp_path, address):
    pytest.importorskip("ray", reason="pip install 'glimpse[ray]' for Ray's launcher")
    with pytest.raises(GlimpseError, match="ray.address='.*127.0.0.1:1': no Ray cluster answers there") as refused:
        Ray(address=address).begin(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_directory_that_is_not_shared_is_told_by_its_token(tmp_path, monkeypatch):
    monkeypatch.setattr(node, "PATIENCE", 0.1)
    with node.token_in(tmp_path) as token:
        assert node.ran(["true"], tmp_path / "log", 1, tmp_path, "", token) == 0
        command = ["sh", "-c", "echo $TF_NUM_INTRAOP_THREADS; exit 3"]
        assert node.ran(command, tmp_path / "log", 2, tmp_path, "", token) == 3
    assert (tmp_path / "log").read_text() == "2\n" and not token.exists()
    assert node.ran(["true"], tmp_path / "log", 1, tmp_path, "", token) == node.NOT_SHARED
