"""RoI max pooling: any box of a feature map onto a grid of fixed size."""
import functools
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from glimpse.ops.arguments import (
    check_features_and_boxes,
    check_pooled_size,
    check_spatial_scale,
    pooled_of_ragged,
)
from glimpse.ops.bin_cells import cells_argmax, cells_maximum
from glimpse.ops.bin_groups import cells_a_bin, groups_argmax, groups_maximum
from glimpse.ops.bin_maximum import bin_maximum, largest_bin, window_sides
from glimpse.ops.rounding import quotient

BINS = ("fast_rcnn", "article")
REACHES = 3, 4, 6, 8   # sides of the largest bins read cell by cell; each is compiled when a call first needs it


def roi_pool(features: tf.Tensor, boxes: tf.Tensor, pooled_size: int | Sequence[int], spatial_scale: float = 1.0,
             bins: str = "fast_rcnn") -> tf.Tensor:
    """Pools the part of a feature map that lies in a box, for every box, to a grid of fixed size, by maxima.

    Coordinates. Boxes are continuous pixels with the origin at the top left corner of the image; `spatial_scale` is the
    size of the map over that of the image, 1/16 for VGG16. The two kinds of bins differ in how they turn a box into map
    cells:

    `"fast_rcnn"`: both corners are rounded to the nearest cell, half-way cases away from zero, and both belong to the
    RoI, which is at least one cell. With x1 = 16, x2 = 104 and scale 1/16: 1.0 -> 1 and 6.5 -> 7, so columns 1 to 7, 7
    cells. Bin i of P covers floor(i * size / P) up to, not including, ceil((i + 1) * size / P), so that neighbours may
    share a cell: 7 cells in 2 bins are 0-3 and 3-6. Bins are clipped to the map.

    `"article"`: corners are truncated, and the second one is excluded: x1 = 16, x2 = 104 gives columns 1 to 5, 5 cells.
    Bins are size // P cells each, without overlap, and the last one takes what is left over: 5 cells in 2 bins are 0-1
    and 2-4. An RoI smaller than the grid has empty bins. The article's boxes are relative; for a map of height H its
    int(H * y_min) is here a box with y1 = H * y_min and spatial_scale 1, which is how `glimpse.layers.RoIPooling` calls
    this function.

    A bin without cells is 0. The gradient of a bin goes to its maximum, on a tie to the first in row-major order; none
    goes to the boxes, and none comes from a bin without cells. -0.0 and 0.0 tie.

    Sizes are divided and multiplied in float32, as the reference implementations do. This matters in rare cases, and is
    kept so that the values are theirs to the bit: 57 cells in 7 bins are 57 / 7 * 7 = 57.000004, so the last bin takes
    in a 58th cell.

    In a `tf.function` whose shapes are known (all but the batch size), the pooling is compiled by XLA, once for each
    combination of shapes, which is several times faster than the same operations one by one. Bins are read cell by
    cell, at a cost that does not grow with the map: in one go where the largest bin of a call is at most 8 x 8 cells,
    and else, or where most are much smaller than that, in groups of boxes of like size. Where the shapes say that it is
    cheaper (`reads_that_win`), maxima of windows are tabled for the whole map instead. The scatter of its gradient is not compiled, because on a CPU it is much slower when compiled; for the same reason, do
    not wrap a training step in `jit_compile=True` on a CPU, though it works and gives the same values.

    Args:
        features: float32, float16 or bfloat16 [B, H, W, C].
        boxes: float32 [B, N, 4], (x1, y1, x2, y2), or ragged [B, None, 4], which gives a ragged result. A reversed box
            (x2 < x1) is one cell for `"fast_rcnn"` and empty for `"article"`.
        pooled_size: P, or (pooled_height, pooled_width).
        spatial_scale: map cells per pixel.
        bins: `"fast_rcnn"` or `"article"`.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `features`.

    Raises:
        ValueError: for a wrong rank, last dimension or batch size, a pooled size below 1, a spatial scale that is not
            positive, unknown bins. tf.errors.InvalidArgumentError where the shape is known only at run time, and for
            boxes that are not finite (XLA drops that check if the caller compiles this function).
        TypeError: for features of another dtype, boxes in half precision, a pooled size that is not whole.

    Sources: Girshick, "Fast R-CNN", 2015, section 2.1, and the operator `roi_pool` of torchvision, whose values and
    gradients these are; Sevilla, "Implementing RoI pooling in TensorFlow + Keras", 2019, for `"article"`.
    """
    if isinstance(boxes, tf.RaggedTensor):
        pool = functools.partial(roi_pool, pooled_size=pooled_size, spatial_scale=spatial_scale, bins=bins)
        return pooled_of_ragged(pool, features, boxes)
    features, boxes = check_features_and_boxes(features, boxes, (tf.float32, tf.float16, tf.bfloat16))
    pooled_height, pooled_width = check_pooled_size(pooled_size)
    spatial_scale = check_spatial_scale(spatial_scale)
    if bins not in BINS:
        raise ValueError(f"bins must be one of {BINS}, not {bins!r}")
    bin_edges = _fast_rcnn_bins if bins == "fast_rcnn" else _article_bins
    x1, y1, x2, y2 = tf.unstack(tf.stop_gradient(boxes) * spatial_scale, axis=-1)
    return _pool(features, rows=bin_edges(y1, y2, pooled_height), columns=bin_edges(x1, x2, pooled_width))


def _fast_rcnn_bins(first, last, count):
    """First cell and the one after the last, int32 [B, N, count], of every bin between two coordinates in cells."""
    first, last = _round_half_away(first), _round_half_away(last)
    size = tf.maximum(last - first + 1, 1)
    bin_size = quotient(tf.cast(size, tf.float32), count)[..., None]
    start = tf.floor(tf.range(count, dtype=tf.float32) * bin_size)
    end = tf.math.ceil(tf.range(1, count + 1, dtype=tf.float32) * bin_size)
    return first[..., None] + tf.cast(start, tf.int32), first[..., None] + tf.cast(end, tf.int32)


def _article_bins(first, end, count):
    first, end = _truncate(first), _truncate(end)
    size = tf.maximum(end - first, 0)
    start = first[..., None] + tf.range(count) * (size // count)[..., None]
    return start, tf.concat([start[..., 1:], (first + size)[..., None]], axis=-1)


def _round_half_away(x):
    # Not floor(x + 0.5): that sum, rounded to float32, makes 1 of 0.49999997; and not tf.round: that makes 2 of 2.5.
    whole = _truncate(x)
    fraction = x - tf.cast(whole, x.dtype)
    return whole + tf.cast(fraction >= 0.5, tf.int32) - tf.cast(fraction <= -0.5, tf.int32)


def _truncate(x):
    # Far beyond every map, and far enough from the ends of int32 that sizes and sums of cells fit too.
    return tf.cast(tf.clip_by_value(x, -(2.0**29), 2.0**29), tf.int32)


def _pool(features, rows, columns):
    """Maxima over bins, with the gradient to the first maximum of each; bins may reach beyond the map."""
    batch, height, width, _ = shape = tf.unstack(tf.shape(features))
    first_row = tf.range(batch)[:, None, None] * height
    bins = dict(
        rows=tuple(first_row + tf.clip_by_value(edge, 0, height) for edge in rows),
        columns=tuple(tf.clip_by_value(edge, 0, width) for edge in columns))
    maximum, argmax = _ways(features, **bins)

    @tf.custom_gradient
    def pool(features):
        pooled = maximum(features, **bins)

        def gradient(upstream):
            size = tf.size(features)
            # With more segments than values, the kernel goes through the values once, on one thread, where it would
            # otherwise go through all of them once for each of its blocks of segments. Summed in float32: halves would
            # lose most of a long sum.
            segments = tf.maximum(size, tf.size(upstream)) + 1
            element = argmax(features, pooled, **bins)
            sums = tf.math.unsorted_segment_sum(tf.cast(upstream, tf.float32), element, segments)
            return tf.cast(tf.reshape(sums[:size], shape), features.dtype)

        return pooled, gradient

    return pool(features)


def _ways(features, rows, columns):
    """Two functions: (features, **bins) -> the maximum of every bin; (features, maximum, **bins) -> its element."""
    (_, count, lines), (_, _, places) = rows[0].shape, columns[0].shape
    shapes_known = features.shape[1:].is_fully_defined() and None not in (count, lines, places)
    if not shapes_known or tf.executing_eagerly():
        return _maximum, _argmax
    if count == 0 or GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return _compiled_maximum, _compiled_argmax   # compiled with the caller, where each of several ways would be

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
            _compiled_maximum, _compiled_groups_maximum, _compiled_cells_maximum)), to_maximum)

    def argmax(features, maximum, **bins):
        return choose(*(functools.partial(way, features, maximum, **bins) for way in (
            _compiled_argmax, _compiled_groups_argmax, _compiled_cells_argmax)), to_argmax)

    return maximum, argmax


def reads_that_win(features_shape: tf.TensorShape, count: int, pooled_height: int, pooled_width: int) -> tuple[float, float]:
    """The most reads a bin at which reading all its cells beats the table: (for the maximum, for its element).

    To table a cell takes about 16 reads for each size of window, 48 with its element; to look a bin up takes 4, or 8.
    """
    _, height, width, _ = features_shape
    table = len(window_sides(height, pooled_height)) * len(window_sides(width, pooled_width)) * height * width
    cells_of_table = table / (count * pooled_height * pooled_width)
    return 4 + 16 * cells_of_table, 8 + 48 * cells_of_table


def reads_of_groups(cells_a_bin: tf.Tensor) -> tf.Tensor:
    """The reads a bin that take as long as reading bins of so many cells in groups of boxes.

    Blocks reach beyond bins, what is found is kept in memory from block to block, and boxes are sorted and put back.
    """
    return 10 + 4 * cells_a_bin


def _maximum(features, rows, columns):
    return bin_maximum(_cells(features), 0, **_table(features, rows, columns), rows=rows, columns=columns)


def _argmax(features, maximum, rows, columns):
    """The element of `features` that is the maximum of each bin, int32; its size where a bin is empty."""
    # One int64 holds the value above and the element below, so that the maximum finds both, and of equal values the
    # element that comes first, which counted backwards is the larger. As integers, the bits of negative floats run the
    # wrong way.
    bits = tf.bitcast(tf.cast(features, tf.float32), tf.int32)
    bits = tf.where(bits < 0, -(2**31) - bits, bits)
    last = tf.size(features) - 1
    backwards = tf.reshape(tf.range(last, -1, -1), tf.shape(features))
    keys = tf.cast(bits, tf.int64) * 2**32 + tf.cast(backwards, tf.int64)
    largest = bin_maximum(_cells(keys), -1, **_table(features, rows, columns), rows=rows, columns=columns)
    return last - tf.cast(largest, tf.int32)


def _cells(features):
    return tf.reshape(features, [-1, features.shape[3] or tf.shape(features)[3]])


def _table(features, rows, columns):
    return dict(
        map_width=tf.shape(features)[2] if features.shape[2] is None else features.shape[2],
        row_sides=window_sides(features.shape[1], rows[0].shape[-1]),
        column_sides=window_sides(features.shape[2], columns[0].shape[-1]))


# Compiled, what is read is compared as it is read, and never written out. Kept at module level so that every call with
# the same shapes, such as each glimpse of a network, shares one compilation.
(_compiled_maximum, _compiled_argmax, _compiled_cells_maximum, _compiled_cells_argmax, _compiled_groups_maximum,
 _compiled_groups_argmax) = (
    tf.function(function, jit_compile=True, autograph=False)
    for function in (_maximum, _argmax, cells_maximum, cells_argmax, groups_maximum, groups_argmax))
