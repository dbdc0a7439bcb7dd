"""A detector over a whole data set: its average precision, its speed, and what its policy does."""

import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glimpse.data.batches import evaluation_batches
from glimpse.data.proposals import best_overlaps, recall_of
from glimpse.evaluation.average_precision import evaluate
from glimpse.geometry.boxes import DELTAS
from glimpse.geometry.overlaps import pairwise_iou
from glimpse.network.early_stopping import detect_unless_background
from glimpse.network.iteration import detect_again
from glimpse.randomness import stateless_seed

PROPOSAL_IOUS = (0.5, 0.7)


def evaluate_detector(detector, examples, proposals, seed, batch_size=10, framing=None, confidence=None, iterations=0):
    """Detects on every image and scores the answers.

    Args:
        detector: a built GlimpseDetector.
        examples: a data set, see `glimpse.data.example`.
        proposals: callable, (image, id) -> [N, 4].
        seed: of the run, from which the random policy's glimpses follow, (seed, "evaluation", batch).
        batch_size: images to a call.
        framing: a Framing, or None for images of one size.
        confidence: that a proposal shows background, at which it gets no further glimpse (see
            `glimpse.network.early_stopping`); None for T glimpses of each.
        iterations: how often to start again from the boxes just found (see `glimpse.network.iteration`).

    Returns:
        a dict of "metrics": see `glimpse.evaluation.average_precision`; "milliseconds_per_image": median over batches,
        of network and non-maximum suppression; "policy": see `policy_statistics`; empty with a confidence or with
        iterations; "glimpses_per_proposal": their mean number; "proposal_recall": {"0.50": 0..1, ...}, what the
        proposals themselves reach before any is moved, which bounds what the network can find; "detections" and
        "ground_truth": lists of dicts, an image each, as `evaluate` takes them, with its "id" besides.
    """
    def detect(images, boxes, seed, sizes, is_proposal, objects):
        if confidence is not None:
            return detect_unless_background(detector, images, boxes, seed, confidence, sizes, is_proposal, objects)
        if iterations:
            return detect_again(detector, images, boxes, seed, iterations, sizes, is_proposal)
        found, rollout = detector.detect(images, boxes, seed, sizes, is_proposal, objects)
        return found, rollout.deltas

    graph = graph_on_demand(detect, framing)
    detections, truth, reached, deltas, counts, seconds = [], [], [], [], [], []
    batches = evaluation_batches(examples, proposals, batch_size, framing)
    for batch, found, looked, took in detected(graph, tqdm(
            batches, "evaluating", total=-(-len(examples) // batch_size), unit="batch", disable=None), seed):
        seconds.append(took / len(batch.examples))
        reached += map(best_overlaps, batch.unscaled, batch.examples)
        detections += found
        truth += map(truth_of, batch.examples)
        if confidence is not None or iterations:
            counts.append(looked[batch.is_proposal])
            continue
        for example, scale, boxes, is_proposal, image_deltas in zip(
                batch.examples, batch.scales, batch.proposals, batch.is_proposal, looked):
            near = pairwise_iou(boxes / scale, example.boxes).max(axis=1, initial=0) >= 0.5
            deltas.append(image_deltas[near & is_proposal])
    recalls = recall_of(reached, PROPOSAL_IOUS)[0]
    return {
        "metrics": evaluate(detections, truth, examples.class_names),
        # The first batch traces the function.
        "milliseconds_per_image": 1000 * float(np.median(seconds[1:] or seconds)),
        "policy": policy_statistics(np.concatenate(deltas)) if deltas else {},
        "glimpses_per_proposal": float(np.concatenate(counts).mean()) if counts else float(detector.num_glimpses),
        "proposal_recall": {f"{iou:.2f}": float(fraction) for iou, fraction in zip(PROPOSAL_IOUS, recalls)},
        "detections": detections,
        "ground_truth": truth,
    }


def detected(graph, batches, seed):
    """Detects on batch after batch.

    Args:
        graph: of `graph_on_demand`, of a function that gives Detections and a tensor.
        batches: of `evaluation_batches`.
        seed: of the run.

    Yields:
        an EvaluationBatch; its detections, a dict an image as `evaluate_detector` returns them; the tensor as an array;
        the seconds that the network and non-maximum suppression took.
    """
    for step, batch in enumerate(batches):
        start = time.perf_counter()
        found, looked = graph(batch, stateless_seed(seed, "evaluation", step))
        found = [part.numpy() for part in found]
        seconds = time.perf_counter() - start
        yield batch, [
            {"id": example.id, "boxes": boxes[:count] / scale, "scores": scores[:count], "labels": labels[:count]}
            for example, scale, boxes, scores, labels, count in zip(batch.examples, batch.scales, *found)
        ], looked.numpy(), seconds


def truth_of(example):
    """The objects of an Example as `glimpse.evaluation.average_precision.evaluate` takes them."""
    return {"id": example.id, "boxes": example.boxes, "labels": example.labels, "difficult": example.difficult}


def graph_on_demand(function, framing=None):
    """`graph_of` of the first EvaluationBatch that comes: a function of (batch, seed), to be kept for later batches."""
    graph = None

    def on_batch(batch, seed):
        nonlocal graph
        graph = graph or graph_of(function, batch, framing)
        return graph(batch.images, batch.proposals, seed, batch.sizes, batch.is_proposal, batch.objects)

    return on_batch


def graph_of(function, batch, framing=None):
    """`function` of (images, proposals, seed, sizes, is_proposal, objects) as a graph for batches like this one.

    It knows all shapes but the batch's where it can, for RoI pooling is compiled then.
    """
    if framing is not None and framing.canvas is None:
        return _graph(function, (None, None, batch.images.shape[3]), (None, 4))
    graphs = {}  # by the sizes of images and of lists of proposals; the latter are few, see `evaluation_batches`

    def of_size(images, proposals, *others):
        shapes = images.shape[1:], proposals.shape[1:]
        if shapes not in graphs:
            graphs[shapes] = _graph(function, *shapes)
        return graphs[shapes](images, proposals, *others)

    return of_size


def _graph(function, image, proposals):
    return tf.function(function, input_signature=[
        tf.TensorSpec([None, *image], tf.uint8), tf.TensorSpec([None, *proposals], tf.float32),
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([None, proposals[0]], tf.bool),
        tf.TensorSpec([None, None, 4], tf.float32)])


def policy_statistics(deltas):
    """What a policy does: mean and spread (standard deviation) over proposals of each delta, for each further glimpse.

    A spread near 0 means that the policy looks at the same place whatever it sees.

    Args:
        deltas: float [N, T-1, 4], of proposals that overlap an object.

    Returns:
        {"glimpse 2": {"mean": {"dx": ...}, "spread": {"dx": ...}}, ...}, empty for T = 1.
    """
    def named(values):
        return dict(zip(DELTAS, map(float, values)))

    if not len(deltas):
        return {}
    return {f"glimpse {step + 2}": {"mean": named(deltas[:, step].mean(axis=0)),
                                    "spread": named(deltas[:, step].std(axis=0))}
            for step in range(deltas.shape[1])}
