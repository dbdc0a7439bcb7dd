"""The maximum over many rectangular bins of a map, at a cost that does not grow with the bins.

Every bin is the union of a few overlapping windows with sides out of a short list, 1, 3, 7, 15, ...: side s serves
every length from s to 2s with two windows, one at each end of the bin, and the next side is 2s + 1. The maxima of the
windows of every size, at every cell, are tabled once for the whole map (a sparse table in two dimensions). The maximum
over a bin is then the maximum of four rows of that table, however large the bin is and however many bins overlap.
"""
from collections.abc import Sequence

import tensorflow as tf

# Added to itself still an int32, and so far below zero that it marks the bin that has no cells.
NOWHERE = -(2**29)


def bin_maximum(cells: tf.Tensor, empty: float, map_width: tf.Tensor, rows: Sequence[tf.Tensor],
                columns: Sequence[tf.Tensor], row_sides: Sequence[int], column_sides: Sequence[int]) -> tf.Tensor:
    """The maximum over every bin of a grid per box, channel by channel.

    Args:
        cells: [R * map_width, C], any ordered dtype: the lines of all maps, one after the other, as rows of C channels.
        empty: the value of a bin without cells.
        map_width: number of cells in a line.
        rows: pair of int32 [B, N, pooled_height]: first line of a bin and the line after its last, counted over all
            maps.
        columns: pair of int32 [B, N, pooled_width], the same within a line: 0 <= start, end <= map_width.
        row_sides, column_sides: window sides to table, from `window_sides`.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `cells`.
    """
    (row, row_end), (column, column_end) = rows, columns
    tall, tall_origins = _table(cells, row_sides, stride=map_width)
    table, origins = _table(tall, column_sides, stride=1)
    table = tf.concat([tf.fill(tf.stack([1, tf.shape(cells)[1]]), tf.cast(empty, cells.dtype)), table], axis=0)

    level, row_side = _largest_side_within(row_end - row, row_sides)
    row_origin = tf.where(row_end > row, tf.gather(tf.stack(tall_origins), level), NOWHERE)
    level, column_side = _largest_side_within(column_end - column, column_sides)
    column_origin = tf.where(column_end > column, tf.gather(tf.stack(origins), level) + 1, NOWHERE)

    def window(i, j):
        y = tf.minimum(row + i * row_side, row_end - row_side)
        x = tf.minimum(column + j * column_side, column_end - column_side)
        index = (row_origin + y * map_width)[..., :, None] + (column_origin + x)[..., None, :]
        return tf.gather(table, tf.maximum(index, 0))

    maximum = tf.maximum(tf.maximum(window(0, 0), window(0, 1)), tf.maximum(window(1, 0), window(1, 1)))

    # Two windows a side leave a gap only in the huge bins of a box that reaches far beyond the map.
    windows_down = _most_windows(row_end - row, row_side)
    windows_across = _most_windows(column_end - column, column_side)
    count = tf.where(tf.maximum(windows_down, windows_across) > 2, windows_down * windows_across, 0)
    _, maximum = tf.while_loop(
        lambda k, _: k < count,
        lambda k, maximum: (k + 1, tf.maximum(maximum, window(k // windows_across, k % windows_across))),
        (tf.constant(0), maximum))
    return maximum


def table_maximum(features: tf.Tensor, rows: Sequence[tf.Tensor], columns: Sequence[tf.Tensor]) -> tf.Tensor:
    """The maximum over every bin of a grid per box, of features [B, H, W, C], by the table; as `bin_maximum`."""
    return bin_maximum(_cells(features), 0, **_sizes(features, rows, columns), rows=rows, columns=columns)


def table_argmax(features: tf.Tensor, maximum: tf.Tensor, rows: Sequence[tf.Tensor],
                 columns: Sequence[tf.Tensor]) -> tf.Tensor:
    """The element of `features` that is the first to be the maximum of each bin, int32; its size where a bin is empty.

    `maximum` is not needed here; other ways do need it.
    """
    # One int64 holds the value above and the element below, so that the maximum finds both, and of equal values the
    # element that comes first, which counted backwards is the larger. As integers, the bits of negative floats run the
    # wrong way.
    bits = tf.bitcast(tf.cast(features, tf.float32), tf.int32)
    bits = tf.where(bits < 0, -(2**31) - bits, bits)
    last = tf.size(features) - 1
    backwards = tf.reshape(tf.range(last, -1, -1), tf.shape(features))
    keys = tf.cast(bits, tf.int64) * 2**32 + tf.cast(backwards, tf.int64)
    largest = bin_maximum(_cells(keys), -1, **_sizes(features, rows, columns), rows=rows, columns=columns)
    return last - tf.cast(largest, tf.int32)


def _cells(features):
    return tf.reshape(features, [-1, features.shape[3] or tf.shape(features)[3]])


def _sizes(features, rows, columns):
    return dict(
        map_width=tf.shape(features)[2] if features.shape[2] is None else features.shape[2],
        row_sides=window_sides(features.shape[1], rows[0].shape[-1]),
        column_sides=window_sides(features.shape[2], columns[0].shape[-1]))


def window_sides(length: int | None, bins: int) -> tuple[int, ...]:
    """The sides that serve every bin of a box within a map of `length` cells (None: not known yet) cut into `bins`."""
    longest = 14 if length is None else largest_bin(length, bins)
    sides = [1]
    while 2 * sides[-1] < longest:
        sides.append(2 * sides[-1] + 1)
    return tuple(sides)


def largest_bin(length: int, bins: int) -> int:
    """The cells of the largest bin of any box within a map of `length` cells, cut into `bins`."""
    return min(length, -(-(length + 1) // bins) + 1)


def _table(cells, sides, stride):
    """Maxima over windows along one axis, side after side in one tensor, and the row at which each side begins."""
    levels, origins = [cells], [0]
    for side in sides[:-1]:
        small = levels[-1]
        # Windows of side s at 0, s and s + 1 make one of 2s + 1. A line runs on into the next, so a shift is a view of
        # the same memory and no copy; the windows that straddle an edge of the map are never looked up.
        levels.append(tf.maximum(
            tf.maximum(small[:-(side + 1) * stride], small[(side + 1) * stride:]), small[side * stride:-stride]))
        origins.append(origins[-1] + (small.shape[0] if small.shape[0] is not None else tf.shape(small)[0]))
    return tf.concat(levels, axis=0), origins


def _largest_side_within(length, sides):
    level = tf.add_n([tf.zeros_like(length)] + [tf.cast(length >= side, tf.int32) for side in sides[1:]])
    return level, tf.gather(tf.constant(sides), level)


def _most_windows(length, side):
    return tf.reduce_max(tf.concat([[0], tf.reshape(-(-length // side), [-1])], axis=0))
