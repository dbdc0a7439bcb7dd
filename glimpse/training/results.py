"""What came out of a run: results.json, made at the end of its training, and completed by later evaluations."""

import pathlib

from glimpse import config
from glimpse.evaluation.matches import match, matches_file, write_matches
from glimpse.files import write_json
from glimpse.network.policies import role_of
from glimpse.training import run
from glimpse.training.environment import environment, peak_memory_mib
from glimpse.training.metrics_log import last_diagnostics, log_by_columns, validation_by_columns


def write(workdir, experiment, evaluated, seconds):
    """Writes results.json, and the matches of each split beside it; what stood there of other splits stays.

    Args:
        workdir: of the run.
        experiment: Experiment, with its configuration in force.
        evaluated: {split: what Experiment.evaluate returns}, at least one.
        seconds: {"train": of this process, 0 where the training had ended before, "evaluate": ...}.
    """
    before = run.read_results(workdir)
    if not seconds["train"]:
        seconds = {**seconds, **{name: value for name, value in before.get("seconds", {}).items() if name == "train"}}
    recalls = {f"{split}@{iou}": fraction for split, result in evaluated.items()
               for iou, fraction in result["proposal_recall"].items()}
    for split, result in evaluated.items():
        write_matches(pathlib.Path(workdir) / matches_file(split), match(
            result["detections"], result["ground_truth"], len(experiment.trained_on.class_names)))
    policy = experiment.detector.policy
    write_json(pathlib.Path(workdir) / run.RESULTS, {
        "configuration": config.macros(),
        "policy_role": policy and role_of(policy),
        **{part: before.get(part, {}) | {split: result[part] for split, result in evaluated.items()}
           for part in ("metrics", "policy", "errors", "glimpses_per_proposal")},
        "proposal_recall": before.get("proposal_recall", {}) | recalls,
        "parameters": experiment.detector.count_params(),
        "milliseconds_per_image": list(evaluated.values())[-1]["milliseconds_per_image"],
        "seconds": seconds,
        "peak_memory_mib": peak_memory_mib(),
        **environment(),
        "diagnostics": last_diagnostics(workdir),
        "log": log_by_columns(workdir),
        "validation_log": validation_by_columns(workdir),
    })
