"""Proposals: where a detector looks first."""

import gin
import numpy as np

from glimpse.errors import GlimpseError, real_number
from glimpse.overlaps import pairwise_iou


@gin.register
class WindowGrid:
    """A multi-scale grid of windows: the same proposals for every image of a size, whatever it shows.

    Windows of one size and aspect ratio stand `stride` of their own width and height apart, from border to border.

    Args:
      sizes: square roots of the windows' areas, in pixels.
      aspect_ratios: width / height.
      stride: step between neighbours as a share of the window.
    """

    def __init__(self, sizes=(13, 20, 31), aspect_ratios=(0.5, 0.9), stride=0.45):
        for name, values in (("sizes", sizes), ("aspect_ratios", aspect_ratios)):
            if not isinstance(values, (tuple, list)) or not values or min(values) <= 0:
                raise GlimpseError(f"WindowGrid.{name} must be a list of numbers above 0, got {values!r}")
        self.shapes = [(size / ratio**0.5, size * ratio**0.5) for size in sizes for ratio in aspect_ratios]
        self.stride = real_number("WindowGrid.stride", stride, minimum=0.05, maximum=1)

    def __call__(self, image, id=None):
        """Proposals of an image [H, W, C], whatever its id: float32 [N, 4], xyxy in its pixels."""
        windows = []
        for height, width in self.shapes:
            height, width = min(height, image.shape[0]), min(width, image.shape[1])
            tops = _places(image.shape[0], height, self.stride)
            lefts = _places(image.shape[1], width, self.stride)
            top, left = (axis.reshape(-1) for axis in np.meshgrid(tops, lefts, indexing="ij"))
            windows.append(np.stack([left, top, left + width, top + height], axis=-1))
        return np.concatenate(windows).astype(np.float32)


def _places(length, window, stride):
    """Evenly spaced starts of a window from 0 to length - window, at most stride * window apart."""
    return np.linspace(0, length - window, 1 + int(np.ceil((length - window) / (stride * window))))


def recall(proposals, examples, iou_threshold):
    """Share of the objects (difficult ones left out) that some proposal overlaps by at least `iou_threshold`.

    proposals: callable (image, id) -> [N, 4]. It bounds the recall, and so the AP, that any detector can reach before
    its box regression moves a proposal.
    """
    found = total = 0
    for example in examples:
        boxes = example.boxes[~example.difficult]
        best = pairwise_iou(proposals(example.image, example.id), boxes).max(axis=0, initial=0)
        found += int((best >= iou_threshold).sum())
        total += len(boxes)
    return found / max(total, 1)
