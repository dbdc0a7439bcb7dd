"""Intersection over union in NumPy, for the data pipeline and the evaluation, which need no TensorFlow."""

import numpy as np


def pairwise_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every other.

    `keras.utils.bounding_boxes.compute_iou` says the same of tensors; on the few boxes of one image it would spend its
    time on the calls of TensorFlow operations.

    Args:
        boxes: float [N, 4], xyxy in continuous pixels (width = x2 - x1).
        others: float [M, 4], likewise.

    Returns:
        [N, M] float64 in 0..1; 0 where both boxes have no area.
    """
    boxes, others = np.asarray(boxes, np.float64)[:, None], np.asarray(others, np.float64)[None]
    intersection = _area(np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:]))
    union = _area(boxes[..., :2], boxes[..., 2:]) + _area(others[..., :2], others[..., 2:]) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def covered(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The largest fraction of each box's area that one of `others` covers: [N, 4] and [M, 4] xyxy -> float64 [N]."""
    boxes, others = np.asarray(boxes, np.float64)[:, None], np.asarray(others, np.float64)[None]
    intersection = _area(np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:]))
    areas = _area(boxes[..., :2], boxes[..., 2:]) + np.zeros_like(intersection)
    return np.divide(intersection, areas, out=np.zeros_like(intersection), where=areas > 0).max(axis=1, initial=0)


def _area(top_left, bottom_right):
    return np.prod(np.maximum(bottom_right - top_left, 0.0), axis=-1)
