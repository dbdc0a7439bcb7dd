"""Trains and evaluates one network: python -m experiments.train --gin_file=experiments/digits.gin --workdir=runs/x"""

import time

import gin

from experiments.launch import exit_on_error, parser
from glimpse import config
from glimpse.evaluation.matches import match, matches_file, write_matches
from glimpse.files import write_json, write_whole
from glimpse.training import run
from glimpse.training.experiment import Experiment


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--workdir", required=True, help="directory of the run; an unfinished run in it goes on")
    flags.add_argument("--dry_run", action="store_true", help="build everything, print the configuration, write nothing")
    flags.add_argument("--overwrite", action="store_true", help="replace the run that stands in --workdir")
    flags = flags.parse_args(arguments)
    with config.configuration(flags.gin_file, flags.gin_param) as text:
        experiment = Experiment()  # before anything is written: a value that is refused leaves no trace
        if flags.dry_run:
            print(gin.operative_config_str())
        else:
            train(experiment, run.prepare(flags.workdir, text, flags.overwrite))


def train(experiment, workdir):
    """Trains and evaluates an experiment in a prepared directory and writes its results.json."""
    for binding in config.unused_bindings():
        print(f"warning: nothing uses {binding}")
    seconds = {"train": experiment.train(workdir)}
    start = time.perf_counter()
    evaluated = {split: experiment.evaluate(split) for split in experiment.evaluation_splits}
    seconds["evaluate"] = time.perf_counter() - start
    write_whole(workdir / run.OPERATIVE_CONFIG, gin.operative_config_str())
    for split, result in evaluated.items():
        write_matches(workdir / matches_file(split), match(
            result["detections"], result["ground_truth"], len(experiment.trained_on.class_names)))
    write_json(workdir / run.RESULTS, {
        "configuration": config.macros(),
        **{part: {split: result[part] for split, result in evaluated.items()}
           for part in ("metrics", "policy", "errors")},
        "proposal_recall": {f"{split}@{iou}": share for split, result in evaluated.items()
                            for iou, share in result["proposal_recall"].items()},
        "parameters": experiment.detector.count_params(),
        "milliseconds_per_image": evaluated[experiment.evaluation_splits[-1]]["milliseconds_per_image"],
        "seconds": seconds,
        "peak_memory_mib": run.peak_memory_mib(),
        **run.environment(),
        "diagnostics": run.last_diagnostics(workdir),
        "log": run.log_by_columns(workdir),
    })
    for split, result in evaluated.items():
        shown = [f"{key} {100 * value:.1f}" for key, value in result["metrics"].items()
                 if "voc10_map" in key and key[-4:] in ("0.50", "0.70", "0.80", "0.95")]
        print(f"{split}: {'  '.join(shown) or 'mAP undefined, for no object of this split counts'}")
    print(f"results: {workdir / run.RESULTS}")


if __name__ == "__main__":
    main()
