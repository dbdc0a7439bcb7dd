"""The engine that runs a study on a Ray cluster: an extra, pip install 'glimpse[ray]'."""

import os
import signal
import socket
import uuid

import gin

from glimpse.errors import GlimpseError, real_number, whole_number
from glimpse.studies.launchers import node
from glimpse.training import stopping


@gin.register("ray")
class Ray:
    """Tasks of a Ray cluster, as many at a time as it has room for; those of a lost node start again elsewhere.

    The directory of the study is one that all nodes share, under the same path; so is the directory in which the sweep
    is started, and glimpse is installed on each.

    Args:
        address: of a running cluster, "auto" for that of this machine, "host:port" or "ray://host:port"; None starts
            one of this machine alone, and ends it.
        cpus, gpus: what a run needs; it computes with as many threads as it has CPUs.
        memory_gb: likewise, in 10^9 bytes; None for no demand.
        restarts: how often a run whose node is lost is started again.
    """

    def __init__(self, address=None, cpus=1, gpus=0, memory_gb=None, restarts=5):
        if address is not None and (not isinstance(address, str) or not address):
            raise GlimpseError(f"ray.address must be a text such as 'auto' or 'host:6379', got {address!r}")
        self.address, self.cpus = address, whole_number("ray.cpus", cpus)
        self.gpus = real_number("ray.gpus", gpus, minimum=0)
        self.memory = None if memory_gb is None else real_number("ray.memory_gb", memory_gb, minimum=0) * 1e9
        self.restarts = whole_number("ray.restarts", restarts, minimum=0)

    @property
    def description(self):
        return f"on Ray ({self.address or 'this machine'}), {self.cpus} CPUs and {self.gpus:g} GPUs a run"

    def begin(self, workdir):
        try:
            import ray
        except ImportError as error:
            raise GlimpseError("--launcher=@ray() needs Ray: pip install 'glimpse[ray]'") from error
        _check_answers(self.address)
        handlers = {each: signal.getsignal(each) for each in stopping.SIGNALS}  # Ray puts its own in their place
        os.environ.setdefault("RAY_worker_niceness", "0")  # as on @local(), not behind all else, as Ray has it
        try:
            ray.init(address=self.address or "local", log_to_driver=False, logging_level="ERROR",
                     configure_logging=False, include_dashboard=False if self.address is None else None)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise _no_cluster(self.address, error) from error
        for each, handler in handlers.items():
            signal.signal(each, handler)
        self.ray, self.workdir = ray, workdir
        self.token = node.token_in(workdir)
        self.sees = self.token.__enter__()
        self.sweep = uuid.uuid4().hex[:12]
        self.task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, memory=self.memory, max_retries=self.restarts,
                               max_calls=1)(node.ran)

    def room(self, at_work):
        return 10_000 - at_work  # Ray has them wait

    def start(self, commands):
        return {name: self.task.remote(command, str((self.workdir / f"{name}.log").resolve()), self.cpus, os.getcwd(),
                                       f"ray-{self.sweep}-{name}", str(self.sees))
                for name, command in commands.items()}

    def status(self, job):
        if not self.ray.wait([job], timeout=0)[0]:
            return None
        try:
            status = self.ray.get(job)
        except (self.ray.exceptions.TaskCancelledError, KeyboardInterrupt):
            return 128 + signal.SIGTERM
        except self.ray.exceptions.RayError:  # its node was lost more often than `restarts`
            return -signal.SIGKILL
        if status == node.NOT_SHARED:
            raise node.not_shared(self.workdir, "a node of the Ray cluster")
        return status

    def stop(self, jobs):
        for job in jobs:
            self.ray.cancel(job, force=False)

    def end(self):
        if hasattr(self, "token"):
            self.token.__exit__(None, None, None)
            self.ray.shutdown()


def _check_answers(address):
    """Raises GlimpseError where nothing listens at an address host:port, for which Ray itself waits minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from error


def _no_cluster(address, error):
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return GlimpseError(f"ray.address={address!r}: no Ray cluster answers there ({text}); start one by `ray start "
                        "--head`, or leave ray.address out")
