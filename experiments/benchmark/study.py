"""What each row of a study costs, before any of it is run: weights, a training step, and detection.

The first run of every row, whatever the seed, is built as its configuration says. All are timed in one process, in
turn, round by round; compare the ratios, not the milliseconds. Detection is by the untrained network, on ten images of
a split, with all glimpses for every proposal: what early stopping saves depends on what was learned, see the benchmark
`glimpses`.
"""

import itertools

import tensorflow as tf

from experiments.benchmark.glimpses import IMAGES, detection_call, median_seconds
from experiments.launch import add_configuration_flags
from glimpse import config
from glimpse.data.batches import evaluation_batches
from glimpse.studies.plan import runs_of
from glimpse.training.environment import environment
from glimpse.training.experiment import Experiment


def add_flags(parser):
    add_configuration_flags(parser)
    parser.add_argument("--split", default="validation", help="whose images are detected on (default: validation)")


def run(options):
    """Times every row; a dictionary of plain numbers and strings."""
    rows = {}
    for name, planned in runs_of(options.gin_file, options.gin_param).items():
        rows.setdefault(",".join(axis for axis in name.split(",") if not axis.startswith("SEED=")), planned)
    tf.get_logger().setLevel("ERROR")  # a step is traced for each row: it would warn of that from the fifth on
    costs, calls = [], []
    for row, (file, bindings) in rows.items():
        with config.configuration(file, bindings):
            experiment = Experiment()
            batch, step = next(iter(experiment.batches(0))), tf.function(experiment.trainer.train_step)
            step(batch)
            images = list(itertools.islice(
                evaluation_batches(experiment.data(split=options.split), experiment.proposals,
                                   experiment.evaluation_batch_size, experiment.framing),
                -(-IMAGES // experiment.evaluation_batch_size)))
            calls += [lambda step=step, batch=batch: step(batch), detection_call(experiment, images, None)]
        costs.append({"row": row, "parameters": experiment.detector.count_params(),
                      "images": sum(len(batch.examples) for batch in images)})
    times = median_seconds(calls, options.runs)
    for cost, step, detection in zip(costs, times[::2], times[1::2]):
        cost["step_ms"], cost["image_ms"] = 1000 * step, 1000 * detection / cost.pop("images")
    return {**environment(), "runs": options.runs, "study": " ".join([options.gin_file, *options.gin_param]),
            "rows": costs}


def table(result):
    """The result as text."""
    first = result["rows"][0]
    lines = [f"{'weights':>10}{'ms a step':>11}{'over first':>11}{'ms an image':>13}{'over first':>11}  row"]
    lines += [f"{cost['parameters'] / 1e6:9.2f}M{cost['step_ms']:11.1f}{cost['step_ms'] / first['step_ms']:11.2f}"
              f"{cost['image_ms']:13.1f}{cost['image_ms'] / first['image_ms']:11.2f}  {cost['row']}"
              for cost in result["rows"]]
    return "\n".join(lines)


def ratios(result):
    """Times over those of the first row, of a training step and of detection; and the label of their axis."""
    first = result["rows"][0]
    groups = {what: {cost["row"]: cost[key] / first[key] for cost in result["rows"]}
              for what, key in (("training step", "step_ms"), ("detection", "image_ms"))}
    return groups, "time over that of the first row"
