"""RoI align: the mean of a feature map, sampled between its cells, in every bin of a box."""
import functools
from collections.abc import Sequence

import tensorflow as tf

from glimpse.ops import bilinear_matrices, bilinear_taps
from glimpse.ops.arguments import (
    check_features_and_boxes,
    check_pooled_size,
    check_sampling_ratio,
    check_spatial_scale,
    pooled_of_ragged,
)
from glimpse.ops.rounding import quotient, total


def roi_align(features: tf.Tensor, boxes: tf.Tensor, pooled_size: int | Sequence[int], spatial_scale: float = 1.0,
              sampling_ratio: int = 2, aligned: bool = True, box_gradient: bool = False) -> tf.Tensor:
    """Averages bilinear samples of a feature map over every bin of a box; nothing is rounded.

    Coordinates. Boxes are continuous pixels with the origin at the top left corner of the image; `spatial_scale` is the
    size of the map over that of the image. Every bin, of size (width / P, height / P), is sampled at sampling_ratio x
    sampling_ratio points, spread evenly. With `aligned`, cell k has its centre at k + 0.5: x1 = 0, x2 = 2 at scale 1,
    in one bin with two samples, is sampled at 0.5 and 1.5, the centres of cells 0 and 1. Without, as in the first
    published version, cell k has its centre at k (the same samples lie between cells 0 and 1 and between 1 and 2), and
    an RoI is at least one cell wide and high. A sample up to one cell outside the outermost centres has the value of
    the edge; farther out it is 0.

    In a `tf.function` whose shapes are known (all but the batch size), the cells that samples lie between are gathered
    and added up by compiled code, at a cost that grows with the bins and not with the map; half a second a shape to
    compile. Elsewhere, and on maps so small that it is cheaper (`taps_win` says where), pooling is two products with
    matrices of interpolation, which take B * N * P * W * C numbers in between, and in which a cell that is not finite
    spoils more than the bins that sample it. The gradient into the features has the same two ways, of which a caller
    compiled by XLA as a whole has the matrices only.

    Args:
        features: float32, float64, float16 or bfloat16 [B, H, W, C].
        boxes: float32 [B, N, 4], (x1, y1, x2, y2), or ragged [B, None, 4], which gives a ragged result.
        pooled_size: P, or (pooled_height, pooled_width).
        spatial_scale: map cells per pixel.
        sampling_ratio: samples along each side of a bin.
        aligned: whether the centre of cell k is at k + 0.5 or at k.
        box_gradient: whether gradients also go into the boxes, through the places of the samples. At a cell's centre,
            where the slope of the interpolation jumps, it is the slope towards the next cell.

    Returns:
        [B, N, pooled_height, pooled_width, C], of the dtype of `features`; half precision is computed in float32.

    Raises:
        ValueError, TypeError, tf.errors.InvalidArgumentError: as `roi_pool`; and for a sampling ratio that is not
        whole, or below 1.

    Sources: He et al., "Mask R-CNN", 2017, section 3; the operator `roi_align` of torchvision, whose values these are,
    except that its adaptive sampling ratio (a number of samples that depends on the box) is not offered.
    """
    if isinstance(boxes, tf.RaggedTensor):
        pool = functools.partial(
            roi_align, pooled_size=pooled_size, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio,
            aligned=aligned, box_gradient=box_gradient)
        return pooled_of_ragged(pool, features, boxes)
    features, boxes = check_features_and_boxes(features, boxes, (tf.float32, tf.float64, tf.float16, tf.bfloat16))
    pooled_height, pooled_width = check_pooled_size(pooled_size)
    sampling_ratio = check_sampling_ratio(sampling_ratio)
    boxes = boxes * check_spatial_scale(spatial_scale) - (0.5 if aligned else 0.0)
    if not box_gradient:
        boxes = tf.stop_gradient(boxes)
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    smallest = 0.0 if aligned else 1.0
    down = _places(y1, y2, pooled_height, sampling_ratio, smallest)
    across = _places(x1, x2, pooled_width, sampling_ratio, smallest)

    dtype = features.dtype
    features = features if dtype == tf.float64 else tf.cast(features, tf.float32)
    shapes_known = features.shape[1:].is_fully_defined() and boxes.shape[1] is not None
    taps, spread_taps = taps_win(features.shape, pooled_width, sampling_ratio) if shapes_known else (False, False)
    if taps and not tf.executing_eagerly():
        pooled = bilinear_taps.means(features, down, across, not spread_taps, box_gradient)
    else:
        pooled = bilinear_matrices.means(features, down, across)
    return tf.cast(pooled, dtype)


def taps_win(features_shape: tf.TensorShape, pooled_width: int, sampling_ratio: int) -> tuple[bool, bool]:
    """Whether taps beat products with the whole map: (for the means, for their gradient into the features).

    For a line of bins and a channel, the products take W * (H + pooled_width) multiplications and the taps (2S)^2 *
    pooled_width. A multiplication of either costs about the same where the taps are read. Where they are added up in
    the cells, one costs twice as much, and every tap another 256, whatever the number of channels.
    """
    _, height, width, channels = features_shape
    products, taps = width * (height + pooled_width), (2 * sampling_ratio)**2 * pooled_width
    means = products >= taps
    return means, means and products * channels >= taps * (2 * channels + 256)


def _places(start, end, bins, samples, smallest):
    """[B, N, bins, samples]: where the bins of a box are sampled along one axis, in cells."""
    size = end - start if smallest == 0.0 else tf.maximum(end - start, smallest)
    bin_size = quotient(size, bins)[..., None, None]
    bin_start = start[..., None, None] + tf.range(bins, dtype=tf.float32)[:, None] * bin_size
    offset = quotient(-(tf.range(samples, dtype=tf.float32) + 0.5) * bin_size, samples)
    return total(bin_start, offset)
