"""The maximum over every bin of a map, read cell by cell; where boxes differ in size, each costs what its bins hold.

Boxes are sorted by the size of their largest bin, and go through in small groups of like size. A group reads all its
bins block by block until its own largest bin has been read, so that one large box does not make the others dear.
Compiled by XLA, all of this is one program, whatever the sizes.
"""
from collections.abc import Callable, Sequence

import tensorflow as tf

from glimpse.ops.bin_cells import empty, read_cells

GROUP = 8      # boxes; few, so that they are alike, and what is found for them stays in the cache
BLOCK = 2, 4   # lines and columns that are read before a group asks whether it has more


def groups_maximum(features: tf.Tensor, rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor]) -> tf.Tensor:
    """The maximum over every bin of a grid per box: `bin_cells.cells_maximum` for bins of any size."""

    def take(found, _, values):
        return tf.maximum(found, values)

    lowest = tf.constant(float("-inf"), features.dtype)
    maximum = _in_groups(features, rows, columns, lowest, take)
    return tf.where(empty(rows, columns), tf.zeros([], features.dtype), maximum)


def groups_argmax(features: tf.Tensor, maximum: tf.Tensor, rows: Sequence[tf.Tensor],
                  columns: Sequence[tf.Tensor]) -> tf.Tensor:
    """The element of `features` that is the first to be the maximum of a bin: `bin_cells.cells_argmax` for any size."""
    size, channels = tf.size(features), features.shape[3]

    def take(found, cell, values, largest):
        return tf.minimum(found, tf.where(values == largest, cell, size))

    first = _in_groups(features, rows, columns, size, take, maximum)
    none = empty(rows, columns) | (first == size)   # the latter for NaN, which equals nothing
    return tf.where(none, size, first * channels + tf.range(channels))


def cells_a_bin(rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor]) -> tf.Tensor:
    """The cells of the largest bin of a box, in the mean over all boxes, [B, N, i] and [B, N, j]: float32 []."""
    return tf.reduce_mean(tf.cast(_largest(*rows) * _largest(*columns), tf.float32))


def _largest(start, end):
    return tf.reduce_max(end - start, axis=-1)


def _in_groups(features: tf.Tensor, rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor], nothing: tf.Tensor,
               take: Callable[..., tf.Tensor], *of_bins: tf.Tensor) -> tf.Tensor:
    """Goes through the cells of every bin and adds each to what has been found so far, which at first is `nothing`.

    Args:
        features, rows, columns: as for `bin_cells.cells_maximum`.
        take: (found [G, i, j, C], a cell of every bin [G, i, j, 1], its values [G, i, j, C], *of_bins) -> found.
        of_bins: [B, N, i, j, C], of which `take` is given the part of the group, [G, i, j, C].

    Returns:
        [B, N, i, j, C], of the dtype of `nothing`.
    """
    grid = [rows[0].shape[-1], columns[0].shape[-1], features.shape[3]]
    boxes = tf.shape(rows[0])[:2]
    count = boxes[0] * boxes[1]
    order = tf.argsort(tf.reshape(_largest(*rows) * _largest(*columns), [-1]))
    groups = -(-count // GROUP)
    members = tf.gather(order, tf.minimum(tf.range(groups * GROUP), count - 1))   # the last box fills up its group

    def grouped(part):
        part = tf.gather(tf.reshape(part, [-1, *part.shape[2:]]), members)
        return tf.reshape(part, [groups, GROUP, *part.shape[1:]])

    def of_group(parts):
        row, row_end, column, column_end, *of_group = parts
        lines, places = tf.reduce_max(_largest(row, row_end)), tf.reduce_max(_largest(column, column_end))
        down, across = -(-lines // BLOCK[0]), -(-places // BLOCK[1])

        def block(k, found):
            first = k // across * BLOCK[0], k % across * BLOCK[1]
            for cell, values in read_cells(features, (row, row_end), (column, column_end), BLOCK, first):
                found = take(found, cell, values, *of_group)
            return k + 1, found

        start = tf.constant(0), tf.fill([GROUP, *grid], nothing)
        return tf.while_loop(lambda k, _: k < down * across, block, start)[1]

    parts = tuple(grouped(part) for part in (*rows, *columns, *of_bins))
    found = tf.map_fn(of_group, parts, fn_output_signature=nothing.dtype)
    found = tf.gather(tf.reshape(found, [-1, *grid]), tf.argsort(order))
    return tf.reshape(found, tf.concat([boxes, grid], axis=0))
