"""Quotients and sums are those of float32, however TensorFlow runs them."""
import numpy as np
import pytest
import tensorflow as tf

from glimpse.ops.rounding import quotient

VALUES = np.concatenate([np.arange(1, 3000), np.random.default_rng(0).uniform(-300, 3000, 3000)]).astype("float32")


@pytest.mark.parametrize("way", ["eager", "graph", "compiled"])
def test_a_quotient_is_rounded_once(way):
    for count in (3, 5, 6, 7, 14, 49):
        def divide(values, count=count):
            return quotient(values, count)
        call = divide if way == "eager" else tf.function(divide, jit_compile=way == "compiled")
        np.testing.assert_array_equal(call(tf.constant(VALUES)), VALUES / np.float32(count))
