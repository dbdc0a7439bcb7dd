"""Proposals: where a detector looks first."""

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
        self.shapes = [(size / ratio**0.5, size * ratio**0.5) for size in sizes for ratio in aspect_ratios]
        self.stride = real_number("WindowGrid.stride", stride, minimum=0.05, maximum=1)
        self.longest_side = None if longest_side is None else whole_number("WindowGrid.longest_side", longest_side)

    def __call__(self, image, id=None):
        """Proposals of an image [H, W, C], whatever its id: float32 [N, 4], xyxy in its pixels."""
        windows, scale = [], 1 if self.longest_side is None else max(image.shape[:2]) / self.longest_side
        for height, width in self.shapes:
            height, width = min(scale * height, image.shape[0]), min(scale * width, image.shape[1])
            tops = _places(image.shape[0], height, self.stride)
            lefts = _places(image.shape[1], width, self.stride)
            top, left = (axis.reshape(-1) for axis in np.meshgrid(tops, lefts, indexing="ij"))
            windows.append(np.stack([left, top, left + width, top + height], axis=-1))
        return np.concatenate(windows).astype(np.float32)


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
    best = []  # an array [counts, G] for each image
    for example in examples:
        overlaps = pairwise_iou(proposals(example.image, example.id), example.boxes[~example.difficult])
        best.append(np.array([overlaps[:count].max(axis=0, initial=0) for count in counts]))
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
