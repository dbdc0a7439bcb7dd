"""RoI max pooling: any box of a feature map onto a grid of fixed size."""
import functools
from collections.abc import Sequence

import tensorflow as tf

from glimpse.ops.arguments import (
    check_features_and_boxes,
    check_pooled_size,
    check_spatial_scale,
    pooled_of_ragged,
)
from glimpse.ops.bin_ways import ways_of
from glimpse.ops.rounding import quotient

BINS = ("fast_rcnn", "article")


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
    cheaper, maxima of windows are tabled for the whole map instead (`glimpse.ops.bin_ways`). The scatter of its
    gradient is not compiled, because on a CPU it is much slower when compiled; for the same reason, do not wrap a
    training step in `jit_compile=True` on a CPU, though it works and gives the same values.

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
    maximum, argmax = ways_of(features, **bins)

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
