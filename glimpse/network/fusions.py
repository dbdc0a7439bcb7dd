"""How fc7 of all glimpses becomes the one vector that the heads read.

A fusion is a function (fused so far [M, D], what the next glimpse gave [M, D], how many glimpses that makes) -> [M, D].
One of one's own is registered with `@gin.register` and named in a gin file: `GlimpseDetector.fusion = @my_fusion`.
"""

import gin
import tensorflow as tf


@gin.register("max", module="fusion")
def max_fusion(fused: tf.Tensor, hidden: tf.Tensor, count: int) -> tf.Tensor:
    """The element-wise maximum (Hara et al. 2017)."""
    return tf.maximum(fused, hidden)


@gin.register("mean", module="fusion")
def mean_fusion(fused: tf.Tensor, hidden: tf.Tensor, count: int) -> tf.Tensor:
    """The mean [ours]."""
    return fused + (hidden - fused) / count


@gin.register("last", module="fusion")
def last_fusion(fused: tf.Tensor, hidden: tf.Tensor, count: int) -> tf.Tensor:
    """What the last glimpse gave [ours]: with a recurrence, it holds what the glimpses before it left there."""
    return hidden
