"""Bilinear interpolation along one axis of a map, and means of samples as products with matrices of it.

The samples of all bins of a box are a matrix down, of weights bins x lines, and one across, bins x columns, and their
means are two matrix products with the whole map.
"""
import tensorflow as tf


def neighbours(place: tf.Tensor, cells: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The two cells around places along one axis, and how much each counts.

    Args:
        place: float32 [...], in cells; k is the centre of cell k.
        cells: number of cells along the axis.

    Returns:
        cell: int32 [..., 2].
        weight: float32 [..., 2], both 0 for a place more than one cell outside the outermost centres.
        slope: float32 [...], what the weight of the second cell gains, and that of the first loses, for each cell that
            the place moves on: 1, or 0 where the place is outside the outermost centres.
    """
    last = tf.cast(cells - 1, tf.float32)
    counts = (place >= -1.0) & (place <= last + 1.0)
    slope = tf.cast((place >= 0.0) & (place <= last), tf.float32)
    place = tf.clip_by_value(place, 0.0, last)
    before = tf.floor(place)
    fraction = place - before
    weight = tf.where(counts[..., None], tf.stack([1.0 - fraction, fraction], axis=-1), 0.0)
    before = tf.cast(before, tf.int32)
    return tf.stack([before, tf.minimum(before + 1, cells - 1)], axis=-1), weight, slope


def means(features: tf.Tensor, down: tf.Tensor, across: tf.Tensor) -> tf.Tensor:
    """The mean of the samples of every bin, by products with the whole map.

    Args:
        features: float32 or float64 [B, H, W, C].
        down, across: float32 [B, N, pooled_height, S] and [B, N, pooled_width, S], the places of a bin's samples, in
            cells.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `features`.
    """
    batch, height, width, channels = _sizes(features)
    count, pooled_height = tf.shape(down)[1], down.shape[2]
    # Each product is shaped so that nothing between them is transposed: tf.einsum transposes, and takes 2.5 times as
    # long.
    lines = tf.matmul(tf.reshape(_matrix(down, height, features.dtype), [batch, count * pooled_height, height]),
                      tf.reshape(features, [batch, height, width * channels]))
    lines = tf.reshape(lines, [batch, count, pooled_height, width, channels])
    # The same matrix across for every line of bins.
    return tf.matmul(_matrix(across, width, features.dtype)[:, :, None], lines)


def spread(upstream: tf.Tensor, down: tf.Tensor, across: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """The gradient of `means` into the features, from that of the means, by the same products transposed."""
    batch, height, width, channels = _sizes(features)
    count, pooled_height = tf.shape(down)[1], down.shape[2]
    lines = tf.matmul(_matrix(across, width, features.dtype)[:, :, None], upstream, transpose_a=True)
    cells = tf.matmul(tf.reshape(_matrix(down, height, features.dtype), [batch, count * pooled_height, height]),
                      tf.reshape(lines, [batch, count * pooled_height, width * channels]), transpose_a=True)
    return tf.reshape(cells, [batch, height, width, channels])


def _matrix(place, cells, dtype):
    """[B, N, bins, cells]: the weight of every cell in the mean of the samples of every bin, along one axis."""
    cell, weight, _ = neighbours(place, cells)
    weights = tf.one_hot(cell[..., 0], cells) * weight[..., :1] + tf.one_hot(cell[..., 1], cells) * weight[..., 1:]
    return tf.cast(tf.reduce_mean(weights, axis=-2), dtype)


def _sizes(features):
    return [known or size for known, size in zip(features.shape, tf.unstack(tf.shape(features)))]
