"""The maximum over every small bin of a map, read cell by cell: the cost is that of the bins, however large the map.

Every bin is read as if it had `reach` lines and columns, where those beyond its end are its last one again. Compiled by
XLA, the cells are compared as they are read.
"""
from collections.abc import Iterator, Sequence

import tensorflow as tf


def cells_maximum(features: tf.Tensor, rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor],
                  reach: Sequence[int]) -> tf.Tensor:
    """The maximum over every bin of a grid per box, channel by channel.

    Args:
        features: [B, H, W, C], of which all but B is known.
        rows: pair of int32 [B, N, pooled_height]: first line of a bin and the line after its last, counted over all
            maps.
        columns: pair of int32 [B, N, pooled_width], the same within a line.
        reach: (lines, columns) of the largest bin at least.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `features`; 0 where a bin has no cells.
    """
    maximum = None
    for _, values in read_cells(features, rows, columns, reach):
        maximum = values if maximum is None else tf.maximum(maximum, values)
    return tf.where(empty(rows, columns), tf.zeros([], features.dtype), maximum)


def cells_argmax(features: tf.Tensor, maximum: tf.Tensor, rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor],
                 reach: Sequence[int]) -> tf.Tensor:
    """The element of `features` that is the first, in row-major order, to be the maximum of a bin; its size where there
    is none.

    Args:
        features, rows, columns, reach: as for `cells_maximum`.
        maximum: what that gives.

    Returns:
        int32, of the shape of `maximum`.
    """
    first = None
    for cell, values in reversed(list(read_cells(features, rows, columns, reach))):
        first = cell if first is None else tf.where(values == maximum, cell, first)
    channels = features.shape[3]
    return tf.where(empty(rows, columns), tf.size(features), first * channels + tf.range(channels))


def read_cells(features: tf.Tensor, rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor], reach: Sequence[int],
               first: Sequence[int | tf.Tensor] = (0, 0)) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """The cells of every bin in row-major order, one of each bin at a time: int32 [..., i, j, 1], and their values
    [..., i, j, C]; so many lines and columns as `reach` says, from those of `first` on. Edges are [..., i] and
    [..., j]."""
    table = tf.reshape(features, [-1, features.shape[3]])
    (row, row_end), (column, column_end) = rows, columns
    for i in range(reach[0]):
        line = tf.minimum(row + first[0] + i, row_end - 1) * features.shape[2]
        for j in range(reach[1]):
            cell = line[..., :, None] + tf.minimum(column + first[1] + j, column_end - 1)[..., None, :]
            cell = tf.maximum(cell, 0)   # a bin that has no cells reads anywhere
            yield cell[..., None], tf.gather(table, cell)


def empty(rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor]) -> tf.Tensor:
    """Which bins have no cells: bool [..., i, j, 1]."""
    (row, row_end), (column, column_end) = rows, columns
    return ((row_end <= row)[..., :, None] | (column_end <= column)[..., None, :])[..., None]
