"""Runs the command lines of a study on this machine, one process a run."""

import os
import subprocess
import sys
import time

from tqdm import tqdm

from glimpse.errors import GlimpseError
from glimpse.training import run
from glimpse.training.environment import cores
from glimpse.training.metrics_log import last_step


def launch(workdir, waiting, steps, jobs):
    """Runs the command lines, `jobs` at a time, each with its share of the cores; returns the names that failed."""
    threads = str(max(1, cores() // jobs))
    environment = os.environ | {"PYTHONIOENCODING": "utf-8",
                                "TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    queue, running, failed, ended = list(waiting), {}, [], 0
    with tqdm(total=sum(steps.values()), unit="step", smoothing=0.05,
              mininterval=1 if sys.stderr.isatty() else 15) as bar:
        try:
            while queue or running:
                while queue and len(running) < jobs:
                    name = queue.pop(0)
                    with open(workdir / f"{name}.log", "w") as log:
                        running[name] = subprocess.Popen(waiting[name], env=environment, stdout=log,
                                                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
                time.sleep(0.5)
                for name, process in list(running.items()):
                    if process.poll() is not None:
                        del running[name]
                        ended += steps[name]
                        bar.write(_outcome(workdir, name, process.returncode))
                        if process.returncode:
                            failed.append(name)
                bar.set_postfix_str(f"{len(running)} runs at work, {len(queue)} waiting", refresh=False)
                bar.update(ended + sum(last_step(workdir / name) for name in running) - bar.n)
        finally:
            for process in running.values():
                process.terminate()
    return failed


def _outcome(workdir, name, status):
    """One line on a run that has ended."""
    if status:
        log = workdir / f"{name}.log"
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f"FAILED {name}, exit status {status}: {lines[-1] if lines else 'nothing was printed'} (log: {log})"
    try:
        results = run.read_results(workdir / name)
        split, metrics = list(results["metrics"].items())[-1]
    except (GlimpseError, KeyError, IndexError) as error:
        return f"done {name}, but its results are not to be had: {error}"
    score = metrics.get("voc10_map@0.50:0.95")
    known = f"mAP {100 * score:.1f}" if score is not None else f"mAP undefined (no object of the {split} split counts),"
    return f"done {name}: {known} in {sum(results.get('seconds', {}).values()):.0f} s"
