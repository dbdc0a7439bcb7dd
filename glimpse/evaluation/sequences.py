"""Glimpse sequences: where a detector looked, and what it would have answered after each glimpse."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glimpse.data.batches import evaluation_batches
from glimpse.data.example import Example
from glimpse.evaluation.evaluator import graph_of
from glimpse.geometry.overlaps import pairwise_iou
from glimpse.network.suppression import Detections, suppress
from glimpse.randomness import stateless_seed


class Followed(NamedTuple):
    """One image with all its proposals followed through T glimpses.

    NumPy arrays, boxes float32 xyxy in pixels of the image as the network saw it, scaled if there is a Framing.
    """

    index: int  # of the example in its data set
    example: Example  # its image and boxes as the network saw them
    glimpses: np.ndarray  # [N, T, 4]; the first is the proposal
    deltas: np.ndarray  # [N, T-1, 4], as drawn, before the glimpse was cut to the image
    boxes: np.ndarray  # [N, T, K, 4], the answer of each class after each glimpse
    probabilities: np.ndarray  # [N, T, K + 1], 0 is background
    detections: Detections  # the counted ones alone, [D, ...]


class GlimpseSequence(NamedTuple):
    """One proposal followed through T glimpses, and the answer for one class. Boxes as in Followed."""

    index: int  # of the example in its data set
    name: str  # such as "test-00012, detection 1 of 5"
    glimpses: np.ndarray  # [T, 4]; the first is the proposal
    probabilities: np.ndarray  # [T, K + 1] after each glimpse, 0 is background
    label: int  # 0 .. K-1, the class whose boxes follow
    boxes: np.ndarray  # [T, 4], placed after each glimpse
    truth: np.ndarray | None  # [4], the object that the boxes are held against; None where there is none
    true_label: int | None
    overlaps: np.ndarray | None  # [T], IoU of the boxes with the truth

    @property
    def rewards(self):
        """[T]: what the policy is rewarded for, P * IoU of `glimpse.training.objectives`, had it stopped after each
        glimpse.
        """
        return self.probabilities[:, 1 + self.label] * self.overlaps

    @property
    def gain(self):
        """How much the glimpses after the first added to the reward."""
        return float(self.rewards[-1] - self.rewards[0])


def follow(detector, examples, proposals, seed, batch_size=10, framing=None, image_id=None, graphs=None, quiet=False):
    """Looks at a data set exactly as `evaluate_detector` does, to the draw; yields a Followed for every image.

    With a batch_size of 1, images may be of any sizes even without a Framing.

    Args:
        detector: GlimpseDetector.
        examples: data set, see `glimpse.data.example`.
        proposals: callable, (image, id) -> [N, 4].
        seed: of the run.
        batch_size: images to a step.
        framing: Framing of the run; None where all images are of one size.
        image_id: only this one, a number or its text (none is yielded where no example has this id).
        graphs: a dict, empty at first, that keeps what TensorFlow has compiled for the next call.
        quiet: without a progress bar.
    """
    def look(images, boxes, seed, sizes, is_proposal, objects):
        rollout = detector(images, boxes, seed, sizes=sizes, objects=objects)
        answers = [detector.predictions(rollout, images, sizes, glimpse) for glimpse in range(detector.num_glimpses)]
        placed, probabilities = (tf.stack(parts, axis=2) for parts in zip(*answers))
        return rollout.glimpses, rollout.deltas, placed, probabilities, suppress(*answers[-1], is_proposal)

    graphs = {} if graphs is None else graphs
    batches = evaluation_batches(examples, proposals, batch_size, framing)
    for step, batch in enumerate(tqdm(
            batches, "looking", total=-(-len(examples) // batch_size), unit="batch", disable=quiet or None)):
        if image_id is not None and str(image_id) not in [str(example.id) for example in batch.examples]:
            continue
        if "look" not in graphs:
            graphs["look"] = graph_of(look, batch, framing)
        *parts, found = graphs["look"](batch.images, batch.proposals, stateless_seed(seed, "evaluation", step),
                                     batch.sizes, batch.is_proposal, batch.objects)
        found, *parts = [part.numpy() for part in found], *(part.numpy() for part in parts)
        for row, example in enumerate(batch.examples):
            if image_id is None or str(image_id) == str(example.id):
                *arrays, count = (part[row] for part in found)
                yield Followed(step * batch_size + row, seen(example, framing),
                               *(part[row][batch.is_proposal[row]] for part in parts),
                               Detections(*(array[:count] for array in arrays), count))


def seen(example, framing):
    """An Example as the network sees it."""
    return example if framing is None else framing.place(example, np.zeros([0, 4], np.float32))[0]


def sequences_of_detections(followed, most):
    """GlimpseSequences of the `most` most confident detections, each held against the object that it overlaps most."""
    found, example = followed.detections, followed.example
    overlaps = pairwise_iou(found.boxes, example.boxes)
    return [_sequence(followed, f"{example.id}, detection {place + 1} of {found.counts}", proposal, found.labels[place],
                      overlaps[place].argmax() if overlaps[place].any() else None)
            for place, proposal in enumerate(detected_proposals(followed)[:most])]


def detected_proposals(followed):
    """Which proposal each detection came from, int [D]: the first that gives its box and its score, to the bit.

    Non-maximum suppression copies the boxes and scores that it keeps, but does not say from where.
    """
    def source(box, score, label):
        same = followed.probabilities[:, -1, 1 + label] == score
        same &= (followed.boxes[:, -1, label] == box).all(axis=-1)
        return np.flatnonzero(same)[0]

    found = followed.detections
    return np.array([source(*each) for each in zip(found.boxes, found.scores, found.labels)], int)


def sequences_of_objects(followed, least_iou=0.5):
    """A GlimpseSequence for each object of an image, from the proposal that overlaps it most, for its true class.

    The proposal is chosen by the ground truth alone, so that what the network answered has no say in what is shown.
    Objects that are difficult, or that no proposal overlaps by `least_iou`, are left out.
    """
    example, overlaps = followed.example, pairwise_iou(followed.glimpses[:, 0], followed.example.boxes)
    return [sequence_of_object(followed, place)
            for place in np.flatnonzero((overlaps.max(axis=0, initial=0) >= least_iou) & ~example.difficult)]


def sequence_of_object(followed, place):
    """The GlimpseSequence of the object at `place` (0 .. G-1), as in `sequences_of_objects`, however little its
    proposal overlaps it; None where none overlaps it at all.
    """
    example = followed.example
    overlaps = pairwise_iou(followed.glimpses[:, 0], example.boxes[place:place + 1])[:, 0]
    if not overlaps.any():
        return None
    return _sequence(followed, f"{example.id}, object {place + 1} of {len(example.boxes)}", overlaps.argmax(),
                     example.labels[place], place)


def near_objects(followed, least_iou=0.5):
    """Proposals that overlap an object by `least_iou`: deltas [n, T-1, 4], proposals [n, 4], their objects [n, 4]."""
    proposals, objects = followed.glimpses[:, 0], followed.example.boxes
    overlaps = pairwise_iou(proposals, objects)
    near = overlaps.max(axis=1, initial=0) >= least_iou
    return followed.deltas[near], proposals[near], objects[overlaps[near].argmax(axis=1)] if near.any() else objects[:0]


def pooled_glimpses(detector, image, glimpses):
    """What the controller read: the pooled feature map [T, pooled_height, pooled_width, C] of each glimpse [T, 4]."""
    return detector.pool_sequence(detector.shared_map(image[None]), tf.constant(glimpses)).numpy()


def _sequence(followed, name, proposal, label, place):
    """The sequence of one proposal and one class; `place` is that of its object in the example, or None."""
    boxes, example = followed.boxes[proposal, :, label], followed.example
    truth = (None, None, None) if place is None else (
        example.boxes[place], int(example.labels[place]), pairwise_iou(boxes, example.boxes[place:place + 1])[:, 0])
    return GlimpseSequence(followed.index, name, followed.glimpses[proposal], followed.probabilities[proposal],
                           int(label), boxes, *truth)
