"""Kills tiny trainings and sweeps, starts them again, and compares what comes out:  python -m tests.kills random 100

    random N        SIGKILL at N random moments of trainings, up to five times each
    operations N    SIGKILL at every N-th operation on a file of a training (needs a C compiler, `cc`)
    states N        at every N-th of them one training is copied, as SIGKILL would leave it, and begins again in each
                    copy: what it goes on from is compared, which takes a minute in place of hours (needs `cc`)
    stops N         SIGTERM at N random moments, likewise
    races N         two trainings at a time in one directory, N times
    sweeps N        SIGKILL at N random moments of sweeps of four runs, the next one started at once

Trainings are forked from a process that has imported TensorFlow, which takes longer than they do. Every one is compared
with one that nothing befell: log, checkpoints and results (less times) must be the same to the bit, and nothing else
may be left in the directory.
"""

import argparse
import collections
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TINY = ["TRAIN_STEPS = 6", "NUM_GLIMPSES = 1", "Experiment.batch_size = 2", "Experiment.log_every = 2",
        "Experiment.save_every = 2", "DigitScenes.sizes = {'train': 8, 'validation': 2, 'test': 2}",
        "Experiment.evaluation_splits = ('test',)", "WindowGrid.sizes = (20, 30)", "RoISampling.rois_per_image = 8",
        "small_cnn.filters = (4, 4, 4)", "GlimpseDetector.units = (16, 16)", "POOLED_SIZE = 3"]
OF_TIME = ("seconds", "milliseconds_per_image", "peak_memory_mib", "code")  # the checkout may be worked at meanwhile
SHIM = "GLIMPSE_KILL_AT"  # of the environment: the compiled kill_at.c


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("kind", choices=("random", "operations", "states", "stops", "races", "sweeps"))
    flags.add_argument("number", type=int)
    flags = flags.parse_args()
    if flags.kind in ("operations", "states") and SHIM not in os.environ:
        start_with_shim()
    from experiments import sweep, train
    from experiments.launch import start_tensorflow
    start_tensorflow()
    from glimpse.studies.report import contents, document  # noqa: F401  so that no child has to import them
    from glimpse.training import experiment, results  # noqa: F401
    random.seed(0)
    with tempfile.TemporaryDirectory(prefix="kills.") as directory:
        work = pathlib.Path(directory)
        started = time.perf_counter()
        if flags.kind == "sweeps":
            found = sweeps(sweep, work, flags.number)
        else:
            whole = work / "whole"
            assert ended(training(train, whole)) == 0, said(whole)
            first = time.perf_counter() - started
            kinds = {"random": randomly, "stops": randomly, "operations": operations, "states": states,
                     "races": races}
            found = kinds[flags.kind](train, whole, flags.number, *(
                [first, signal.SIGKILL if flags.kind == "random" else signal.SIGTERM]
                if kinds[flags.kind] is randomly else []))
    print(f"{flags.kind}: {', '.join(f'{number} {what}' for what, number in found.items())}, "
          f"{time.perf_counter() - started:.0f} s")
    sys.exit(bool(found["different"] or found["refused"]))


def start_with_shim():
    """Starts this program again with kill_at.c compiled and preloaded."""
    with tempfile.TemporaryDirectory() as directory:
        library = str(pathlib.Path(directory) / "kill_at.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", library,
                        str(pathlib.Path(__file__).with_name("kill_at.c")), "-ldl"], check=True)
        sys.exit(subprocess.run([sys.executable, "-m", "tests.kills", *sys.argv[1:]],
                                env=os.environ | {"LD_PRELOAD": library, SHIM: library}).returncode)


def training(train, workdir, at=0, copies=None):
    """Forks a training; returns its process id. What it says is appended to WORKDIR.log.

    Args:
        train: the module.
        workdir: of the run.
        at: the operation at which it is to be killed, 0 for none.
        copies: directory for copies of the run at every operation.
    """
    def work():
        if at:
            ctypes.CDLL(os.environ[SHIM]).kill_at(os.fsencode(workdir), ctypes.c_long(at))
        if copies:
            ctypes.CDLL(os.environ[SHIM]).copy_at_each(os.fsencode(workdir), os.fsencode(copies))
        train.main(["--gin_file=experiments/digits.gin", *(f"--gin_param={b}" for b in TINY), f"--workdir={workdir}"])

    return forked(work, workdir)


def forked(work, workdir):
    """Forks a process that calls `work`, in a session of its own; returns its id."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setsid()
        log = os.open(f"{workdir}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(process):
    """The exit status of a process once it has ended, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def said(workdir):
    """What the trainings in a directory have printed."""
    return pathlib.Path(f"{workdir}.log").read_text()


def content(workdir):
    """What a run has come to, as a dict, without times."""
    results = json.loads((workdir / "results.json").read_text())
    return {"files": sorted(str(path.relative_to(workdir)) for path in workdir.rglob("*")),
            "log": (workdir / "metrics.jsonl").read_text(),
            "results": {name: value for name, value in results.items() if name not in OF_TIME},
            "checkpoints": {path.parent.name: path.read_text() for path in workdir.rglob("manifest.json")}}


def compared(found, workdir, whole):
    """Counts whether a run is what the unbroken one is, and removes it."""
    try:
        ours, theirs = content(workdir), content(whole)
        differs = [name for name in ours if ours[name] != theirs[name]]
    except (OSError, ValueError) as error:
        differs = [str(error)]
    found["different"] += bool(differs)
    if differs:
        print(f"{workdir.name} differs in {differs}:\n{said(workdir)}", flush=True)
    found["compared"] += 1
    shutil.rmtree(workdir, ignore_errors=True)


def finish(found, train, workdir, whole):
    """Starts a run that was killed once more, lets it end, and compares it."""
    status = ended(training(train, workdir))
    if status and "holds a finished run" not in said(workdir).splitlines()[-1]:
        found["refused"] += 1
        print(f"{workdir.name} was refused:\n{said(workdir)}", flush=True)
    compared(found, workdir, whole)


def counts():
    return collections.Counter({"killed": 0, "compared": 0, "different": 0, "refused": 0})


def randomly(train, whole, number, seconds, signum):
    """Ends trainings at random moments, until `number` have been ended; each up to five times, and then it may end."""
    found, run = counts(), 0
    while found["killed"] < number:
        run += 1
        workdir = whole.with_name(f"run{run}")
        for _ in range(5):
            process = training(train, workdir)
            time.sleep(random.uniform(0, seconds))
            os.kill(process, signum)
            if ended(process) not in (-signum, 128 + signum):
                break
            found["killed"] += 1
        finish(found, train, workdir, whole)
        print(dict(found), flush=True)
    return found


def operations(train, whole, step):
    """Kills trainings at one operation after the other, until one ends without having come to the operation."""
    found, at = counts(), 1
    while True:
        workdir = whole.with_name(f"at{at:03d}")
        status = ended(training(train, workdir, at=at))
        found["killed"] += status == -signal.SIGKILL
        finish(found, train, workdir, whole)
        print(at, dict(found), flush=True)
        if status != -signal.SIGKILL:
            return found
        at += step


def states(train, whole, step):
    """Copies a training at one operation after the other, and has it begin again in each copy, short of its steps."""
    found, copies, copied = counts(), whole.with_name("copies"), whole.with_name("copied")
    copies.mkdir()
    assert ended(training(train, copied, copies=copies)) == 0, said(copied)
    begun_again = whole.with_name("begun_again.json")
    forked(lambda: begin_again(sorted(copies.iterdir())[::step], whole, begun_again), begun_again)
    os.wait()
    for name, differs in json.loads(begun_again.read_text()).items():
        found["killed"] += 1
        found["compared"] += 1
        found["refused"] += differs == "refused"
        found["different"] += bool(differs) and differs != "refused"
        if differs:
            print(name, differs, flush=True)
    return found


def begin_again(copies, whole, out):
    """Does what a training does before its first step, in each copy; writes {name: what is wrong, "" for nothing}."""
    from glimpse import config
    from glimpse.errors import GlimpseError
    from glimpse.training import checkpoints, lock, run
    from glimpse.training.experiment import Experiment
    from glimpse.training.recorder import Recorder

    def manifests_in(directory):
        return {path.parent.name: path.read_text() for path in directory.glob("checkpoints/ckpt-*/manifest.json")}

    written = {name: text for copy in copies for name, text in manifests_in(copy).items()}
    log, found = (whole / "metrics.jsonl").read_text().splitlines(keepends=True), {}

    def difference(copy):
        if (copy / "results.json").exists() and content(copy)["results"] != content(whole)["results"]:
            return "results.json"
        with lock.held(copy):
            try:
                run.prepare(copy, text, splits=("test",))
            except GlimpseError as error:
                return "" if "holds a finished run" in str(error) and (copy / "results.json").exists() else "refused"
            restored = checkpoints.restore(copy / run.CHECKPOINTS, experiment.checkpoint)
            checkpoints.tidy(copy / run.CHECKPOINTS, restored.damaged)
            Recorder(copy, None, restored, 6, 2, 2, [], experiment.strategy)
        lines = (copy / "metrics.jsonl").read_text()
        left = [str(path) for path in copy.rglob("*") if path.name.startswith(".") or "damaged" in path.name]
        there = manifests_in(copy)
        if not there.items() <= written.items() or len(there) != len(checkpoints.steps(copy / run.CHECKPOINTS)):
            return "checkpoints"
        if int(experiment.trainer.optimizer.iterations) != restored.step or restored.damaged:
            return "step"
        return "log" if lines != "".join(log[:restored.step // 2]) else " ".join(left)

    with config.configuration("experiments/digits.gin", TINY) as text:
        experiment = Experiment()
        fresh = [variable.numpy() for variable in experiment.trainer.variables]
        for copy in copies:
            for variable, value in zip(experiment.trainer.variables, fresh):
                variable.assign(value)
            experiment.trainer.optimizer.iterations.assign(0)
            found[copy.name] = difference(copy)
    out.write_text(json.dumps(found))


def races(train, whole, number):
    """Starts two trainings in one directory, the second at a random moment of the first."""
    found = counts() | collections.Counter({"side by side": 0})
    for run in range(number):
        workdir = whole.with_name(f"race{run}")
        first = training(train, workdir)
        time.sleep(random.choice((0, 0, random.uniform(0, 10))))
        statuses = sorted((ended(training(train, workdir)), ended(first)))
        # One trains; the other is refused, or comes when all is done.
        found["refused"] += statuses not in ([0, 75], [0, 2])
        found["side by side"] += statuses == [0, 75]
        if statuses not in ([0, 75], [0, 2]):
            print(f"{workdir.name} ended with {statuses}:\n{said(workdir)}", flush=True)
        compared(found, workdir, whole)
        print(dict(found), flush=True)
    return found


def sweeps(sweep, work, number):
    """Kills sweeps at random moments, until `number` have been killed; each up to five times, and then it may end."""
    found = counts() | collections.Counter({"runs": 0, "done twice": 0})
    bindings = ", ".join("{!r}: {}".format(*binding.split(" = ", 1)) for binding in TINY)
    (work / "four.gin").write_text("study.experiment = 'experiments/digits.gin'\n"
                                   f"study.bindings = {{{bindings}}}\nstudy.grids = [{{'SEED': [0, 1, 2, 3]}}]\n")

    def start(workdir):
        return forked(lambda: sweep.main([f"--gin_file={work / 'four.gin'}", f"--workdir={workdir}", "--jobs=2"]),
                      workdir)

    whole, started = work / "whole", time.perf_counter()
    assert ended(start(whole)) == 0, said(whole)
    seconds, study = time.perf_counter() - started, 0
    while found["killed"] < number:
        study += 1
        workdir = work / f"study{study}"
        for _ in range(5):
            process = start(workdir)
            time.sleep(random.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
            if ended(process) != -signal.SIGKILL:
                break
            found["killed"] += 1
            print(dict(found), flush=True)
        status = ended(start(workdir))
        found["refused"] += status != 0
        for each in range(4):
            found["runs"] += 1
            found["done twice"] += said(workdir / f"SEED={each}").count("\nresults: ") > 1
            compared(found, workdir / f"SEED={each}", whole / f"SEED={each}")
        if status:
            print(said(workdir), flush=True)
    return found


if __name__ == "__main__":
    main()
