"""The checks that RoI pooling and RoI align share: what is wrong is named, with the shape or value it has."""
import math
import operator
from collections.abc import Callable, Sequence

import tensorflow as tf


def check_features_and_boxes(features: tf.Tensor, boxes: tf.Tensor,
                             dtypes: Sequence[tf.DType]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns features [B, H, W, C] and float32 boxes [B, N, 4] as tensors, or raises as `roi_pool` says."""
    features, boxes = tf.convert_to_tensor(features), tf.convert_to_tensor(boxes)
    if features.dtype not in dtypes:
        raise TypeError(f"features must be one of {[dtype.name for dtype in dtypes]}, not {features.dtype.name}")
    check_boxes_dtype(boxes)
    if not features.shape.is_compatible_with([None] * 4):
        raise ValueError(f"features must be [batch, height, width, channels], but have shape {features.shape}")
    if not boxes.shape.is_compatible_with([None, None, 4]):
        raise ValueError(f"boxes must be [batch, boxes, 4], but have shape {boxes.shape}")
    # Where the rank is known only at run time, these check it then.
    features = tf.ensure_shape(features, [None] * 4)
    boxes = tf.ensure_shape(tf.cast(boxes, tf.float32), [None, None, 4])
    if not features.shape[:1].is_compatible_with(boxes.shape[:1]):
        raise ValueError(
            f"features and boxes must have the same batch size, but have shapes {features.shape} and {boxes.shape}")
    if features.shape[0] is None or boxes.shape[0] is None:
        same_batch = tf.debugging.assert_equal(
            tf.shape(features)[0], tf.shape(boxes)[0], "features and boxes must have the same batch size")
        with tf.control_dependencies([same_batch]):
            boxes = tf.identity(boxes)
    return features, tf.debugging.check_numerics(boxes, f"boxes of shape {boxes.shape} must be finite")


def pooled_of_ragged(pool: Callable, features: tf.Tensor, boxes: tf.RaggedTensor) -> tf.RaggedTensor:
    """What `pool` makes of ragged boxes [B, None, 4], padded with empty ones for it: ragged [B, None, ...]."""
    pooled = pool(features, boxes.to_tensor(shape=[None, None, 4]))
    return tf.RaggedTensor.from_tensor(pooled, lengths=boxes.row_lengths())


def check_boxes_dtype(boxes: tf.Tensor) -> None:
    """Raises TypeError for boxes in half precision, which cannot hold coordinates such as 2049."""
    if boxes.dtype in (tf.float16, tf.bfloat16):
        raise TypeError(f"boxes must be float32, not {boxes.dtype.name}, which cannot hold coordinates such as 2049")


def check_pooled_size(pooled_size: int | Sequence[int]) -> tuple[int, int]:
    """Returns (pooled_height, pooled_width) from a whole number or a pair of them."""
    sizes = tuple(pooled_size) if isinstance(pooled_size, (tuple, list)) else (pooled_size, pooled_size)
    if len(sizes) != 2:
        raise ValueError(f"pooled_size must be a whole number or (height, width), not {pooled_size!r}")
    try:
        sizes = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"pooled_size must hold whole numbers, not {pooled_size!r}") from None
    if min(sizes) < 1:
        raise ValueError(f"pooled_size must be at least 1, not {pooled_size!r}")
    return sizes


def check_spatial_scale(spatial_scale: float) -> float:
    """Returns spatial_scale, map cells per unit of the boxes, as a float."""
    if not isinstance(spatial_scale, (int, float)) or not (0 < spatial_scale < math.inf):
        raise ValueError(f"spatial_scale must be a positive number, not {spatial_scale!r}")
    return float(spatial_scale)


def check_sampling_ratio(sampling_ratio: int) -> int:
    """Returns sampling_ratio, samples along each side of a bin, if it is a whole number of at least 1."""
    if isinstance(sampling_ratio, bool) or not isinstance(sampling_ratio, int) or sampling_ratio < 1:
        raise ValueError(f"sampling_ratio must be a whole number of at least 1, not {sampling_ratio!r}")
    return sampling_ratio
