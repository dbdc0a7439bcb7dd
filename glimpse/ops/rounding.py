"""Arithmetic in float32 that graph optimisers leave as it is written, so that a value is the same however it is run.

Not by way of float64, which TFLite does not divide.
"""
import tensorflow as tf

LARGEST = 3.4e38


def quotient(value: tf.Tensor, count: int) -> tf.Tensor:
    """value / count, rounded once.

    Optimisers turn a division by a constant into a multiplication by its reciprocal, which is off by a bit: enough to
    move a bin of RoI pooling by a cell. So the divisor is made of the value, in a way that they cannot see through.
    """
    return value / tf.where(tf.abs(value) <= LARGEST, tf.constant(count, tf.float32), 1.0)


def total(first: tf.Tensor, negative_second: tf.Tensor) -> tf.Tensor:
    """first + second, the latter given with the other sign.

    Of several sums, optimisers add up first what has fewer dimensions, which rounds differently; not of differences.
    """
    return first - negative_second
