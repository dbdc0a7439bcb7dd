"""A detector over a whole data set: its average precision, its speed, and what its policy does."""

import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glimpse.data.batches import evaluation_batches
from glimpse.evaluation.average_precision import evaluate
from glimpse.overlaps import pairwise_iou
from glimpse.randomness import stateless_seed

DELTAS = ("dx", "dy", "log_width", "log_height")
BATCH_SIZE = 10  # a part of what the random policy's glimpses follow from


def evaluate_detector(detector, examples, proposals, seed):
    """Detects on every image and scores the answers.

    Args: a built GlimpseDetector; a data set; proposals, callable image -> [N, 4]; seed of the run, from which the
      random policy's glimpses follow (seed, "evaluation", batch).
    Returns: {"metrics": see `glimpse.evaluation.average_precision`, "milliseconds_per_image": median over batches of
      network and non-maximum suppression, "policy": see `policy_statistics`}.
    """
    detect = graph_of(detector.detect, examples[0].image, proposals)
    detections, truth, deltas, seconds = [], [], [], []
    batches = evaluation_batches(examples, proposals, BATCH_SIZE)
    for step, (chosen, images, boxes) in enumerate(tqdm(
            batches, "evaluating", total=-(-len(examples) // BATCH_SIZE), unit="batch", disable=None)):
        start = time.perf_counter()
        found, rollout = detect(images, boxes, stateless_seed(seed, "evaluation", step))
        found = [part.numpy() for part in found]
        seconds.append((time.perf_counter() - start) / len(chosen))
        for example, image_boxes, scores, labels, valid in zip(chosen, *found):
            detections.append({"boxes": image_boxes[:valid], "scores": scores[:valid], "labels": labels[:valid]})
            truth.append({"boxes": example.boxes, "labels": example.labels, "difficult": example.difficult})
        for example, image_proposals, image_deltas in zip(chosen, boxes, rollout.deltas.numpy()):
            near = pairwise_iou(image_proposals, example.boxes).max(axis=1, initial=0) >= 0.5
            deltas.append(image_deltas[near])
    return {
        "metrics": evaluate(detections, truth, examples.class_names),
        # The first batch traces the function.
        "milliseconds_per_image": 1000 * float(np.median(seconds[1:] or seconds)),
        "policy": policy_statistics(np.concatenate(deltas)),
    }


def graph_of(function, image, proposals):
    """`function` of (images, proposals, seed) as a graph.

    All shapes but the batch's are known to it, for RoI pooling is compiled then.
    """
    return tf.function(function, input_signature=[
        tf.TensorSpec([None, *image.shape], tf.uint8), tf.TensorSpec([None, *proposals(image).shape], tf.float32),
        tf.TensorSpec([2], tf.int32)])


def policy_statistics(deltas):
    """What a policy does: mean and spread (standard deviation) over proposals of each delta, for each further glimpse.

    deltas: float [N, T-1, 4], of proposals that overlap an object. A spread near 0 means that the policy looks at the
    same place whatever it sees.
    Returns: {"glimpse 2": {"mean": {"dx": ...}, "spread": {"dx": ...}}, ...}, empty for T = 1.
    """
    def named(values):
        return dict(zip(DELTAS, map(float, values)))

    if not len(deltas):
        return {}
    return {f"glimpse {step + 2}": {"mean": named(deltas[:, step].mean(axis=0)),
                                    "spread": named(deltas[:, step].std(axis=0))}
            for step in range(deltas.shape[1])}
