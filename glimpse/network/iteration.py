"""Iterative localisation at test time: a trained network starts again from the boxes that it has just found.

Source: Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN model", 2015,
section 5, without its voting of boxes.
"""

import tensorflow as tf

from glimpse.geometry import boxes
from glimpse.network.detector import GlimpseDetector, image_limits
from glimpse.network.suppression import Detections, suppress


def detect_again(detector: GlimpseDetector, images: tf.Tensor, proposals: tf.Tensor, seed: tf.Tensor, iterations: int,
                 sizes: tf.Tensor | None = None, is_proposal: tf.Tensor | None = None) -> tuple[Detections, tf.Tensor]:
    """GlimpseDetector.detect, then again from what each proposal has become for its most probable object class.

    Args:
        detector: a GlimpseDetector, of one glimpse as it is used in the source.
        images, proposals, seed, sizes, is_proposal: as in its `detect`.
        iterations: how often it starts again.

    Returns:
        Detections of the last time; the number of glimpses of each proposal, int32 [B, N].
    """
    feature_map = detector.shared_map(images)
    for _ in range(iterations):
        rollout = detector(images, proposals, seed, sizes=sizes, feature_map=feature_map)
        placed, probabilities = detector.predictions(rollout, images, sizes)
        found = tf.gather(placed, tf.argmax(probabilities[..., 1:], axis=-1), batch_dims=2)
        proposals = boxes.clip(boxes.at_least_a_pixel(found), *image_limits(images, sizes))
    rollout = detector(images, proposals, seed, sizes=sizes, feature_map=feature_map)
    counts = tf.fill(tf.shape(proposals)[:2], detector.num_glimpses * (iterations + 1))
    return suppress(*detector.predictions(rollout, images, sizes), is_proposal), counts
