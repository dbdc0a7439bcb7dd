"""The networks of digits and of photographs against the same in PyTorch (eager): a training step, and detection.

Both have the same weights and inputs, and must compute the same numbers, or nothing is timed: logits within 1e-4, the
loss within 1e-4 of itself, and as many detections of the same scores. All are timed in one process, in turn; compare
the ratios, which are medians over the turns, not the milliseconds. Each number of threads has a process of its own.
CPU time is that of all threads of the process.

Digits: a batch of 8 scenes with 32 RoIs each, from pixels to weights; detection in one scene, from its 772 windows.
Photographs: maps of 40 x 40 x 112, drawn at random, stand for those of a frozen backbone; a batch of 4 with 64 RoIs
each; fc6 and fc7 of 512 units; detection from 772 windows, from the map on. What shows objects is drawn too, such that
some hundreds of boxes compete in detection, as with trained weights. All learning rates are 0, lest the numbers drift
apart. A step of ours also takes the statistics that a run logs.

"fc6 and fc7" are these two layers alone over the 772 glimpses of detection, a part of it that both must compute.
Torch's time for detection over ours for these layers is the largest ratio that could be had, were all else free.
"""
from experiments.benchmark import in_turn  # first, as it imports torchvision before TensorFlow

# isort: split
import os
import sys

import numpy as np
import tensorflow as tf

from experiments.benchmark.in_turn import in_new_process, interleaved, medians, torch, use_threads
from glimpse import config
from glimpse.data.batches import training_batches
from glimpse.data.digits import DigitScenes
from glimpse.data.proposals import WindowGrid
from glimpse.errors import GlimpseError
from glimpse.network.suppression import suppress
from glimpse.training.experiment import Experiment
from glimpse.training.trained_on import TrainedOn

NETWORKS = {  # (configuration, bindings, (side, channels) of an image)
    "digits": ("experiments/digits.gin", [], (96, 1)),
    "photographs": ("experiments/photos.gin", [
        "DATA_ROOT = 'none'", "Framing.canvas = (640, 640)", "efficientnet_lite0.weights = None"], (640, 3)),
}
GLIMPSES = {"T=1": ["NUM_GLIMPSES = 1"], "T=3, learned": ["NUM_GLIMPSES = 3", "POLICY = @learned()"],
            "T=3, refine": ["NUM_GLIMPSES = 3", "POLICY = @refine()"]}
# What the twin has, whatever a shipped configuration has; and weights that stay, so that every turn does the same.
TWIN = ["SUPERVISION = 'last'", "FUSION = @max", "BOX_REFERENCE = 'proposal'", "RECURRENCE = @relu",
        "OWN_LAYERS = 'none'", "SCORE = 'last'", "RELABEL_IOUS = None", "keras.optimizers.Adam.learning_rate = 0.0"]
MAP = (40, 40, 112)
BACKGROUND = 5.0  # what its logit is above those of the classes, whose standard deviation is 2
THREADS = 1, 2
TOLERANCE = 1e-4


def add_flags(parser):
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one")


def run(options, threads=THREADS):
    """Checks and times everything; a dictionary of plain numbers and strings.

    Raises:
        GlimpseError: where torch is not installed, or the two compute different numbers.
    """
    if not torch:
        raise GlimpseError(f"the peer needs torch and torchvision: {in_turn.TORCH}")
    result = {"machine": in_turn.machine(), "versions": in_turn.versions(), "runs": options.runs}
    result["timed"] = [
        {"threads": count, "network": network, "rows": in_new_process(_time, network, count, options.runs)}
        for network in options.network or NETWORKS for count in threads]
    result["machine"]["load_after"] = os.getloadavg()[0]
    return result


def table(result):
    """The result as text."""
    lines = [in_turn.heading(result["machine"], result["versions"]),
             f"medians of {result['runs']} turns; torch / ours: how many times the time of ours"]
    for timed in result["timed"]:
        title = f"{timed['network']}, {timed['threads']} thread{'s'[:timed['threads'] > 1]}"
        lines += ["", f"{title:34}{'ours: CPU ms':>14}{'wall ms':>10}{'torch / ours: CPU':>20}{'wall':>8}"
                      f"{'largest difference':>22}"]
        for row in timed["rows"]:
            ours, peer = row["ours"], row["torch"]
            lines.append(f"{row['task'] + ', ' + row['glimpses']:34}{ours['cpu_ms']:14.1f}{ours['wall_ms']:10.1f}"
                         f"{peer['over_ours_cpu']:20.2f}{peer['over_ours_wall']:8.2f}"
                         f"{max(row['differences'].values()):22.1e}")
    return "\n".join(lines)


def _time(network, threads, runs):
    use_threads(threads)
    functions, differences = {}, {}
    for name, bindings in GLIMPSES.items():
        tasks, differences[name] = _tasks(network, bindings)
        functions |= {(task, name, contender): function for (task, contender), function in tasks.items()}
    times = interleaved(functions, runs)
    return [{"task": task, "glimpses": name, "differences": differences[name],
             **{contender: medians(times[task, name, contender], times[task, name, "ours"])
                for contender in ("ours", "torch")}}
            for task, name in dict.fromkeys(key[:2] for key in functions)]


def _tasks(network, bindings):
    """{(task, contender): function}, and the largest differences between the numbers of the two contenders."""
    from experiments.benchmark import torch_twin  # needs torch
    print(f"building {network}, {', '.join(bindings)}", file=sys.stderr, flush=True)
    file, own, (side, channels) = NETWORKS[network]
    with config.configuration(file, [*own, *bindings, *TWIN]):
        experiment = Experiment(trained_on=TrainedOn(DigitScenes.class_names, range(1, 11), (side, side, channels)))
    trainer, detector = experiment.trainer, experiment.detector
    batch, proposals = _batch(experiment, side)
    _draw_heads(detector, batch)
    images, feature_map, sizes = (batch[name][:1] if name in batch else None
                                  for name in ("images", "feature_map", "sizes"))

    ours_step = tf.function(trainer.train_step)

    @tf.function
    def ours_detect(images, proposals, feature_map):
        rollout = detector(images, proposals, tf.constant([0, 0]), sizes=sizes, feature_map=feature_map)
        return suppress(*detector.predictions(rollout, images, sizes)), rollout.logits[0, :, -1]

    twin, torch_batch = torch_twin.Twin(detector), torch_twin.batch_of(batch)
    one = {name: part[:1] for name, part in torch_batch.items()}
    torch_step = torch_twin.training_step(twin, torch_batch, trainer.weight_decay, side)
    torch_proposals = torch.tensor(proposals)

    found, logits = ours_detect(images, proposals, feature_map)
    scores, (peer_scores, peer_logits) = found.scores[0, :found.counts[0]], torch_twin.detect(
        twin, one, torch_proposals, side)[1:]
    loss = float(ours_step(batch)["loss"])
    differences = {"logits": float(np.abs(logits - peer_logits.numpy()).max()),
                   "loss": abs(torch_step() / loss - 1),
                   "scores": float(np.abs(scores - peer_scores.numpy()).max()) if len(scores) == len(peer_scores)
                   else float("inf")}
    if not max(differences.values()) <= TOLERANCE:
        raise GlimpseError(f"ours and torch compute different numbers for {network}, {', '.join(bindings)}: "
                           f"{differences}; differences of at most {TOLERANCE} are float noise")
    tasks = {
        ("step", "ours"): lambda: ours_step(batch)["loss"].numpy(),
        ("step", "torch"): torch_step,
        ("detection", "ours"): lambda: ours_detect(images, proposals, feature_map)[0].counts.numpy(),
        ("detection", "torch"): lambda: torch_twin.detect(twin, one, torch_proposals, side),
    }
    if detector.num_glimpses == 1:
        width = twin.fc6.weight.shape[1]
        vectors = np.random.default_rng(2).random((proposals.shape[1], width), np.float32)
        ours_layers, torch_vectors = tf.function(detector.controller), torch.tensor(vectors)
        vectors = tf.constant(vectors)
        tasks |= {("fc6 and fc7", "ours"): lambda: ours_layers(vectors, step=0)[0].numpy(),
                  ("fc6 and fc7", "torch"): lambda: torch_twin.first_look(twin, torch_vectors)}
    return tasks, differences


def _batch(experiment, side):
    """A training batch as tensors, of digit scenes scaled to the side of an image; 772 proposals [1, N, 4]."""
    scenes, grid = DigitScenes("train", {"train": experiment.batch_size}), WindowGrid()
    batch = next(iter(training_batches(scenes, grid, experiment.sampling, experiment.batch_size, 0, 0, 1)))
    proposals, scale = grid(scenes[0].image)[None], np.float32(side / scenes[0].image.shape[0])
    if scale != 1:
        random = np.random.default_rng(0)
        batch |= {name: batch[name] * scale for name in ("rois", "targets", "objects")}
        del batch["images"]
        batch["sizes"] = tf.fill([experiment.batch_size, 2], side)
        batch["feature_map"] = tf.constant(random.standard_normal((experiment.batch_size, *MAP)), tf.float32)
    return batch, proposals * scale


def _draw_heads(detector, batch):
    """Heads of a standard deviation of 2 over the RoIs of a batch, with background ahead of the classes."""
    rollout = detector(batch.get("images"), batch["rois"], tf.constant([0, 0]), sizes=batch["sizes"],
                       feature_map=batch.get("feature_map"))
    fused = tf.reshape(rollout.fused[:, :, -1], [-1, rollout.fused.shape[-1]]).numpy()
    head, = detector.class_heads
    kernel = np.random.default_rng(1).standard_normal(head.kernel.shape).astype("float32")
    kernel *= 2 / (fused @ kernel).std(axis=0)
    bias = -(fused @ kernel).mean(axis=0)
    bias[0] += BACKGROUND
    head.set_weights([kernel, bias])
