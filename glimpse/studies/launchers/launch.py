"""Runs the command lines of a study on an engine: one progress view, whatever the engine is.

An engine is a small class, `local.Local`, `ray.Ray` or `slurm.Slurm`, with

    description       a text for the user
    begin(workdir)    makes it ready; raises GlimpseError where it cannot be had
    room(at_work)     how many more runs may be handed to it while so many are at work
    start(commands)   {name: command line} -> {name: job}
    status(job)       None while it waits or works, then its exit status; `lock.RunHeld.status` to try again later
    stop(jobs)        asks for their end, with a checkpoint; called again, at once
    end()             leaves nothing behind
"""

import contextlib
import signal
import sys
import time

from tqdm import tqdm

from glimpse.errors import GlimpseError
from glimpse.training import lock, run, stopping
from glimpse.training.metrics_log import last_step


def launch(workdir, waiting, steps, engine, is_waiting):
    """Runs the command lines on an engine.

    A run that another process works at, such as another sweep of the same study, is waited for. A signal is passed on
    to the trainings, which end with a checkpoint, and is waited for too.

    Args:
        workdir: directory of the study.
        waiting: {name: command line}.
        steps: {name: number of steps}.
        engine: see above.
        is_waiting: called with a name, tells whether that run is still to be done, or raises a GlimpseError.

    Returns:
        the names that failed.

    Raises:
        Stopped: after a signal.
        GlimpseError: where the engine cannot be had.
    """
    queue, running, failed, told, ended, passed_on = list(waiting), {}, [], {}, 0, 0
    with stopping.noted() as signals, contextlib.ExitStack() as stack:
        if queue:
            stack.callback(engine.end)
            engine.begin(workdir)
        bar = stack.enter_context(tqdm(total=sum(steps.values()), unit="step", smoothing=0.05,
                                       mininterval=1 if sys.stderr.isatty() else 15))
        try:
            while running or (queue and not signals):
                free = []
                for name in [] if signals else list(queue):
                    if len(free) >= engine.room(len(running)):
                        break
                    holder = lock.held_by(workdir / name)
                    if holder and told.get(name) != holder:
                        bar.write(f"waiting for {name}, which is being written by {holder}")
                        told[name] = holder
                    if not holder:
                        queue.remove(name)
                        if _is_to_run(is_waiting, name):
                            free.append(name)
                        else:  # another sweep has done it since this one was planned
                            ended += steps[name]
                            bar.write(_outcome(workdir, name, 0))
                if free:
                    running |= engine.start({name: waiting[name] for name in free})
                time.sleep(0.5)
                if len(signals) > passed_on:  # a second one ends the trainings at once
                    passed_on += 1
                    engine.stop(list(running.values()))
                for name, job in list(running.items()):
                    status = engine.status(job)
                    if status is None:
                        continue
                    del running[name]
                    if status == lock.RunHeld.status and not signals:
                        queue.append(name)  # another process was faster, or its machine is lost
                        continue
                    ended += steps[name]
                    status = status if status and _is_to_run(is_waiting, name) else 0
                    if status and not signals:
                        failed.append(name)
                    bar.write(_outcome(workdir, name, status))
                bar.set_postfix_str(f"{len(running)} runs at work, {len(queue)} waiting", refresh=False)
                bar.update(ended + sum(last_step(workdir / name) for name in running) - bar.n)
        finally:  # of a fault of this program too: no training is left behind
            if running:
                engine.stop(list(running.values()))
                while any(engine.status(job) is None for job in running.values()):
                    time.sleep(0.2)
        if signals:
            raise stopping.Stopped(signals[0], f"stopped by {signal.Signals(signals[0]).name}, and no training is left "
                                               "at work; the same command goes on")
    return failed


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
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        lines = [line for line in text.splitlines() if line.strip()]
        return f"{outcome} {name}, exit status {status}: {lines[-1] if lines else 'nothing was printed'} (log: {log})"
    try:
        results = run.read_results(workdir / name)
        split, metrics = list(results["metrics"].items())[-1]
    except (GlimpseError, KeyError, IndexError) as error:
        return f"done {name}, but its results are not to be had: {error}"
    score = metrics.get("voc10_map@0.50:0.95")
    known = f"mAP {100 * score:.1f}" if score is not None else f"mAP undefined (no object of the {split} split counts),"
    return f"done {name}: {known} in {sum(results.get('seconds', {}).values()):.0f} s"
