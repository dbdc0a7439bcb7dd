"""Every random draw of a run is a function of (seed, purpose, step), so that a resumed run repeats the unbroken one."""

import zlib

import numpy as np
import tensorflow as tf


def generator(seed, purpose, step=0):
    """A NumPy generator for one purpose (a string such as "rois") at one step."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), step])


def stateless_seed(seed, purpose, step):
    """An int32 [2] seed for the `tf.random.stateless_*` functions; `step` may be a tensor."""
    base = tf.constant([seed, zlib.crc32(purpose.encode()) & 0x7FFFFFFF], tf.int32)
    return tf.random.fold_in(base, tf.cast(step, tf.int32))
