"""Evaluates a trained run on a split: python -m experiments.evaluate --run=runs/x --split=test

Where the training is complete and its results.json does not tell of the split, it is added there. A run that is being
trained is evaluated at its last checkpoint, and nothing is written.
"""

import json
import pathlib
import sys
import time

from experiments.launch import exit_on_error, run_parser, start_tensorflow
from glimpse.errors import GlimpseError, real_number, whole_number
from glimpse.files import file_name_of


@exit_on_error
def main(arguments=None):
    flags = run_parser(__doc__)
    flags.add_argument("--split", default="test", help="train, validation or test")
    flags.add_argument("--detections", type=pathlib.Path, metavar="DIRECTORY",
                       help="also write the detections here, as COCO's results and as VOC's text files")
    flags.add_argument("--confidence", type=float, metavar="P",
                       help="no further glimpse of what is background with this probability, in place of "
                            "Experiment.stop_at_background; at None there, T glimpses of each")
    flags.add_argument("--iterations", type=int, default=0, metavar="N",
                       help="start again N times from the boxes just found (iterative localisation)")
    flags = flags.parse_args(arguments)
    whole_number("--iterations", flags.iterations, minimum=0)
    if flags.iterations and flags.confidence is not None:
        raise GlimpseError(
            f"--iterations={flags.iterations} and --confidence={flags.confidence} exclude each other: give one")
    if flags.confidence is not None:
        real_number("--confidence", flags.confidence, minimum=0, maximum=1)
    start_tensorflow()
    from glimpse.training import lock, results, run
    from glimpse.training.restore import restored
    with restored(flags.run, flags.allow_import) as (experiment, step):
        start = time.perf_counter()
        confidence = flags.confidence
        if confidence is None and not flags.iterations:
            confidence = experiment.stop_at_background
        result = experiment.evaluate(flags.split, confidence, flags.iterations)
        whole = flags.confidence is None and not flags.iterations and experiment.trained_steps == experiment.train_steps
        if whole and flags.split not in run.read_results(flags.run).get("metrics", {}):
            try:
                with lock.held(flags.run):
                    results.write(flags.run, experiment, {flags.split: result},
                                  {"train": 0.0, "evaluate": time.perf_counter() - start})
                print(f"added to {flags.run / run.RESULTS}", file=sys.stderr)
            except lock.RunHeld as held:
                print(f"not added to {flags.run / run.RESULTS}: {held}", file=sys.stderr)
        detections, _ = result.pop("detections"), result.pop("ground_truth")
        if flags.detections:
            write_detections(flags.detections, flags.split, detections, data_of(experiment, flags.split))
        print(json.dumps({"step": step, **result}, indent=2))


def data_of(experiment, split):
    """The TrainedOn of a run with COCO's ids of the classes as the file of this split has them."""
    ids = getattr(experiment.annotated(split), "category_ids", experiment.trained_on.category_ids)
    return experiment.trained_on._replace(category_ids=tuple(ids))


def write_detections(directory, split, detections, data):
    """Writes both kinds of files, with the classes of the TrainedOn `data`."""
    from glimpse.evaluation.detection_files import write_coco_results, write_voc_results
    directory.mkdir(parents=True, exist_ok=True)
    ids = [each["id"] for each in detections]
    write_coco_results(directory / f"coco_results_{file_name_of(split)}.json", detections, ids, data.category_ids)
    write_voc_results(directory, split, detections, ids, data.class_names)


if __name__ == "__main__":
    main()
