"""Runs a study, one process a run: python -m experiments.sweep --gin_file=studies/glimpse_count_quick.gin

Finished runs are skipped and unfinished ones go on, so a study may be stopped and started again at will.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import time

import gin
from tqdm import tqdm

from experiments.launch import exit_on_error, parser
from experiments.report.contents import read_contents
from experiments.report.document import summary_text, write_report
from glimpse import config
from glimpse.errors import GlimpseError, whole_number
from glimpse.files import write_json
from glimpse.training import run


@gin.configurable
def study(experiment=gin.REQUIRED, grids=gin.REQUIRED, bindings=None):
    """The runs of a study.

    Args:
      experiment: gin file of the experiment that every run is a variation of.
      grids: a list of dicts, macro -> list of values; each dict stands for all combinations of its values, the study
        for all of its dicts. A value that begins with @ is a reference, such as "@fixed()".
      bindings: macros that are the same for all runs, {"TRAIN_STEPS": 500}.
    Returns: {name of the run, such as "NUM_GLIMPSES=3,POLICY=fixed,SEED=0": (experiment, list of gin bindings)}.
    """
    if not isinstance(grids, (list, tuple)) or not all(isinstance(grid, dict) for grid in grids) or not grids:
        raise GlimpseError(f"study.grids must be a list of dicts, macro -> list of values, got {grids!r}")
    runs = {}
    for grid in grids:
        for axis, values in grid.items():
            if not isinstance(values, (list, tuple)) or not values:
                raise GlimpseError(f"study.grids: {axis} must be a list of values, got {values!r}")
        for values in itertools.product(*grid.values()):
            axes = dict(zip(grid, values))
            name = ",".join(f"{axis}={_in_a_name(value)}" for axis, value in axes.items())
            runs[name] = (experiment, [f"{key}={_in_gin(value)}" for key, value in ((bindings or {}) | axes).items()])
    return runs


def _in_gin(value):
    return value if isinstance(value, str) and value[:1] in "@%" else repr(value)


def _in_a_name(value):
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return str(value).strip("@()").replace("/", "-")


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--workdir", type=pathlib.Path, help="directory of the study; runs/NAME-OF-THE-STUDY unless given")
    flags.add_argument("--jobs", type=int, default=run.cores(), help="runs at a time; one a core")
    flags.add_argument("--split", default="test", help="split whose metrics are reported (default: test)")
    flags.add_argument("--only_print", action="store_true", help="print the plan and stop")
    flags = flags.parse_args(arguments)
    jobs = whole_number("--jobs", flags.jobs)
    # A binding of the study itself has a dot (study.grids=...); a macro goes on to every run.
    of_study = [param for param in flags.gin_param if "." in param.split("=")[0]]
    of_runs = [param for param in flags.gin_param if param not in of_study]
    with config.configuration(flags.gin_file, of_study):
        runs = {name: (experiment, bindings + of_runs) for name, (experiment, bindings) in study().items()}
    workdir = flags.workdir or pathlib.Path("runs") / pathlib.Path(flags.gin_file).stem
    waiting, steps = plan(workdir, runs)
    print(f"{len(runs)} runs in {workdir}, {len(runs) - len(waiting)} of them finished, {jobs} at a time", flush=True)
    if flags.only_print:
        for name, (experiment, bindings) in runs.items():
            print(f"{'waiting ' if name in waiting else 'finished'} {name}: {experiment} {' '.join(bindings)}")
        return
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "study.json", {"study": str(flags.gin_file), "runs": list(runs)})
    failed = launch(workdir, waiting, steps, jobs)
    if len(failed) < len(runs):
        contents = read_contents(workdir, flags.split)
        report = write_report(contents)
        print(summary_text(contents))
        print(f"report: {report}")
    if failed:
        print(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}; the same command tries them again")
        sys.exit(1)


def plan(workdir, runs):
    """Which runs are still to be done, and their numbers of steps; parses each configuration, so faults show first.

    Returns: ({name: command line}, {name: steps}).
    """
    waiting, steps = {}, {}
    for name, (experiment, bindings) in runs.items():
        with config.configuration(experiment, bindings) as text:
            steps[name] = config.macros().get("TRAIN_STEPS", 0)
        directory = workdir / name
        if (directory / run.CONFIG).is_file() and (directory / run.CONFIG).read_text() != text:
            raise GlimpseError(f"{directory} holds a run of another configuration; name another --workdir, "
                               "or remove that directory")
        if not (directory / run.RESULTS).is_file():
            waiting[name] = [sys.executable, "-m", "experiments.train", f"--gin_file={experiment}",
                             *(f"--gin_param={binding}" for binding in bindings), f"--workdir={directory}"]
    return waiting, {name: steps[name] for name in waiting}


def launch(workdir, waiting, steps, jobs):
    """Runs the command lines, `jobs` at a time, each with its share of the cores; returns the names that failed."""
    threads = str(max(1, run.cores() // jobs))
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    queue, running, failed, ended = list(waiting), {}, [], 0
    with tqdm(total=sum(steps.values()), unit="step", smoothing=0.05, mininterval=1 if sys.stderr.isatty() else 15) as bar:
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
                bar.update(ended + sum(_last_step(workdir / name) for name in running) - bar.n)
        finally:
            for process in running.values():
                process.terminate()
    return failed


def _last_step(directory):
    lines = run.read_metrics(directory)
    return lines[-1]["step"] if lines else 0


def _outcome(workdir, name, status):
    """One line on a run that has ended."""
    if status:
        log = workdir / f"{name}.log"
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        return f"FAILED {name}, exit status {status}: {lines[-1] if lines else 'nothing was printed'} (log: {log})"
    results = json.loads((workdir / name / run.RESULTS).read_text())
    score = list(results["metrics"].values())[-1]["voc10_map@0.50:0.95"]
    return f"done {name}: mAP {100 * score:.1f} in {sum(results['seconds'].values()):.0f} s"


if __name__ == "__main__":
    main()
