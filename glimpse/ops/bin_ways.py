"""Which way the maxima over bins are found, by what is known beforehand, the shapes, and by how large the bins are.

Three ways, of the same values: all bins cell by cell in one go (`bin_cells`), where the largest is small; cell by cell
in groups of boxes of like size (`bin_groups`); maxima of windows tabled for the whole map (`bin_maximum`), where many
bins lie on a small map.
"""
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from glimpse.ops.bin_cells import cells_argmax, cells_maximum
from glimpse.ops.bin_groups import cells_a_bin, groups_argmax, groups_maximum
from glimpse.ops.bin_maximum import largest_bin, table_argmax, table_maximum, window_sides

REACHES = 3, 4, 6, 8   # sides of the largest bins read in one go; each is compiled when a call first needs it


def ways_of(features: tf.Tensor, rows: Sequence[tf.Tensor],
            columns: Sequence[tf.Tensor]) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """Two functions: (features, **bins) -> the maximum of every bin; (features, maximum, **bins) -> its element.

    Args:
        features, rows, columns: as for `bin_cells.cells_maximum`. `bins` are such rows and columns.
    """
    (_, count, lines), (_, _, places) = rows[0].shape, columns[0].shape
    shapes_known = features.shape[1:].is_fully_defined() and None not in (count, lines, places)
    if not shapes_known or tf.executing_eagerly():
        return table_maximum, table_argmax
    if count == 0 or GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return _table_maximum, _table_argmax   # compiled with the caller, where each of several ways would be

    largest = [tf.reduce_max(end - start) for start, end in (rows, columns)]
    to_maximum, to_argmax = reads_that_win(features.shape, count, lines, places)
    in_groups = reads_of_groups(cells_a_bin(rows, columns))
    longest = [largest_bin(length, bins) for length, bins in zip(features.shape[1:3], (lines, places))]
    reaches = sorted({tuple(min(reach, most) for most in longest) for reach in REACHES})

    def choose(table, by_groups, by_cells, most_reads):
        chosen = table
        # On a GPU, one small group after the other would leave most of it idle. Not measured.
        if reads_of_groups(1) <= most_reads and not tf.config.list_physical_devices("GPU"):
            chosen = functools.partial(tf.cond, in_groups <= most_reads, by_groups, table)
        for reach in reaches[::-1]:
            reads = reach[0] * reach[1]
            if reads <= most_reads:
                wins = tf.reduce_all(tf.stack(largest) <= reach) & (reads <= in_groups)
                way = functools.partial(by_cells, reach=reach)
                chosen = functools.partial(tf.cond, wins, way, chosen)   # not switch_case: TFLite has no Case
        return chosen()

    def maximum(features, **bins):
        return choose(*(functools.partial(way, features, **bins) for way in (
            _table_maximum, _groups_maximum, _cells_maximum)), to_maximum)

    def argmax(features, maximum, **bins):
        return choose(*(functools.partial(way, features, maximum, **bins) for way in (
            _table_argmax, _groups_argmax, _cells_argmax)), to_argmax)

    return maximum, argmax


def reads_that_win(features_shape: tf.TensorShape, count: int, pooled_height: int,
                   pooled_width: int) -> tuple[float, float]:
    """The most reads a bin at which reading all its cells beats the table: (for the maximum, for its element).

    To table a cell takes about 16 reads for each size of window, 48 with its element; to look a bin up takes 4, or 8.
    """
    _, height, width, _ = features_shape
    table = len(window_sides(height, pooled_height)) * len(window_sides(width, pooled_width)) * height * width
    cells_of_table = table / (count * pooled_height * pooled_width)
    return 4 + 16 * cells_of_table, 8 + 48 * cells_of_table


def reads_of_groups(cells: tf.Tensor | int) -> tf.Tensor | int:
    """The reads a bin in one go that take as long as reading bins of so many cells, in the mean, in groups of boxes.

    Blocks reach beyond bins, what is found is kept in memory from block to block, and boxes are sorted and put back.
    """
    return 10 + 4 * cells


# Compiled, what is read is compared as it is read, and never written out. Kept at module level so that every call with
# the same shapes, such as each glimpse of a network, shares one compilation.
_table_maximum, _table_argmax, _cells_maximum, _cells_argmax, _groups_maximum, _groups_argmax = (
    tf.function(function, jit_compile=True, autograph=False)
    for function in (table_maximum, table_argmax, cells_maximum, cells_argmax, groups_maximum, groups_argmax))
