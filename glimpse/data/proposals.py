"""Proposals: where a detector looks first."""

import functools

import gin
import numpy as np

from glimpse.errors import GlimpseError, real_number, whole_number
from glimpse.geometry.overlaps import pairwise_iou

# Of which numbers of proposals, and at which overlaps, their recall is told; None stands for all.
RECALL_COUNTS, RECALL_IOUS = (10, 30, 100, 300, 1000, 2000, None), (0.5, 0.7)


@gin.register
class WindowGrid:
    """A multi-scale grid of windows: the same proposals for every image of a size, whatever it shows.

    Windows of one size and aspect ratio stand `stride` of their own width and height apart, from border to border.

    Args:
        sizes: square roots of the windows' areas, in pixels.
        aspect_ratios: width / height.
        stride: step between neighbours as a fraction of the window.
        longest_side: of the image that `sizes` are in pixels of; windows grow with a larger image. None: every image.
    """

    def __init__(self, sizes=(13, 20, 31), aspect_ratios=(0.5, 0.9), stride=0.45, longest_side=None):
        for name, values in (("sizes", sizes), ("aspect_ratios", aspect_ratios)):
            if not isinstance(values, (tuple, list)) or not values or min(values) <= 0:
                raise GlimpseError(f"WindowGrid.{name} must be a list of numbers above 0, got {values!r}")
        self.shapes = tuple((size / ratio**0.5, size * ratio**0.5) for size in sizes for ratio in aspect_ratios)
        self.stride = real_number("WindowGrid.stride", stride, minimum=0.05, maximum=1)
        self.longest_side = None if longest_side is None else whole_number("WindowGrid.longest_side", longest_side)

    def __call__(self, image, id=None):
        """Proposals of an image [H, W, C], whatever its id: float32 [N, 4], xyxy in its pixels; read-only."""
        return _grid(self.shapes, self.stride, self.longest_side, *image.shape[:2])


@functools.lru_cache(maxsize=32)  # sizes of images; a set of photographs has few
def _grid(shapes, stride, longest_side, image_height, image_width):
    windows, scale = [], 1 if longest_side is None else max(image_height, image_width) / longest_side
    for height, width in shapes:
        height, width = min(scale * height, image_height), min(scale * width, image_width)
        top, left = (axis.reshape(-1) for axis in np.meshgrid(
            _places(image_height, height, stride), _places(image_width, width, stride), indexing="ij"))
        windows.append(np.stack([left, top, left + width, top + height], axis=-1))
    windows = np.concatenate(windows).astype(np.float32)
    windows.flags.writeable = False  # they are shared by all images of a size
    return windows


def _places(length, window, stride):
    """Evenly spaced starts of a window from 0 to length - window, at most stride * window apart."""
    return np.linspace(0, length - window, 1 + int(np.ceil((length - window) / (stride * window))))


def recall(proposals, examples, iou_thresholds, counts=(None,)):
    """Fraction of the objects (difficult ones left out) that one of an image's first proposals overlaps.

    It bounds the recall, and so the AP, that any detector can reach before its box regression moves a proposal.

    Args:
        proposals: callable (image, id) -> [N, 4].
        examples: iterable of Example.
        iou_thresholds: least overlaps.
        counts: of the first how many proposals; None for all.

    Returns:
        float [counts, thresholds] in 0..1; 0 where there is no object.
    """
    return recall_of([best_overlaps(proposals(example.image, example.id), example, counts) for example in examples],
                     iou_thresholds, counts)


def best_overlaps(proposals, example, counts=(None,)):
    """How far each object of an image that is not difficult is overlapped by the first of its proposals [N, 4].

    Returns:
        float [counts, G].
    """
    overlaps = pairwise_iou(proposals, example.boxes[~example.difficult])
    return np.array([overlaps[:count].max(axis=0, initial=0) for count in counts])


def recall_of(best, iou_thresholds, counts=(None,)):
    """What `recall` says, from the `best_overlaps` of every image."""
    best = np.concatenate([np.empty([len(counts), 0]), *best], axis=1)
    found = (best[:, None] >= np.asarray(iou_thresholds)[:, None]).sum(axis=2)
    return found / max(best.shape[1], 1)


def measured_recall(proposals, examples):
    """`recall` at RECALL_IOUS over the RECALL_COUNTS that are less than the most proposals of an image, and all.

    Returns:
        {"recall": float [counts, thresholds], "counts": as in RECALL_COUNTS, "numbers": the same with the mean number
        for all, "mean", "least", "most": numbers of proposals an image}.
    """
    found = []

    def counted(image, id):
        boxes = proposals(image, id)
        found.append(len(boxes))
        return boxes

    recalls, mean = recall(counted, examples, RECALL_IOUS, RECALL_COUNTS), float(np.mean(found or [0]))
    kept = [place for place, count in enumerate(RECALL_COUNTS) if count is None or count < max(found, default=0)]
    counts = [RECALL_COUNTS[place] for place in kept]
    numbers = [mean if count is None else count for count in counts]
    return {"recall": recalls[kept], "counts": counts, "numbers": numbers, "mean": mean,
            "least": min(found, default=0), "most": max(found, default=0)}
