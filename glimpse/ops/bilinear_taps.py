"""Means of bilinear samples, gathered cell by cell: the cost is that of the samples, however large the map.

A bin with S x S samples is a weighted sum of 2S x 2S cells of the map, its taps: two lines for each sample down, times
two columns for each sample across. The lines are the same for all bins side by side, the columns for all bins one below
the other. Compiled by XLA, the taps are added up as they are read, and no tap is written out.
"""
import typing

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from glimpse.ops import bilinear_matrices
from glimpse.ops.bilinear_matrices import neighbours


def means(features: tf.Tensor, down: tf.Tensor, across: tf.Tensor, spread_by_matrices: bool,
          place_gradient: bool) -> tf.Tensor:
    """The mean of the samples of every bin, with gradients into features and places.

    Args:
        features: float32 or float64 [B, H, W, C], of which all but B is known.
        down, across: float32 [B, N, pooled_height, S] and [B, N, pooled_width, S], the places of a bin's samples, in
            cells; all but B known.
        spread_by_matrices: whether the gradient goes into the features by products with the whole map rather than tap
            by tap.
        place_gradient: whether gradients go into the places too.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `features`.
    """
    @tf.custom_gradient
    def pool(features, down, across):
        def gradient(upstream):
            # Tap by tap means a sparse matrix, for which XLA has no kernel, should the caller be compiled as a whole.
            if spread_by_matrices or GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
                to_features = bilinear_matrices.spread(upstream, down, across, features)
            else:
                to_features = _spread(upstream, down, across, features)
            if not place_gradient:
                return to_features, None, None
            return to_features, *_place_gradients(features, down, across, upstream)

        return _weighted_cells(features, down, across), gradient

    return pool(features, down, across)


class _Taps(typing.NamedTuple):
    """The lines, or columns, that the bins of every box read."""
    cells: tf.Tensor     # int32 [B, N, bins, S, 2]: where in the table of cells a line begins; or the column
    weights: tf.Tensor   # [B, N, bins, S, 2]: the share in the mean of the bin
    slopes: tf.Tensor    # [B, N, bins, S]: what the second weight gains, and the first loses, for each cell moved

    def every(self):
        """(cell, weight), each [B, N, bins], of every tap of a bin."""
        for sample in range(self.cells.shape[3]):
            for side in (0, 1):
                yield self.cells[:, :, :, sample, side], self.weights[:, :, :, sample, side]


def _taps(features, down, across):
    """The table of all cells, [B * H * W, C], and the taps in it: lines and columns."""
    _, height, width, channels = features.shape
    lines, columns = (
        _Taps(cell, *(tf.cast(part, features.dtype) / place.shape[3] for part in (weight, slope)))
        for place, (cell, weight, slope) in ((down, neighbours(down, height)), (across, neighbours(across, width))))
    first = tf.range(tf.shape(features)[0])[:, None, None, None, None] * height
    return tf.reshape(features, [-1, channels]), lines._replace(cells=(first + lines.cells) * width), columns


def _weighted_cells(features, down, across):
    table, lines, columns = _taps(features, down, across)
    total = 0.0
    for line, line_weight in lines.every():
        for column, column_weight in columns.every():
            weight = line_weight[:, :, :, None] * column_weight[:, :, None]
            total += tf.gather(table, line[:, :, :, None] + column[:, :, None]) * weight[..., None]
    return total


def _place_gradients(features, down, across, upstream):
    table, lines, columns = _taps(features, down, across)
    # How every sample changes as it moves down, [B, N, pooled_height, S, pooled_width, C], ...
    above, below = lines.cells[..., 0, None], lines.cells[..., 1, None]
    change = 0.0
    for column, weight in columns.every():
        column, weight = (part[:, :, None, None] for part in (column, weight))
        change += (tf.gather(table, below + column) - tf.gather(table, above + column)) * weight[..., None]
    to_down = tf.reduce_sum(_sum_of_channels(change * upstream[:, :, :, None]), axis=4)
    # ... and as it moves on, [B, N, pooled_height, pooled_width, S, C].
    before, after = columns.cells[:, :, None, ..., 0], columns.cells[:, :, None, ..., 1]
    change = 0.0
    for line, weight in lines.every():
        line, weight = (part[..., None, None] for part in (line, weight))
        change += (tf.gather(table, line + after) - tf.gather(table, line + before)) * weight[..., None]
    to_across = tf.reduce_sum(_sum_of_channels(change * upstream[:, :, :, :, None]), axis=2)
    return tuple(tf.cast(part, tf.float32) for part in (to_down * lines.slopes, to_across * columns.slopes))


def _sum_of_channels(values):
    # As a product, because XLA adds numbers that lie side by side one by one.
    total = tf.matmul(tf.reshape(values, [-1, values.shape[-1]]), tf.ones([values.shape[-1], 1], values.dtype))
    return tf.reshape(total, tf.shape(values)[:-1])


def _spread(upstream, down, across, features):
    """The gradient into the features: what every cell gets from all the bins that it is a tap of.

    It is `upstream` times the transposed matrix of weights, bins x cells. Transposed first, it sums up each cell by
    itself, in the order of the bins: the same to the bit on any number of threads.
    """
    indices, weights = _bins_and_cells(features, down, across)
    batch, height, width, channels = tf.unstack(tf.shape(features, tf.int64))
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.reshape(indices, [-1, 2]), values=tf.reshape(weights, [-1]),
        dense_shape=tf.stack([tf.size(upstream, tf.int64) // channels, batch * height * width]))
    matrix = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=weights.dtype)

    @tf.custom_gradient
    def product(upstream):
        cells = tf.raw_ops.SparseMatrixMatMul(a=matrix, b=tf.reshape(upstream, [-1, features.shape[-1]]))
        return tf.reshape(cells, tf.shape(features)), lambda change: _weighted_cells(change, down, across)

    return product(upstream)


def _bins_and_cells(features, down, across):
    """Of every tap (its bin, its cell), int64 [..., 2], and its weight [...], both in the order of the bins."""
    _, lines, columns = _taps(features, down, across)
    (line, line_weight), (column, column_weight) = (
        [tf.reshape(part, [-1, *part.shape[1:3], 2 * part.shape[3]]) for part in taps[:2]] for taps in (lines, columns))
    cells = line[:, :, :, None, :, None] + column[:, :, None, :, None, :]
    weights = line_weight[:, :, :, None, :, None] * column_weight[:, :, None, :, None, :]
    bins_shape = tf.concat([tf.shape(cells)[:4], [1, 1]], axis=0)
    bins = tf.broadcast_to(tf.reshape(tf.range(tf.reduce_prod(bins_shape)), bins_shape), tf.shape(cells))
    return tf.stack([tf.cast(bins, tf.int64), tf.cast(cells, tf.int64)], axis=-1), weights


# Kept at module level so that every call with the same shapes, such as each glimpse of a network, shares one
# compilation.
_weighted_cells, _place_gradients, _bins_and_cells = (
    tf.function(function, jit_compile=True, autograph=False)
    for function in (_weighted_cells, _place_gradients, _bins_and_cells))
