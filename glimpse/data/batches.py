"""Examples -> batches: Fast R-CNN's sampling of RoIs for training, all proposals for evaluation."""

import gin
import numpy as np
import tensorflow as tf

from glimpse.errors import real_number, whole_number
from glimpse.overlaps import pairwise_iou
from glimpse.randomness import generator


@gin.register
class RoISampling:
    """Fast R-CNN's choice of the RoIs that a training image contributes (Girshick 2015, section 2.3).

    Args:
      rois_per_image: R, foreground and background together.
      foreground_fraction: at most this share of R is foreground; these `foreground_slots` come first.
      foreground_iou: a proposal is foreground where its overlap with an object is at least this.
      background_iou: (lowest, highest) overlap of background proposals, the highest excluded. Fast R-CNN takes
        [0.1, 0.5), a heuristic hard-example mining for proposals that already look like objects; windows of a grid
        need [0, 0.5), lest the network never sees an empty one.
    """

    def __init__(self, rois_per_image=64, foreground_fraction=0.25, foreground_iou=0.5, background_iou=(0.0, 0.5)):
        self.rois_per_image = whole_number("RoISampling.rois_per_image", rois_per_image)
        fraction = real_number("RoISampling.foreground_fraction", foreground_fraction, minimum=0, maximum=1)
        self.foreground_slots = round(fraction * rois_per_image)
        self.foreground_iou = real_number("RoISampling.foreground_iou", foreground_iou, minimum=0, maximum=1)
        self.background_iou = tuple(
            real_number("RoISampling.background_iou", iou, minimum=0, maximum=1) for iou in background_iou)

    def __call__(self, proposals, boxes, labels, random):
        """Samples one image's RoIs; the ground-truth boxes stand among the candidates, as in Fast R-CNN.

        Args: proposals [N, 4], boxes [G, 4] (both float32 xyxy), labels int [G] in 0..K-1, random: NumPy generator.
        Returns: rois float32 [R, 4]; classes int32 [R], 0 for background and 1 + label for foreground; targets
          float32 [R, 4], the box of the object that a RoI overlaps most, the RoI itself for background.
        """
        candidates = np.concatenate([boxes, proposals]).astype(np.float32)
        overlaps = pairwise_iou(candidates, boxes)
        best = overlaps.max(axis=1, initial=0)
        foreground, = np.nonzero(best >= self.foreground_iou) if len(boxes) else (np.empty(0, int),)
        foreground = random.permutation(foreground)[:self.foreground_slots]
        low, high = self.background_iou
        background, = np.nonzero((best >= low) & (best < high))
        if not len(background):  # such as an image that one object fills: what overlaps least is background
            background = np.array([best.argmin()])
        wanted = self.rois_per_image - len(foreground)
        background = random.choice(background, wanted, replace=len(background) < wanted)

        rois = candidates[np.concatenate([foreground, background])]
        classes = np.zeros(self.rois_per_image, np.int32)
        targets = rois.copy()
        if len(foreground):
            objects = overlaps[foreground].argmax(axis=1)
            classes[:len(foreground)] = 1 + labels[objects]
            targets[:len(foreground)] = boxes[objects]
        return rois, classes, targets


def training_batches(examples, proposals, sampling, batch_size, seed, first_step, last_step):
    """The batches of the steps first_step .. last_step - 1, each a function of (seed, step) alone.

    Every epoch goes once through `examples` in an order of its own. Images of one batch must have one size.

    Returns: a tf.data.Dataset of dicts: images uint8 [B, H, W, C], rois float32 [B, R, 4], classes int32 [B, R]
      (0 = background), targets float32 [B, R, 4].
    """
    batch_size = whole_number("batch_size", batch_size)
    order = _Order(len(examples), seed)

    def batch(step):
        chosen = [examples[order(place)] for place in range(step * batch_size, (step + 1) * batch_size)]
        random = generator(seed, "rois", step)
        rois = [sampling(proposals(e.image), e.boxes, e.labels, random) for e in chosen]
        return {"images": np.stack([e.image for e in chosen]),
                **{name: np.stack(part) for name, part in zip(("rois", "classes", "targets"), zip(*rois))}}

    first = batch(first_step)

    def load(step):
        parts = tf.numpy_function(lambda step: list(batch(int(step)).values()), [step], [v.dtype for v in first.values()])
        return {name: tf.ensure_shape(part, value.shape) for part, (name, value) in zip(parts, first.items())}

    # Not Dataset.from_generator: it makes the C library give freed memory back at once, which slows every step.
    return tf.data.Dataset.range(first_step, last_step).map(load).prefetch(2)


class _Order:
    """Place in the stream of examples -> index of an example: a fresh permutation each epoch, kept while it lasts."""

    def __init__(self, size, seed):
        self.size, self.seed, self.epoch, self.permutation = size, seed, None, None

    def __call__(self, place):
        epoch, position = divmod(place, self.size)
        if epoch != self.epoch:
            self.epoch, self.permutation = epoch, generator(self.seed, "order", epoch).permutation(self.size)
        return int(self.permutation[position])


def evaluation_batches(examples, proposals, batch_size):
    """All examples in order with all their proposals: yields (list of Example, images [B, H, W, C], boxes [B, N, 4])."""
    for first in range(0, len(examples), batch_size):
        chosen = [examples[index] for index in range(first, min(first + batch_size, len(examples)))]
        yield chosen, np.stack([e.image for e in chosen]), np.stack([proposals(e.image) for e in chosen])
