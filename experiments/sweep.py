"""Runs a study, one process a run: python -m experiments.sweep --gin_file=studies/glimpse_count_quick.gin

Finished runs are skipped and unfinished ones go on, so a study may be stopped and started again at will. Whatever ends
this program ends its trainings too, each with a checkpoint. Two sweeps of one study may work side by side: each run is
done once, and who finds it at work waits for it. --launcher takes them to other machines, see docs/scaling.md.
"""

import pathlib
import shlex
import sys

from experiments.launch import check_jobs, check_tensorboard, exit_on_error, parser, start_tensorflow
from glimpse.files import write_json


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--workdir", type=pathlib.Path,
                       help="directory of the study; runs/NAME-OF-THE-STUDY unless given")
    flags.add_argument("--jobs", type=int, help="runs at a time on this machine; one a core unless given")
    flags.add_argument("--launcher", help="what runs them, '@ray()' or '@slurm()'; this machine unless given")
    flags.add_argument("--split", default="test", help="split whose metrics are reported (default: test)")
    flags.add_argument("--tensorboard", action="store_true",
                       help="let each run write for TensorBoard too; tensorboard --logdir=WORKDIR shows them all")
    flags.add_argument("--only_print", action="store_true", help="print the plan and stop")
    flags = flags.parse_args(arguments)
    check_jobs(flags)
    if flags.tensorboard:
        check_tensorboard()
    start_tensorflow()
    from glimpse.studies.plan import launcher_of, plan, runs_of
    launcher = launcher_of(flags.gin_file, flags.gin_param, flags.launcher, flags.jobs)
    runs = runs_of(flags.gin_file, flags.gin_param)
    workdir = flags.workdir or pathlib.Path("runs") / pathlib.Path(flags.gin_file).stem
    waiting, steps = plan(workdir, runs, flags.split)
    finished = len(runs) - len(waiting)
    print(f"{len(runs)} runs in {workdir}, {finished} of them finished, {launcher.description}", flush=True)
    if flags.only_print:
        for name, (experiment, bindings) in runs.items():
            print(f"{'waiting ' if name in waiting else 'finished'} {name}: {experiment} {' '.join(bindings)}")
        if flags.launcher:
            print(*map(shlex.join, waiting.values()), sep="\n")
        return
    from glimpse.studies.launchers.launch import launch
    from glimpse.studies.report.contents import read_contents
    from glimpse.studies.report.document import summary_text, write_report
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "study.json", {"study": str(flags.gin_file), "runs": list(runs)})
    if flags.tensorboard:
        waiting = {name: [*command, "--tensorboard"] for name, command in waiting.items()}
        print(f"watch them: tensorboard --logdir={workdir}", flush=True)
    failed = launch(workdir, waiting, steps, launcher,
                    is_waiting=lambda name: bool(plan(workdir, {name: runs[name]})[0]))
    if len(failed) < len(runs):
        contents = read_contents(workdir, flags.split)
        report = write_report(contents)
        print(summary_text(contents))
        print(f"report: {report}")
    if failed:
        print(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}; the same command tries them again")
        sys.exit(1)


if __name__ == "__main__":
    main()
