"""From what the heads say of every proposal to detections: non-maximum suppression."""

from typing import NamedTuple

import tensorflow as tf


class Detections(NamedTuple):
    """The most confident boxes of a batch, at most D an image, in order of confidence; `counts` [B] says how many."""

    boxes: tf.Tensor  # [B, D, 4], xyxy pixels
    scores: tf.Tensor  # [B, D]
    labels: tf.Tensor  # [B, D], int32, 0 .. K-1
    counts: tf.Tensor  # int32 [B]


def suppress(placed: tf.Tensor, probabilities: tf.Tensor, is_proposal: tf.Tensor | None = None,
             score_threshold: float = 0.01, nms_iou: float = 0.3, most_detections: int = 100) -> Detections:
    """Non-maximum suppression, a class at a time, of what `GlimpseDetector.predictions` gives: Detections.

    Args:
        placed, probabilities: boxes [B, N, K, 4] and [B, N, K + 1].
        is_proposal: bool [B, N], False for boxes that only fill up the list of an image and are never detected.
        score_threshold: a box of a lower score is dropped.
        nms_iou, most_detections: those of Fast R-CNN.
    """
    scores = probabilities[..., 1:]
    if is_proposal is not None:
        scores = tf.where(is_proposal[:, :, None], scores, -1.0)
    # The op asks for yxyx; overlaps, and so its answer, are the same with the axes exchanged.
    kept = tf.image.combined_non_max_suppression(
        placed, scores, most_detections, most_detections,
        iou_threshold=nms_iou, score_threshold=score_threshold, clip_boxes=False)
    return Detections(kept.nmsed_boxes, kept.nmsed_scores, tf.cast(kept.nmsed_classes, tf.int32),
                      kept.valid_detections)
