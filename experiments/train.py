"""Trains and evaluates one network: python -m experiments.train --gin_file=experiments/digits.gin --workdir=runs/x

The same command goes on with a run that was stopped. Ctrl-C, SIGTERM and SIGHUP stop it after the step that it is at,
with a checkpoint; a second one ends it at once. One process at a time works in a directory; a second one ends with
status 75. A finished one is evaluated again where the configuration differs
in its evaluation alone, and goes on to more TRAIN_STEPS where no schedule in use depends on their number.
"""

import os
import time

from experiments.launch import check_tensorboard, exit_on_error, parser, start_tensorflow
from glimpse.training import lock


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--workdir", required=True, help="directory of the run; an unfinished run in it goes on")
    flags.add_argument("--dry_run", action="store_true",
                       help="build everything, train one step in memory, print the configuration, write nothing")
    flags.add_argument("--tensorboard", action="store_true",
                       help="also write the log for TensorBoard, into WORKDIR/tensorboard: scalars and, each time that "
                            "the run is validated, the glimpses at four objects")
    flags.add_argument("--overwrite", action="store_true", help="replace the run that stands in --workdir")
    flags = flags.parse_args(arguments)
    if flags.tensorboard:
        check_tensorboard()
    if not flags.dry_run and "TF_CONFIG" not in os.environ:  # several workers write one run
        lock.refuse_if_held(flags.workdir)  # before seconds go by
    start_tensorflow()
    import gin

    from glimpse import config
    from glimpse.training import own_modules, run, strategies
    from glimpse.training.experiment import Experiment
    with config.configuration(flags.gin_file, flags.gin_param) as text:
        experiment = Experiment()  # before anything is written: a value that is refused leaves no trace
        experiment.open_evaluation_splits()
        unused = config.unused_bindings()
        if unused:
            print(f"{'# ' * flags.dry_run}warning: nothing uses {', '.join(unused)}")
        if flags.dry_run:
            experiment.try_step()
            print(gin.operative_config_str())
            return
        if not strategies.is_chief(experiment.strategy):  # all that is written, the chief writes
            experiment.train(flags.workdir)
            return
        run.refuse_foreign(flags.workdir)
        with lock.held(flags.workdir):
            workdir = run.prepare(flags.workdir, text, flags.overwrite, experiment.evaluation_splits)
            for name in own_modules.write_note(workdir, text, flags.gin_file):
                print(f"warning: {name} has changed since this run began")
            train(experiment, workdir, text, flags.tensorboard)


def train(experiment, workdir, text, tensorboard=False):
    """Trains an experiment in a prepared directory, evaluates it, and writes its results.json."""
    import gin

    from glimpse.files import write_whole
    from glimpse.training import results, run
    seconds = {"train": experiment.train(workdir, tensorboard)}
    start = time.perf_counter()
    # Of another evaluation than before, all is evaluated again: results.json tells of one.
    same, before = run.read_config(workdir) == text, run.read_results(workdir).get("metrics", {})
    splits = [split for split in experiment.evaluation_splits if split not in before] if same else [
        *dict.fromkeys([*experiment.evaluation_splits, *before])]
    evaluated = {split: experiment.evaluate(split, experiment.stop_at_background) for split in splits}
    seconds["evaluate"] = time.perf_counter() - start
    write_whole(workdir / run.OPERATIVE_CONFIG, gin.operative_config_str())
    results.write(workdir, experiment, evaluated, seconds)
    if not same:
        write_whole(workdir / run.CONFIG, text)
    for split, result in evaluated.items():
        shown = [f"{key} {100 * value:.1f}" for key, value in result["metrics"].items()
                 if "voc10_map" in key and key[-4:] in ("0.50", "0.70", "0.80", "0.95")]
        print(f"{split}: {'  '.join(shown) or 'mAP undefined, for no object of this split counts'}")
    print(f"results: {workdir / run.RESULTS}")


if __name__ == "__main__":
    main()
