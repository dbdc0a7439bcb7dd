"""What glimpses cost: the time of a training step, and mAP over the time of an image, with and without early stopping.

The pooling of a glimpse and the controller's step over it, with all their gradients, are timed by themselves too: what
a further glimpse adds to a training step follows from it.

All contenders run in one process, in turn, round by round; compare the ratios, not the milliseconds. Trained runs are
given by --run: first one with T = 1, which the ratios are to, then others. One with more glimpses is timed with all of
them for every proposal, and with early stopping at several confidences (see `glimpse.network.early_stopping`).
Detection is timed on the first ten images, for how many glimpses it takes depends on the image.
"""

import itertools
import pathlib
import statistics
import time

import tensorflow as tf

from glimpse import config
from glimpse.data.batches import evaluation_batches
from glimpse.errors import GlimpseError, real_number
from glimpse.evaluation.evaluator import graph_of
from glimpse.network.early_stopping import detect_unless_background
from glimpse.randomness import stateless_seed
from glimpse.studies.pictures.stopping import plot_map_over_milliseconds
from glimpse.training.environment import environment
from glimpse.training.experiment import Experiment
from glimpse.training.restore import restored
from glimpse.training.run import read_results
from glimpse.visualization.writing import write_figure

LEARNED = "experiments/digits_learned.gin"
TRAINING = {  # name -> configuration, bindings; of the last, which has memory, a further glimpse is timed apart
    "T=1": (LEARNED, ["NUM_GLIMPSES = 1"]),
    "T=2, cascade": ("experiments/digits.gin", ["NUM_GLIMPSES = 2"]),
    "T=3, cascade": ("experiments/digits.gin", ["NUM_GLIMPSES = 3"]),
    "T=3, cascade, further_background=4": (
        "experiments/digits.gin", ["NUM_GLIMPSES = 3", "Trainer.further_background = 4"]),
    "T=3, refine": ("experiments/digits_refine.gin", ["NUM_GLIMPSES = 3"]),
    "T=2, pathwise": (LEARNED, ["NUM_GLIMPSES = 2"]),
    "T=3, pathwise": (LEARNED, ["NUM_GLIMPSES = 3"]),
    "T=3, REINFORCE with 4 episodes": (
        LEARNED, ["NUM_GLIMPSES = 3", "ESTIMATOR = @reinforce()", "POLICY_OPTIMIZER = @keras.optimizers.SGD()"]),
}
FURTHER = "pooling and controller, one glimpse"
CONFIDENCES = (0.2, 0.3, 0.5, 0.7, 0.9, 0.99)
IMAGES = 10
METRIC = "voc10_map@0.50:0.95"


def add_flags(parser):
    parser.add_argument("--run", action="append", default=[], type=pathlib.Path, metavar="DIR",
                        help="a trained run, the first with T = 1; may be given again")
    parser.add_argument("--confidence", action="append", type=float, metavar="P",
                        help="of early stopping, for all runs of more glimpses, in place of all glimpses of every "
                             "proposal and of the usual ones; may be given again")
    parser.add_argument("--split", default="test", help="whose mAP is measured")
    parser.add_argument("--picture", type=pathlib.Path, metavar="NAME", help="also draw NAME.png and NAME.pdf")


def run(options):
    """Times everything; a dictionary of plain numbers and strings.

    Raises:
        GlimpseError: where a run is not trained, the first has more than one glimpse, the picture has no directory, or
            a confidence is no probability.
    """
    confidences = [real_number("--confidence", given, minimum=0, maximum=1) for given in options.confidence or ()]
    if options.picture and not options.picture.parent.is_dir():
        raise GlimpseError(
            f"--picture={options.picture}: there is no directory {options.picture.parent}; make it first")
    result = {**environment(), "runs": options.runs, "split": options.split,
              "training_step_ms": _training_steps(options.runs), "detection": []}
    graphs, images = [], []
    for directory in options.run:
        with restored(directory) as (experiment, _):
            num_glimpses = experiment.detector.num_glimpses
            if not graphs and num_glimpses != 1:
                raise GlimpseError(f"the first --run must have one glimpse, {directory} has {num_glimpses}")
            batches = list(itertools.islice(
                evaluation_batches(experiment.data(split=options.split), experiment.proposals,
                                   experiment.evaluation_batch_size, experiment.framing),
                -(-IMAGES // experiment.evaluation_batch_size)))
            for confidence in [None] if num_glimpses == 1 else confidences or [None, *CONFIDENCES]:
                metrics, taken = _evaluated(experiment, directory, options.split, confidence)
                result["detection"].append({"run": directory.name, "glimpses": num_glimpses, "confidence": confidence,
                                            "map": metrics[METRIC], "glimpses_per_proposal": taken})
                graphs.append(detection_call(experiment, batches, confidence))
                images.append(sum(len(batch.examples) for batch in batches))
    times = median_seconds(graphs, options.runs)
    for row, seconds, count in zip(result["detection"], times, images):
        row["ms"] = 1000 * seconds / count
    if options.picture:
        write_figure(options.picture, plot_map_over_milliseconds(result["detection"]))
    return result


def table(result):
    """The result as text."""
    steps, lines = result["training_step_ms"], ["training step, ms, and over that of T=1"]
    lines += [f"  {name:40}{ms:8.0f}{ms / steps['T=1']:8.2f}" for name, ms in steps.items()]
    if result["detection"]:
        lines += ["", f"detection on the {result['split']} split: ms an image, over T=1, glimpses a proposal, {METRIC}"]
        first = result["detection"][0]["ms"]
        for row in result["detection"]:
            stop = "" if row["confidence"] is None else f", stops at {row['confidence']:g}"
            lines.append(f"  {'T=' + str(row['glimpses']) + stop:34}{row['ms']:8.1f}{row['ms'] / first:8.2f}"
                         f"{row['glimpses_per_proposal']:8.2f}{100 * row['map']:8.1f}  {row['run']}")
    return "\n".join(lines)


def ratios(result):
    """Times over those of T = 1, of a training step and of detection; and the label of their axis."""
    steps = result["training_step_ms"]
    groups = {"training step": {name: ms / steps["T=1"] for name, ms in steps.items()}}
    if result["detection"]:
        first = result["detection"][0]["ms"]
        groups["detection"] = {
            f"{row['run']}, T={row['glimpses']}"
            + ("" if row["confidence"] is None else f", stops at {row['confidence']:g}"): row["ms"] / first
            for row in result["detection"]}
    return groups, "time over that of one glimpse"


def _training_steps(rounds):
    """Milliseconds of a training step for each of TRAINING, and of the part that no further glimpse can do without."""
    steps = []
    for file, bindings in TRAINING.values():
        with config.configuration(file, [*bindings, "DigitScenes.sizes = {'train': 64}"]):
            experiment = Experiment()
            batch, step = next(iter(experiment.batches(0))), tf.function(experiment.trainer.train_step)
            steps.append(lambda step=step, batch=batch: step(batch))
    steps.append(_further_glimpse(experiment.detector, batch))
    return {name: 1000 * seconds for name, seconds in zip([*TRAINING, FURTHER], median_seconds(steps, rounds))}


def _further_glimpse(detector, batch):
    """A call that takes a further glimpse of each RoI of a batch, in the controller too, and all its gradients."""
    feature_map, glimpses = detector.shared_map(batch["images"]), batch["rois"]
    _, state = detector.controller(detector.pooled_vectors(feature_map, glimpses, tf.zeros_like(glimpses)))

    @tf.function
    def gradients(feature_map, glimpses, state):
        weights = [weight.value for weight in detector.controller.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch([feature_map, glimpses, state])
            output, _ = detector.controller(detector.pooled_vectors(feature_map, glimpses, tf.zeros_like(glimpses)),
                                            step=1, state=state)
        return tape.gradient(output, [feature_map, glimpses, state, weights])

    return lambda: gradients(feature_map, glimpses, state)


def _evaluated(experiment, directory, split, confidence):
    """(metrics, glimpses a proposal) of a split: those of the run's results, where they are of this early stopping."""
    parts = "metrics", "glimpses_per_proposal"
    if experiment.detector.num_glimpses == 1 or confidence == experiment.stop_at_background:
        known = [read_results(directory).get(part, {}) for part in parts]
        if all(split in of_splits for of_splits in known):
            return [of_splits[split] for of_splits in known]
    evaluated = experiment.evaluate(split, confidence)
    return [evaluated[part] for part in parts]


def detection_call(experiment, batches, confidence):
    """A call that detects on batches."""
    detector, seed = experiment.detector, stateless_seed(experiment.seed, "evaluation", 0)

    def detect(images, proposals, seed, sizes, is_proposal, objects):
        if confidence is None:
            return detector.detect(images, proposals, seed, sizes, is_proposal, objects)[0]
        return detect_unless_background(detector, images, proposals, seed, confidence, sizes, is_proposal, objects)[0]

    graph = graph_of(detect, batches[0], experiment.framing)
    return lambda: [graph(batch.images, batch.proposals, seed, batch.sizes, batch.is_proposal, batch.objects)
                    for batch in batches]


def median_seconds(calls, rounds):
    """Median seconds of each call, after one to warm up; each round runs them all."""
    seconds = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, taken in zip(calls, seconds):
            start = time.perf_counter()
            tf.nest.map_structure(lambda part: part.numpy(), call())
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]
