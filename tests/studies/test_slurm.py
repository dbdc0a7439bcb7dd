"""A study under SLURM: submitit's own processes, and a real controller with two nodes where they are installed."""

import subprocess

import pytest

from experiments import sweep
from glimpse.studies.launchers import slurm
from glimpse.training.metrics_log import last_step
from tests.experiments.test_sweep import write_study
from tests.studies import slurm_here
from tests.studies.test_ray import EIGHT, ended, results, started, trainings, wait_for

pytest.importorskip("submitit", reason="pip install 'glimpse[slurm]' for SLURM's launcher")


@pytest.mark.parametrize("status", [143, -15])
def test_a_job_that_was_stopped_has_no_result_though_the_training_had_hardly_begun(status, monkeypatch):
    monkeypatch.setattr(slurm.node, "ran", lambda *arguments: status)
    with pytest.raises(SystemExit) as stop:
        slurm.Command([], "log", 1, ".", "token")()
    assert stop.value.code == 143


def test_a_job_that_failed_has_a_result(monkeypatch):
    monkeypatch.setattr(slurm.node, "ran", lambda *arguments: 2)
    assert slurm.Command([], "log", 1, ".", "token")() == 2


@pytest.mark.slow
def test_a_study_in_processes_of_submitit(tmp_path, tiny, capsys):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0, 1]}])
    sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", "--launcher=@slurm()",
                "--gin_param=slurm.cluster='local'"])
    said = capsys.readouterr().out
    assert "2 runs in" in said and "report: " in said and len(results(tmp_path / "study")) == 2


@pytest.mark.slow
@pytest.mark.skipif(slurm_here.missing() is not None, reason=slurm_here.missing() or "")
def test_eight_runs_complete_though_a_job_is_queued_again_and_one_cancelled(tmp_path, tiny, monkeypatch):
    file = write_study(tmp_path, [*tiny, "TRAIN_STEPS = 30"], EIGHT)
    there, local, cluster = tmp_path / "slurm", tmp_path / "local", tmp_path / "cluster"
    cluster.mkdir()
    with slurm_here.running(cluster) as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        process = started(file, there, "--launcher=@slurm()", "--gin_param=slurm.hours=1")
        wait_for(lambda: len(list(there.glob("*/checkpoints/ckpt-*"))) >= 2, process)
        requeued, cancelled = at_work("%i")[:2] if len(at_work("%i")) > 1 else (at_work("%i")[0], pending("%i")[-1])
        subprocess.run(["scontrol", "requeue", requeued], check=True)
        subprocess.run(["scancel", cancelled], check=True)
        status, said = ended(process, there)
        assert status == 0 and said.count("done ") == 8 and "FAILED" not in said and "report: " in said, said

        # Ctrl-C, to a sweep of other runs.
        endless = write_study(tmp_path, [*tiny, "TRAIN_STEPS = 100000"], [{"NUM_GLIMPSES": [1], "SEED": [0, 1, 2]}])
        stopped = tmp_path / "stopped"
        process = started(endless, stopped, "--launcher=@slurm()")
        wait_for(lambda: any(last_step(path.parent) for path in stopped.glob("*/metrics.jsonl")), process)
        process.send_signal(2)
        status, said = ended(process, stopped)
        assert status == 130 and "no training is left at work" in said and "FAILED" not in said, said
        assert not list(stopped.glob("*/.lock")) and not at_work("%i")
        assert any(stopped.glob("*/checkpoints/ckpt-*"))
    monkeypatch.delenv("SLURM_CONF")
    write_study(tmp_path, [*tiny, "TRAIN_STEPS = 30"], EIGHT)
    sweep.main([f"--gin_file={file}", f"--workdir={local}", "--jobs=2"])
    assert len(results(local)) == 8 and results(there) == results(local)
    assert set(trainings(there).values()) == {1}


def at_work(form):
    return _queue("RUNNING", form)


def pending(form):
    return _queue("PENDING", form)


def _queue(states, form):
    return subprocess.run(["squeue", "--noheader", "--array", f"--states={states}", f"--format={form}", "--me"],
                          capture_output=True, text=True, check=True).stdout.split()
