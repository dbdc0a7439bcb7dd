"""Every random draw of a run is a function of (seed, purpose, step), so that a resumed run repeats the unbroken one."""

import contextlib
import contextvars
import zlib

import numpy as np
import tensorflow as tf

_rows = contextvars.ContextVar("rows", default=(0, 1))


def generator(seed, purpose, step=0):
    """A NumPy generator for one purpose (a string such as "rois") at one step."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), step])


def stateless_seed(seed, purpose, step):
    """An int32 [2] seed for the `tf.random.stateless_*` functions; `step` may be a tensor."""
    base = tf.constant([seed, zlib.crc32(purpose.encode()) & 0x7FFFFFFF], tf.int32)
    return tf.random.fold_in(base, tf.cast(step, tf.int32))


@contextlib.contextmanager
def part_of_batch(place, parts):
    """Within, what is computed is part `place` of a batch that was cut into so many equal ones (see `for_rows`)."""
    token = _rows.set((place, parts))
    try:
        yield
    finally:
        _rows.reset(token)


def for_rows(draw, shape):
    """What `draw(shape)` gives to these rows, the first axis, where they are a part of a batch: as if it were whole.

    The rows of a batch then draw the same, however many devices share it. All of it is drawn, and this part is kept.

    Args:
        draw: called with a shape, int32 [n] or a list.
        shape: of these rows.
    """
    place, parts = _rows.get()
    if parts == 1:
        return draw(shape)
    shape = tf.convert_to_tensor(shape)
    return draw(tf.concat([shape[:1] * parts, shape[1:]], axis=0))[place * shape[0]:(place + 1) * shape[0]]
