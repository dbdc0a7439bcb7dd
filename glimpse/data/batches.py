"""Examples -> batches: Fast R-CNN's sampling of RoIs for training, all proposals for evaluation."""

import functools
from typing import NamedTuple

import gin
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, real_number, whole_number
from glimpse.geometry.overlaps import covered, pairwise_iou
from glimpse.randomness import generator

MOST_IN_DIFFICULT = 0.7


@gin.register
class RoISampling:
    """Fast R-CNN's choice of the RoIs that a training image contributes (Girshick 2015, section 2.3).

    Args:
        rois_per_image: R, foreground and background together.
        foreground_fraction: at most this fraction of R is foreground; these `foreground_slots` come first.
        foreground_iou: a proposal is foreground where its overlap with an object is at least this.
        background_iou: (lowest, highest) overlap of background proposals, the highest excluded. Fast R-CNN takes
            [0.1, 0.5), a heuristic hard-example mining for proposals that already look like objects; windows of a grid
            need [0, 0.5), lest the network never sees an empty one.

    Difficult objects, and the crowds of COCO among them, are no targets; a proposal that lies in one by more than
    `MOST_IN_DIFFICULT` of its own area is no background either, as in Fast R-CNN's code for COCO.
    """

    def __init__(self, rois_per_image=64, foreground_fraction=0.25, foreground_iou=0.5, background_iou=(0.0, 0.5)):
        self.rois_per_image = whole_number("RoISampling.rois_per_image", rois_per_image)
        fraction = real_number("RoISampling.foreground_fraction", foreground_fraction, minimum=0, maximum=1)
        self.foreground_slots = round(fraction * rois_per_image)
        self.foreground_iou = real_number("RoISampling.foreground_iou", foreground_iou, minimum=0, maximum=1)
        if not isinstance(background_iou, (list, tuple)) or len(background_iou) != 2:
            raise GlimpseError(f"RoISampling.background_iou must be a pair (lowest, highest), got {background_iou!r}")
        self.background_iou = tuple(
            real_number("RoISampling.background_iou", iou, minimum=0, maximum=1) for iou in background_iou)
        if not self.background_iou[0] < self.background_iou[1]:
            raise GlimpseError(f"RoISampling.background_iou must rise, got {background_iou!r}")

    def __call__(self, proposals, boxes, labels, random, difficult=None):
        """Samples one image's RoIs; the ground-truth boxes stand among the candidates, as in Fast R-CNN.

        Args:
            proposals: float32 [N, 4], xyxy.
            boxes: float32 [G, 4], xyxy.
            labels: int [G] in 0..K-1.
            random: NumPy generator.
            difficult: bool [G]; None where none is.

        Returns:
            rois float32 [R, 4]; classes int32 [R], 0 for background and 1 + label for foreground; targets float32 [R,
            4], the box of the object that a RoI overlaps most, the RoI itself for background.
        """
        if difficult is not None and difficult.any():
            proposals = proposals[covered(proposals, boxes[difficult]) <= MOST_IN_DIFFICULT]
            boxes, labels = boxes[~difficult], labels[~difficult]
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


def training_batches(examples, proposals, sampling, batch_size, seed, first_step, last_step, framing=None,
                     features=None, rows=None):
    """The batches of the steps first_step .. last_step - 1, each a function of (seed, step) alone.

    Every epoch goes once through `examples` in an order of its own. Without a `Framing`, images must have one size.
    Several batches are made at a time, in threads: most of that is decoding and hashing, outside Python's lock.

    Args:
        examples: data set, see `glimpse.data.example`.
        proposals: callable, (image, id) -> [N, 4].
        sampling: RoISampling.
        batch_size: images to a step.
        seed: of the run.
        first_step: the first step of the batches.
        last_step: the step after the last one.
        framing: Framing; None where all images are of one size.
        features: FeatureCache, whose maps stand in place of the images; None leaves them to the network. An image of
            which a data set tells the `stamp` is read, and looked up by its content, when it is first needed; then no
            more until its stamp changes.
        rows: a range of the images of a batch that are kept, those of one process of several; None for all. RoIs are
            drawn for the others too, so that these draw as in the whole batch, but their pixels are not made.

    Returns:
        a tf.data.Dataset of dicts: images uint8 [B, H, W, C] or, of `features`, feature_map float32 [B, h, w, D]; sizes
        int32 [B, 2] (height, width without padding), rois float32 [B, R, 4], classes int32 [B, R] (0 = background),
        targets float32 [B, R, 4]; objects float32 [B, G, 4], the true boxes that are not difficult, and their
        object_classes int32 [B, G], 1 .. K, both filled up with zeros.
    """
    batch_size = whole_number("batch_size", batch_size)

    @functools.lru_cache(maxsize=2)  # batches of two epochs may be made at a time
    def order(epoch):
        return generator(seed, "order", epoch).permutation(len(examples))

    rows = range(batch_size) if rows is None else rows
    kept = {}  # (index, flip) -> (the stamp of the image, what `placed` says of it)

    def placed(index, drawn=True, flip=False, **jitter):
        """An example without its image, its proposals, (height, width), and the image or the file of its map.

        The last is of no use unless `drawn`.
        """
        stamp = examples.stamp(index) if features and hasattr(examples, "stamp") else None
        known, found = kept.get((index, flip), (None, None))
        if stamp is not None and known == stamp and (found[3].exists() or not drawn):
            return found
        example = examples[index]
        proposed = proposals(example.image, example.id)
        if framing is not None:
            example, proposed, _ = framing.place(example, proposed, flip, drawn=drawn, **jitter)
        image = example.image
        if features and drawn:
            image = features.path(_stack([image], framing))
        found = example._replace(image=None), proposed, example.image.shape[:2], image
        if stamp is not None and drawn:
            kept[index, flip] = stamp, found
        return found

    def batch(step):
        places = (divmod(place, len(examples)) for place in range(step * batch_size, (step + 1) * batch_size))
        indices = [int(order(epoch)[position]) for epoch, position in places]
        variations = [{}] * batch_size if framing is None else framing.variations(batch_size, seed, step)
        chosen, proposed, sizes, shown = zip(*(
            placed(index, row in rows, **varied) for row, (index, varied) in enumerate(zip(indices, variations))))
        _check_sizes(chosen, sizes, framing)
        random = generator(seed, "rois", step)
        rois = [sampling(p, e.boxes, e.labels, random, e.difficult) for e, p in zip(chosen, proposed)]
        objects, object_classes = true_boxes(chosen)
        shown, here = [shown[row] for row in rows], slice(rows.start, rows.stop)
        return {**({"feature_map": features.load(shown)} if features else {"images": _stack(shown, framing)}),
                "sizes": np.array(sizes, np.int32)[here], "objects": objects[here],
                "object_classes": object_classes[here],
                **{name: np.stack(part)[here] for name, part in zip(("rois", "classes", "targets"), zip(*rois))}}

    first = batch(first_step)
    shapes = {name: value.shape for name, value in first.items()}
    shapes |= {"objects": (len(rows), None, 4), "object_classes": (len(rows), None)}
    if not features and framing is not None and framing.canvas is None:
        shapes["images"] = (len(rows), None, None, shapes["images"][3])

    def load(step):
        # Were it stateful, TensorFlow would make one batch at a time and none ahead of its step, so as to be
        # deterministic.
        parts = tf.numpy_function(lambda step: list(batch(int(step)).values()), [step],
                                  [value.dtype for value in first.values()], stateful=False)
        return {name: tf.ensure_shape(part, shapes[name]) for part, name in zip(parts, first)}

    # Not Dataset.from_generator: it makes the C library give freed memory back at once, which slows every step.
    return tf.data.Dataset.range(first_step, last_step).map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _check_sizes(examples, sizes, framing):
    """Raises GlimpseError where the images of a batch differ in size, and nothing frames them."""
    other = next((place for place, size in enumerate(sizes) if size != sizes[0]), None)
    if framing is None and other:
        raise GlimpseError(f"images {examples[0].id} and {examples[other].id} of one batch differ in size; "
                           "set Experiment.framing = @Framing() to scale and pad them")


def _stack(images, framing):
    """The images of a batch, uint8 [B, H, W, C]."""
    return np.stack(images) if framing is None else framing.stack(images)


def true_boxes(examples):
    """The boxes of a batch that are not difficult, filled up with zeros, and 1 + their labels, 0 where it is filled up.

    Returns:
        float32 [B, G, 4], int32 [B, G].
    """
    counted = [(e.boxes[~e.difficult], 1 + e.labels[~e.difficult]) for e in examples]
    most = max(len(labels) for _, labels in counted)
    objects, classes = np.zeros([len(examples), most, 4], np.float32), np.zeros([len(examples), most], np.int32)
    for row, (boxes, labels) in enumerate(counted):
        objects[row, :len(boxes)], classes[row, :len(labels)] = boxes, labels
    return objects, classes


def _room_for(count):
    """The smallest number of at least `count` that is a power of two or three quarters of one."""
    power = 1 << max(int(count) - 1, 3).bit_length()
    return power * 3 // 4 if count <= power * 3 // 4 else power


class EvaluationBatch(NamedTuple):
    """Images with all their proposals.

    examples: list of Example as the data set has them. All else but `unscaled` is in pixels of `images`: an example's
    boxes times its row of `scales`.
    """

    examples: list
    images: np.ndarray  # uint8 [B, H, W, C]
    sizes: np.ndarray  # int32 [B, 2], height and width without padding
    proposals: np.ndarray  # float32 [B, N, 4]
    is_proposal: np.ndarray  # bool [B, N], False where an image has fewer proposals than others
    objects: np.ndarray  # float32 [B, G, 4], see `true_boxes`
    scales: np.ndarray  # float32 [B, 4]
    unscaled: list  # of the proposals [N, 4] of each image in pixels of its example, as they were given


def evaluation_batches(examples, proposals, batch_size, framing=None):
    """All examples in order: yields EvaluationBatch.

    A list of proposals that is longer or shorter than the first is filled up to one of few lengths: the detector is
    compiled for a length.
    """
    length = None
    for first in range(0, len(examples), batch_size):
        chosen = [examples[index] for index in range(first, min(first + batch_size, len(examples)))]
        unscaled = [proposals(e.image, e.id) for e in chosen]
        placed, proposed, scales = chosen, unscaled, [np.ones(4, np.float32)] * len(chosen)
        if framing is not None:
            placed, proposed, scales = zip(*map(framing.place, chosen, unscaled))
        images, sizes = [e.image for e in placed], [e.image.shape[:2] for e in placed]
        _check_sizes(placed, sizes, framing)
        counts = np.array([len(p) for p in proposed])
        length = length or counts.max()
        padded = np.zeros([len(chosen), length if counts.max() == length else _room_for(counts.max()), 4], np.float32)
        for row, p in zip(padded, proposed):
            row[:len(p)] = p
        yield EvaluationBatch(chosen, _stack(images, framing), np.array(sizes, np.int32), padded,
                              np.arange(padded.shape[1]) < counts[:, None], true_boxes(placed)[0], np.stack(scales),
                              unscaled)
