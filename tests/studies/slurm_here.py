"""A SLURM of this machine alone: a controller and two nodes, as Debian's package slurm-wlm has them, for a test."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import time

NODES = ("one", "two")  # of a CPU each


def missing():
    """Why no SLURM can be had here; None where one can."""
    lacking = [name for name in ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
               if not shutil.which(name)]
    if lacking:
        return f"no {', '.join(lacking)} here; `apt-get install slurm-wlm` installs them"
    return None if os.geteuid() == 0 else "slurmd needs to be root"


def _port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(directory):
    """Starts it, with all its files in a directory; yields the environment in which its commands find it."""
    configuration = directory / "slurm.conf"
    nodes = "\n".join(f"NodeName={name} NodeHostname={platform.node()} NodeAddr=127.0.0.1 Port={_port()} CPUs=1 "
                      "State=UNKNOWN" for name in NODES)
    configuration.write_text(f"""
ClusterName=here
SlurmctldHost={platform.node()}(127.0.0.1)
SlurmctldPort={_port()}
SlurmUser=root
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=0
JobRequeue=1
KillWait=10
ReturnToService=2
MpiDefault=none
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/%n.pid
{nodes}
PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP
""")
    (directory / "state").mkdir()
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    daemons = []
    try:
        with open(directory / "said", "w") as said:
            for command in [["slurmctld", "-D"], *(["slurmd", "-D", "-N", name] for name in NODES)]:
                daemons.append(subprocess.Popen(command, env=environment, stdout=said, stderr=said))
        end = time.monotonic() + 60
        while _states(environment) != ["idle"] * len(NODES):
            assert time.monotonic() < end, (_states(environment), (directory / "said").read_text()[-2000:])
            time.sleep(0.5)
        yield environment
        subprocess.run(["scancel", "--me"], env=environment, check=False)
        time.sleep(1)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _states(environment):
    said = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%t"], env=environment, capture_output=True,
                          text=True)
    return said.stdout.split()
