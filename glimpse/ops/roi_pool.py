"""RoI max pooling: any box of a feature map onto a fixed grid (Girshick, Fast R-CNN, 2015, section 2.1)."""
import numpy as np
import tensorflow as tf


def roi_pool(features, boxes, pooled_size, spatial_scale=1.0, bins="fast_rcnn"):
    """Pools every box to a fixed grid: [B, N, pooled_height, pooled_width, C]."""
    features = tf.convert_to_tensor(features)
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    pooled_height, pooled_width = (pooled_size, pooled_size) if isinstance(pooled_size, int) else pooled_size
    edges = {"fast_rcnn": _fast_rcnn_bins, "article": _article_bins}[bins]
    boxes = tf.debugging.assert_all_finite(boxes, "boxes must be finite")
    x1, y1, x2, y2 = tf.unstack(boxes * spatial_scale, axis=-1)
    rows = edges(y1, y2, pooled_height)
    columns = edges(x1, x2, pooled_width)
    return _max_over_bins(features, rows, columns)


def _fast_rcnn_bins(first, last, count):
    first, last = _round_half_away(first), _round_half_away(last)
    size = tf.maximum(last - first + 1, 1)
    bin_size = tf.cast(tf.cast(size, tf.float64) / count, tf.float32)
    steps = tf.range(count + 1, dtype=tf.float32) * bin_size[..., None]
    start = first[..., None] + tf.cast(tf.floor(steps[..., :-1]), tf.int32)
    end = first[..., None] + tf.cast(tf.math.ceil(steps[..., 1:]), tf.int32)
    return start, end


def _article_bins(first, end, count):
    first, end = _to_int(first), _to_int(end)
    size = tf.maximum(end - first, 0)
    step = size // count
    start = first[..., None] + tf.range(count) * step[..., None]
    return start, tf.concat([start[..., 1:], (first + size)[..., None]], axis=-1)


def _round_half_away(x):
    whole = _truncate(x)
    return _to_int(whole + tf.sign(x) * tf.cast(tf.abs(x - whole) >= 0.5, x.dtype))


def _truncate(x):
    return tf.sign(x) * tf.floor(tf.abs(x))


def _to_int(x):
    return tf.cast(tf.clip_by_value(x, -(2.0**29), 2.0**29), tf.int32)


def _max_over_bins(features, rows, columns):
    batch, height, width, channels = (
        static if static is not None else tf.shape(features)[axis] for axis, static in enumerate(features.shape))
    y, y_stop = (tf.clip_by_value(edge, 0, height)[..., :, None] for edge in rows)
    x, x_stop = (tf.clip_by_value(edge, 0, width)[..., None, :] for edge in columns)
    empty = (y_stop <= y) | (x_stop <= x)
    y_sides = _window_sides(features.shape[1], rows[0].shape[-1])
    x_sides = _window_sides(features.shape[2], columns[0].shape[-1])
    y_level, y_side = _fit(y_stop - y, y_sides)
    x_level, x_side = _fit(x_stop - x, x_sides)
    y_last, x_last = y_stop - y_side, x_stop - x_side
    image = tf.reshape(tf.range(batch), [-1, 1, 1, 1]) * height
    y_most = _most_windows(y_stop - y, y_side, empty)
    x_most = _most_windows(x_stop - x, x_side, empty)

    def range_maximum(flat):
        zero = tf.zeros([1, channels], flat.dtype)
        table = _window_maxima(flat, width, y_sides, x_sides)
        sizes = tf.stack([1] + [tf.shape(maxima)[0] for maxima in table])
        table = tf.concat([zero, *table], axis=0)
        origin = tf.gather(tf.cumsum(sizes, exclusive=True)[1:], y_level * len(x_sides) + x_level)

        def windows(i, j):
            row = image + tf.minimum(y + i * y_side, y_last)
            column = tf.minimum(x + j * x_side, x_last)
            return tf.gather(table, tf.where(empty, 0, origin + row * width + column))

        found = tf.maximum(tf.maximum(windows(0, 0), windows(0, 1)), tf.maximum(windows(1, 0), windows(1, 1)))
        _, found = tf.while_loop(
            lambda k, _: (k < y_most * x_most) & ((y_most > 2) | (x_most > 2)),
            lambda k, found: (k + 1, tf.maximum(found, windows(k // x_most, k % x_most))),
            (tf.constant(0), found))
        return found

    @tf.custom_gradient
    def pool(features):
        pooled = range_maximum(tf.reshape(features, [-1, channels]))

        def gradient(upstream):
            cells = batch * height * width
            values = tf.cast(tf.reshape(features, [-1, channels]), tf.float32)
            bits = tf.bitcast(values, tf.int32)
            bits = tf.where(values == 0, 0, tf.where(bits < 0, bits ^ 0x7FFFFFFF, bits))
            position = tf.range(cells, dtype=tf.int32)[:, None]
            keys = tf.cast(bits, tf.int64) * 2**32 + tf.cast(cells - 1 - position, tf.int64)
            best = range_maximum(keys)
            position = cells - 1 - tf.cast(best & 0xFFFFFFFF, tf.int32)
            position = tf.where(empty[..., None], cells, position)
            element = position * channels + tf.range(channels)
            total = tf.math.unsorted_segment_sum(
                tf.cast(upstream, tf.float32), element, (cells + 1) * channels)
            return tf.cast(tf.reshape(total[:cells * channels], tf.shape(features)), features.dtype)

        return pooled, gradient

    return pool(features)


def _window_sides(cells, count):
    if cells is None:
        return (1, 3, 7)
    longest, sides = -(-(cells + 1) // count) + 1, [1]
    while 2 * sides[-1] < min(longest, cells):
        sides.append(2 * sides[-1] + 1)
    return tuple(sides)


def _fit(length, sides):
    level = sum((tf.cast(length >= side, tf.int32) for side in sides[1:]), tf.zeros_like(length))
    return level, tf.gather(tf.constant(sides), level)


def _most_windows(length, side, empty):
    return tf.reduce_max(tf.concat([[0], tf.reshape(-(-length // side), [-1])], 0))


def _window_maxima(flat, width, y_sides, x_sides):
    table = []
    tall = flat
    for y_side, y_next in zip(y_sides, (*y_sides[1:], None)):
        wide = tall
        for x_side, x_next in zip(x_sides, (*x_sides[1:], None)):
            table.append(wide)
            if x_next:
                wide = _grow(wide, x_side, 1)
        if y_next:
            tall = _grow(tall, y_side, width)
    return table


def _grow(maxima, side, step):
    return tf.maximum(tf.maximum(maxima[:-(side + 1) * step], maxima[(side + 1) * step:]),
                      maxima[side * step:-step])
