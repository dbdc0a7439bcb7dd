"""Boxes: delta coding and clipping. Format throughout: float32 xyxy, continuous pixels of the network's input image.

The origin is the top-left corner of the image, so a box that covers the whole of an image 96 wide and 64 high is
[0, 0, 96, 64] and its width is x2 - x1 = 96. The arithmetic is that of `keras.utils.bounding_boxes`.
"""

import math

import tensorflow as tf
from keras.utils import bounding_boxes

DELTAS = ("dx", "dy", "log_width", "log_height")  # the names of the four numbers of a delta
# Fast R-CNN's reference code bounds a predicted size at 1000 / 16 times the proposal's, lest exp overflow.
_LARGEST_LOG_RATIO = math.log(1000 / 16)


def encode(boxes: tf.Tensor, proposals: tf.Tensor) -> tf.Tensor:
    """Deltas that lead from `proposals` to `boxes`: ((x - px) / pw, (y - py) / ph, log(w / pw), log(h / ph)).

    Positions are centres. Source: Girshick et al., R-CNN (2014), appendix C; used by Fast R-CNN and, for glimpses, by
    Hara et al.

    Args:
        boxes: float32 [..., N, 4], xyxy.
        proposals: float32 [..., N, 4], xyxy.

    Returns:
        float32 [..., N, 4].
    """
    return bounding_boxes.encode_box_to_deltas(
        proposals, boxes, anchor_format="xyxy", box_format="xyxy", encoding_format="center_xywh")


def decode(deltas: tf.Tensor, proposals: tf.Tensor) -> tf.Tensor:
    """The boxes that `deltas` lead to from `proposals`: the inverse of `encode`. All float32 [..., 4], xyxy."""
    shift, log_ratio = tf.split(deltas, 2, axis=-1)
    deltas = tf.concat([shift, tf.minimum(log_ratio, _LARGEST_LOG_RATIO)], axis=-1)
    return bounding_boxes.decode_deltas_to_boxes(
        proposals, deltas, anchor_format="xyxy", box_format="xyxy", encoded_format="center_xywh")


def clip(boxes: tf.Tensor, height: tf.Tensor | float, width: tf.Tensor | float) -> tf.Tensor:
    """Boxes [..., 4] xyxy cut to the image; one that lies wholly outside becomes an empty box on its border.

    Args:
        boxes: float [..., 4], xyxy.
        height: number or tensor that broadcasts against [...], such as [B, 1] for boxes [B, N, 4].
        width: likewise.
    """
    limits = tf.cast(tf.stack([width, height, width, height], axis=-1), boxes.dtype)
    return tf.clip_by_value(boxes, tf.zeros_like(limits), limits)


def at_least_a_pixel(boxes: tf.Tensor) -> tf.Tensor:
    """Boxes [..., 4] xyxy of which none is narrower or lower than a pixel, so that deltas from them are finite."""
    return tf.concat([boxes[..., :2], tf.maximum(boxes[..., 2:], boxes[..., :2] + 1.0)], axis=-1)


def paired_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Intersection over union of each box with its partner: two [..., 4] xyxy -> [...]; 0 where both are empty."""
    top_left = tf.maximum(boxes[..., :2], others[..., :2])
    bottom_right = tf.minimum(boxes[..., 2:], others[..., 2:])
    intersection = tf.reduce_prod(tf.maximum(bottom_right - top_left, 0.0), axis=-1)
    areas = [tf.reduce_prod(tf.maximum(b[..., 2:] - b[..., :2], 0.0), axis=-1) for b in (boxes, others)]
    return tf.math.divide_no_nan(intersection, areas[0] + areas[1] - intersection)


def nearest_objects(proposals: tf.Tensor, objects: tf.Tensor) -> tf.Tensor:
    """The true box that each proposal overlaps most, by 0.5 or more, else the proposal.

    [B, N, 4], [B, G, 4] -> [B, N, 4].
    """
    objects = tf.pad(objects, [[0, 0], [1, 0], [0, 0]])  # one at least, empty
    overlaps = paired_iou(proposals[:, :, None], objects[:, None])
    nearest = tf.gather(objects, tf.argmax(overlaps, axis=-1), batch_dims=1)
    return tf.where((tf.reduce_max(overlaps, axis=-1) >= 0.5)[..., None], nearest, proposals)
