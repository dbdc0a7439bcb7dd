"""Deformable RoI pooling, separable: one glimpse whose rows and columns a layer displaces by what it has pooled first.

A rival that tells a sequence of glimpses from freer sampling within one.
"""

import keras
import tensorflow as tf

from glimpse.ops import roi_align

# Of the displacements, in sides of the box. At 0.1, Dai et al.'s gamma, one seed of five did not train; of 0.01 and
# 0.03, the latter was better on validation scenes (docs/results/rivals.md).
STRENGTH = 0.03
SAMPLES = 2  # to each side of a bin, as in RoI align


class DeformablePooling(keras.layers.Layer):
    """RoI align, then RoI align again with each row and each column of bins displaced by what the first has seen.

    The layer that predicts the displacements starts at 0, so that an untrained network is one of plain RoI align. In
    the source, each bin is displaced by itself; here a row or a column moves as one, so that pooling is two products.

    Args:
        pooled_size: (height, width) in bins.
        stride: pixels of the image to a cell of the feature map.

    Source: Dai et al., "Deformable Convolutional Networks", 2017, section 2.2.
    """

    def __init__(self, pooled_size, stride, **kwargs):
        super().__init__(name="deformable_pooling", **kwargs)
        self.pooled_size, self.stride = pooled_size, stride
        self.displacements = keras.layers.Dense(sum(pooled_size), name="displacements", kernel_initializer="zeros")

    def call(self, features: tf.Tensor, glimpses: tf.Tensor) -> tf.Tensor:
        """features [B, H, W, C], glimpses [B, M, 4], xyxy pixels -> [B, M, pooled_height, pooled_width, C]."""
        height, width = self.pooled_size
        first = roi_align(features, glimpses, self.pooled_size, spatial_scale=1 / self.stride)
        vectors = tf.reshape(first, [tf.shape(glimpses)[0], tf.shape(glimpses)[1], height * width * features.shape[-1]])
        rows, columns = tf.split(STRENGTH * tf.cast(self.displacements(vectors), tf.float32), [height, width], axis=-1)
        return displaced_roi_align(features, glimpses / self.stride, rows, columns)


def displaced_roi_align(features: tf.Tensor, boxes: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """RoI align whose rows and columns of bins are displaced; smooth in the displacements.

    Args:
        features: float32 [B, H, W, C].
        boxes: float32 [B, N, 4], xyxy in cells of the map, cell k centred at k + 0.5.
        rows: float32 [B, N, P], how far each row of bins moves down, in heights of the box.
        columns: float32 [B, N, Q], how far each column moves right, in widths of the box.
    Returns: [B, N, P, Q, C].
    """
    x1, y1, x2, y2 = tf.unstack(boxes - 0.5, axis=-1)
    _, height, width, channels = tf.unstack(tf.shape(features))
    down, across = _interpolation(y1, y2, rows, height), _interpolation(x1, x2, columns, width)
    batch, count, bins = tf.shape(boxes)[0], tf.shape(boxes)[1], rows.shape[-1]
    lines = tf.matmul(tf.reshape(down, [batch, count * bins, height]),
                      tf.reshape(features, [batch, height, width * channels]))
    lines = tf.reshape(lines, [batch, count, bins, width, channels])
    pooled = tf.matmul(across[:, :, None], lines)
    return tf.ensure_shape(pooled, [None, None, bins, columns.shape[-1], features.shape[-1]])


def _interpolation(start, end, displacements, cells):
    """[B, N, bins, cells]: the weight of every cell in the mean of the samples of every bin, along one axis."""
    bins, size = displacements.shape[-1], (end - start)[..., None]
    # Of the samples, in sizes of the box.
    middles = (tf.range(bins * SAMPLES, dtype=tf.float32) + 0.5) / (bins * SAMPLES)
    places = start[..., None] + size * (middles + tf.repeat(displacements, SAMPLES, axis=-1))
    places = tf.clip_by_value(places, 0.0, tf.cast(cells - 1, tf.float32))
    weights = tf.nn.relu(1.0 - tf.abs(places[..., None] - tf.range(tf.cast(cells, tf.float32))))
    shape = tf.concat([tf.shape(places)[:2], [bins, SAMPLES, cells]], axis=0)
    return tf.reduce_mean(tf.reshape(weights, shape), axis=3)
