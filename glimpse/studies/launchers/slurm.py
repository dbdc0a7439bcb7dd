"""The engine that runs a study under SLURM, through submitit: an extra, pip install 'glimpse[slurm]'."""

import collections
import os
import shutil
import signal
import subprocess
import time

import gin

from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.studies.launchers import node
from glimpse.training import lock

JOBS = ".slurm"  # of a study: what submitit keeps, scripts and its own logs
STOPPED = 128 + signal.SIGTERM
GRACE = 20.0  # seconds within which the result of a job is seen that SLURM knows no more


class Command:
    """One command line, as submitit pickles it."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __call__(self):
        command, log, threads, directory, token = self.arguments
        # A job that is queued again keeps its number.
        job = f"slurm-{os.environ.get('SLURM_JOB_ID', os.getpid())}"
        status = node.ran(command, log, threads, directory, job, token)
        # Cancelled or queued again by SLURM, be it before the training could take note of it: this is no result, and
        # another attempt may follow.
        if status in (STOPPED, -signal.SIGTERM):
            raise SystemExit(STOPPED)
        return status

    def checkpoint(self):
        """What submitit queues at the signal before the end of the job's time; then it leaves `ran` by SystemExit."""
        import submitit
        return submitit.helpers.DelayedSubmission(self)


@gin.register("slurm")
class Slurm:
    """An array of jobs, a run each. SLURM queues those again that it preempts; they go on from their checkpoint.

    The directory of the study lies on a file system that all nodes share.

    Args:
        cpus, gpus: what a run needs; it computes with as many threads as it has CPUs.
        memory_gb: likewise; None for the default of the partition.
        hours: time limit of a run; one that needs longer is queued again, with a checkpoint.
        at_a_time: how many jobs of the array may run at a time.
        partition: of the cluster; None for its default.
        more: further options of sbatch, {"account": "vision"}.
        cluster: "slurm", or "local", submitit's processes on this machine, to try it.
    """

    def __init__(self, cpus=1, gpus=0, memory_gb=None, hours=24.0, at_a_time=256, partition=None, more=None,
                 cluster="slurm"):
        self.cpus, self.gpus = whole_number("slurm.cpus", cpus), whole_number("slurm.gpus", gpus, minimum=0)
        self.memory_gb = None if memory_gb is None else real_number("slurm.memory_gb", memory_gb, minimum=0)
        self.minutes = max(1, round(60 * real_number("slurm.hours", hours, minimum=0)))
        self.at_a_time = whole_number("slurm.at_a_time", at_a_time)
        self.partition, self.more = partition, more or {}
        self.cluster = one_of("slurm.cluster", cluster, ("slurm", "local"))
        if not isinstance(self.more, dict) or not all(isinstance(key, str) for key in self.more):
            raise GlimpseError(f"slurm.more must be a dict of options of sbatch, got {more!r}")

    @property
    def description(self):
        return (f"under SLURM, an array of at most {self.at_a_time} at a time, {self.cpus} CPUs and {self.gpus} GPUs a "
                "run")

    def begin(self, workdir):
        try:
            import submitit
        except ImportError as error:
            raise GlimpseError("--launcher=@slurm() needs submitit: pip install 'glimpse[slurm]'") from error
        if self.cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise GlimpseError("--launcher=@slurm() needs the commands sbatch and srun, which are not here; start the "
                               "sweep on a login node of the cluster")
        self.workdir, self.submitit = workdir, submitit
        folder = workdir.resolve() / JOBS
        if self.cluster == "local":
            self.executor = submitit.LocalExecutor(folder)
            self.executor.update_parameters(timeout_min=self.minutes, gpus_per_node=self.gpus)
        else:
            self.executor = submitit.SlurmExecutor(folder)
            given = {"time": self.minutes, "cpus_per_task": self.cpus, "array_parallelism": self.at_a_time,
                     "job_name": workdir.name, "partition": self.partition, "gpus_per_node": self.gpus or None,
                     "mem": None if self.memory_gb is None else f"{self.memory_gb * 1000:.0f}MB",
                     "additional_parameters": {"requeue": True} | self.more}
            self.executor.update_parameters(**{key: value for key, value in given.items() if value is not None})
        self.token = node.token_in(workdir)
        self.sees = self.token.__enter__()
        self.lost, self.unseen, self.known, self.asked, self.stopped = collections.Counter(), {}, set(), 0.0, set()

    def room(self, at_work):
        return 10_000 - at_work  # SLURM has them wait

    def start(self, commands):
        tasks = {name: Command(command, str((self.workdir / f"{name}.log").resolve()), self.cpus, os.getcwd(),
                               str(self.sees)) for name, command in commands.items()}
        try:
            with self.executor.batch():
                jobs = {name: self.executor.submit(task) for name, task in tasks.items()}
        except (self.submitit.core.utils.FailedJobError, self.submitit.core.utils.FailedSubmissionError,
                subprocess.CalledProcessError) as error:
            text = " ".join(str(error).split())
            raise GlimpseError(f"sbatch refuses the study: {text[:300]}") from error
        for name, job in jobs.items():
            job.glimpse_name = name
        self.asked = 0.0
        return jobs

    def status(self, job):
        if job.paths.result_pickle.exists():
            try:
                status = job.result()
            except Exception:  # of whatever kind the task has raised; its own log tells
                return 1
            if status == node.NOT_SHARED:
                raise node.not_shared(self.workdir, "a node of SLURM")
            return status
        if self._is_known(job):
            self.unseen.pop(job.job_id, None)
            return None
        if job.job_id in self.stopped:
            return STOPPED
        if time.monotonic() - self.unseen.setdefault(job.job_id, time.monotonic()) < GRACE:
            return None
        self.lost[job.glimpse_name] += 1  # cancelled by somebody, or with its node
        return lock.RunHeld.status if self.lost[job.glimpse_name] <= 3 else -signal.SIGKILL

    def _is_known(self, job):
        """Whether the engine still has a job; SLURM is asked every other second, with no need for its accounting."""
        if self.cluster == "local":
            return job.state == "RUNNING"
        if time.monotonic() - self.asked > 2:
            said = subprocess.run(["squeue", "--noheader", "--array", "--format=%i %T", "--me"], capture_output=True,
                                  text=True)
            if said.returncode == 0:  # else the controller does not answer just now
                lines = [line.split() for line in said.stdout.splitlines()]
                self.known = {line[0] for line in lines if line[1] != "COMPLETED"}
                self.asked = time.monotonic()
        return job.job_id in self.known or not self.asked

    def stop(self, jobs):
        for job in jobs:
            self.stopped.add(job.job_id)
            job.cancel(check=False)

    def end(self):
        if hasattr(self, "token"):
            self.token.__exit__(None, None, None)
