"""Evaluates a trained run on a split: python -m experiments.evaluate --run=runs/x --split=test"""

import argparse
import json
import pathlib

from experiments.launch import exit_on_error
from glimpse.errors import real_number
from glimpse.evaluation.detection_files import write_coco_results, write_voc_results
from glimpse.files import file_name_of
from glimpse.training.experiment import restored


@exit_on_error
def main(arguments=None):
    flags = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    flags.add_argument("--run", required=True, type=pathlib.Path, help="directory of the run")
    flags.add_argument("--split", default="test", help="train, validation or test")
    flags.add_argument("--detections", type=pathlib.Path, metavar="DIRECTORY",
                       help="also write the detections here, as COCO's results and as VOC's text files")
    flags.add_argument("--confidence", type=float, metavar="P",
                       help="no further glimpse of what is background with this probability; without it, T glimpses of each")
    flags = flags.parse_args(arguments)
    if flags.confidence is not None:
        real_number("--confidence", flags.confidence, minimum=0, maximum=1)
    with restored(flags.run) as (experiment, step):
        result = experiment.evaluate(flags.split, flags.confidence)
        detections, _ = result.pop("detections"), result.pop("ground_truth")
        if flags.detections:
            write_detections(flags.detections, flags.split, detections, experiment.trained_on)
        print(json.dumps({"step": step, **result}, indent=2))


def write_detections(directory, split, detections, data):
    """Writes both kinds of files, with the classes of the TrainedOn `data`."""
    directory.mkdir(parents=True, exist_ok=True)
    ids = [each["id"] for each in detections]
    write_coco_results(directory / f"coco_results_{file_name_of(split)}.json", detections, ids, data.category_ids)
    write_voc_results(directory, split, detections, ids, data.class_names)


if __name__ == "__main__":
    main()
