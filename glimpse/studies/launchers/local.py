"""The engine that runs a study on this machine, one process a run."""

import os

import gin

from glimpse.errors import whole_number
from glimpse.studies.launchers.node import started
from glimpse.training.environment import cores


@gin.register("local")
class Local:
    """Processes of this machine, each with its share of the cores; if this program is killed they end as well.

    Args:
        jobs: how many at a time; one a core unless given.
    """

    def __init__(self, jobs=None):
        self.jobs = cores() if jobs is None else whole_number("local.jobs", jobs)

    @property
    def description(self):
        return f"{self.jobs} at a time"

    def begin(self, workdir):
        self.workdir = workdir

    def room(self, at_work):
        return self.jobs - at_work

    def start(self, commands):
        threads = max(1, cores() // self.jobs)
        return {name: started(command, self.workdir / f"{name}.log", threads, os.getcwd())
                for name, command in commands.items()}

    def status(self, job):
        return job.poll()

    def stop(self, jobs):
        for job in jobs:
            job.terminate()

    def end(self):
        pass
