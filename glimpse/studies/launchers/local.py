"""Runs the command lines of a study on this machine, one process a run."""

import os
import signal
import subprocess
import sys
import time

from tqdm import tqdm

from glimpse.errors import GlimpseError
from glimpse.training import lock, run, stopping
from glimpse.training.environment import cores
from glimpse.training.metrics_log import last_step


def launch(workdir, waiting, steps, jobs, is_waiting):
    """Runs the command lines, `jobs` at a time, each with its share of the cores.

    A run that another process works at, such as another sweep of the same study, is waited for. A signal is passed on
    to the trainings, which end with a checkpoint, and is waited for too; if this process is killed they end as well.

    Args:
        workdir: directory of the study.
        waiting: {name: command line}.
        steps: {name: number of steps}.
        jobs: how many at a time.
        is_waiting: called with a name, tells whether that run is still to be done, or raises a GlimpseError.

    Returns:
        the names that failed.

    Raises:
        Stopped: after a signal.
    """
    threads = str(max(1, cores() // jobs))
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", stopping.PARENT: str(os.getpid()),
                                "TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    queue, running, failed, told, ended, passed_on = list(waiting), {}, [], {}, 0, 0
    with stopping.noted() as signals, tqdm(total=sum(steps.values()), unit="step", smoothing=0.05,
                                           mininterval=1 if sys.stderr.isatty() else 15) as bar:
        try:
            while running or (queue and not signals):
                for name in [] if signals else list(queue):
                    if len(running) == jobs:
                        break
                    holder = lock.held_by(workdir / name)
                    if holder and told.get(name) != holder:
                        bar.write(f"waiting for {name}, which is being written by {holder}")
                        told[name] = holder
                    if not holder:
                        queue.remove(name)
                        if _is_to_run(is_waiting, name):
                            running[name] = _start(waiting[name], environment, workdir / f"{name}.log")
                        else:  # another sweep has done it since this one was planned
                            ended += steps[name]
                            bar.write(_outcome(workdir, name, 0))
                time.sleep(0.5)
                if len(signals) > passed_on:  # a second one ends the trainings at once
                    passed_on += 1
                    _end(running)
                for name, process in list(running.items()):
                    if process.poll() is None:
                        continue
                    del running[name]
                    if process.returncode == lock.RunHeld.status and not signals:
                        queue.append(name)  # another process was faster
                        continue
                    ended += steps[name]
                    status = process.returncode if process.returncode and _is_to_run(is_waiting, name) else 0
                    if status and not signals:
                        failed.append(name)
                    bar.write(_outcome(workdir, name, status))
                bar.set_postfix_str(f"{len(running)} runs at work, {len(queue)} waiting", refresh=False)
                bar.update(ended + sum(last_step(workdir / name) for name in running) - bar.n)
        finally:  # of a fault of this program too: no training is left behind
            _end(running)
            for process in running.values():
                process.wait()
        if signals:
            raise stopping.Stopped(signals[0], f"stopped by {signal.Signals(signals[0]).name}, and no training is left "
                                               "at work; the same command goes on")
    return failed


def _start(command, environment, log):
    # A session of its own: Ctrl-C on a terminal would reach it twice.
    with open(log, "a") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, start_new_session=True)


def _end(running):
    for process in running.values():
        process.terminate()


def _is_to_run(is_waiting, name):
    try:
        return is_waiting(name)
    except GlimpseError:  # the training says it in its log
        return True


def _outcome(workdir, name, status):
    """One line on a run that has ended."""
    if status:
        outcome = "stopped" if status in (-signal.SIGTERM, 128 + signal.SIGTERM) else "FAILED"
        log = workdir / f"{name}.log"
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f"{outcome} {name}, exit status {status}: {lines[-1] if lines else 'nothing was printed'} (log: {log})"
    try:
        results = run.read_results(workdir / name)
        split, metrics = list(results["metrics"].items())[-1]
    except (GlimpseError, KeyError, IndexError) as error:
        return f"done {name}, but its results are not to be had: {error}"
    score = metrics.get("voc10_map@0.50:0.95")
    known = f"mAP {100 * score:.1f}" if score is not None else f"mAP undefined (no object of the {split} split counts),"
    return f"done {name}: {known} in {sum(results.get('seconds', {}).values()):.0f} s"
