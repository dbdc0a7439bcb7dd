"""RoI align: the mean of a feature map, sampled between its cells, in every bin of a box."""
from collections.abc import Sequence

import tensorflow as tf

from glimpse.ops.arguments import check_features_and_boxes, check_pooled_size, check_sampling_ratio, check_spatial_scale


def roi_align(features: tf.Tensor, boxes: tf.Tensor, pooled_size: int | Sequence[int], spatial_scale: float = 1.0,
              sampling_ratio: int = 2, aligned: bool = True, box_gradient: bool = False) -> tf.Tensor:
    """Averages bilinear samples of a feature map over every bin of a box; nothing is rounded.

    Coordinates. Boxes are continuous pixels with the origin at the top left corner of the image; `spatial_scale` is the size of
    the map over that of the image. Every bin, of size (width / P, height / P), is sampled at sampling_ratio x sampling_ratio
    points, spread evenly. With `aligned`, cell k has its centre at k + 0.5: x1 = 0, x2 = 2 at scale 1, in one bin with two samples,
    is sampled at 0.5 and 1.5, the centres of cells 0 and 1. Without, as in the first published version, cell k has its centre at k
    (the same samples lie between cells 0 and 1 and between 1 and 2), and an RoI is at least one cell wide and high. A sample up to
    one cell outside the outermost centres has the value of the edge; farther out it is 0.

    A box is a pair of interpolation matrices, one down and one across, and pooling is two matrix products. They take
    B * N * P * W * C numbers in between, 15 MiB for 64 boxes on a 24x24x64 map in 5x5 bins and a batch of 8. As in any matrix
    product, a cell that is not finite spoils more than the bins that sample it.

    Args:
        features: float32, float64, float16 or bfloat16 [B, H, W, C].
        boxes: float32 [B, N, 4], (x1, y1, x2, y2).
        pooled_size: P, or (pooled_height, pooled_width).
        spatial_scale: map cells per pixel.
        sampling_ratio: samples along each side of a bin.
        aligned: whether the centre of cell k is at k + 0.5 or at k.
        box_gradient: whether gradients also go into the boxes, through the places of the samples. At a cell's centre, where the
            slope of the interpolation jumps, it is the slope towards the next cell.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `features`; half precision is computed in float32.

    Raises:
        ValueError, TypeError, tf.errors.InvalidArgumentError: as `roi_pool`; and for a sampling ratio that is not whole, or below 1.

    Sources: He et al., "Mask R-CNN", 2017, section 3; the operator `roi_align` of torchvision, whose values these are, except that
    its adaptive sampling ratio (a number of samples that depends on the box) is not offered.
    """
    features, boxes = check_features_and_boxes(features, boxes, (tf.float32, tf.float64, tf.float16, tf.bfloat16))
    pooled_height, pooled_width = check_pooled_size(pooled_size)
    sampling_ratio = check_sampling_ratio(sampling_ratio)
    boxes = boxes * check_spatial_scale(spatial_scale) - (0.5 if aligned else 0.0)
    if not box_gradient:
        boxes = tf.stop_gradient(boxes)
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    _, height, width, _ = tf.unstack(tf.shape(features))
    smallest = 0.0 if aligned else 1.0
    down = _interpolation(y1, y2, pooled_height, height, sampling_ratio, smallest)
    across = _interpolation(x1, x2, pooled_width, width, sampling_ratio, smallest)

    dtype = features.dtype if features.dtype == tf.float64 else tf.float32
    batch, count, channels = tf.shape(boxes)[0], tf.shape(boxes)[1], features.shape[-1] or tf.shape(features)[-1]
    # Each product is shaped so that nothing between them is transposed: tf.einsum transposes, and takes 2.5 times as long.
    lines = tf.matmul(tf.reshape(tf.cast(down, dtype), [batch, count * pooled_height, height]),
                      tf.reshape(tf.cast(features, dtype), [batch, height, width * channels]))
    lines = tf.reshape(lines, [batch, count, pooled_height, width, channels])
    pooled = tf.matmul(tf.cast(across, dtype)[:, :, None], lines)  # the same matrix across for every line of bins
    return tf.cast(pooled, features.dtype)


def _interpolation(start, end, bins, cells, samples, smallest):
    """[B, N, bins, cells]: the weight of every cell in the mean of the samples of every bin, along one axis."""
    size = end - start if smallest == 0.0 else tf.maximum(end - start, smallest)
    bin_size = (size / bins)[..., None, None]
    bin_index = tf.range(bins, dtype=tf.float32)[:, None]
    sample_index = tf.range(samples, dtype=tf.float32) + 0.5
    place = start[..., None, None] + bin_index * bin_size + sample_index * bin_size / samples   # [B, N, bins, samples]

    inside = (place >= -1.0) & (place <= tf.cast(cells, tf.float32))
    place = tf.clip_by_value(place, 0.0, tf.cast(cells - 1, tf.float32))
    before = tf.floor(place)
    fraction = tf.where(inside, place - before, 0.0)[..., None]
    rest = tf.where(inside, 1.0 - (place - before), 0.0)[..., None]
    before = tf.cast(before, tf.int32)
    after = tf.minimum(before + 1, cells - 1)
    weights = tf.one_hot(before, cells) * rest + tf.one_hot(after, cells) * fraction
    return tf.reduce_mean(weights, axis=-2)
