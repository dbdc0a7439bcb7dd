import numpy as np
import tensorflow as tf

from glimpse.network.deformable import DeformablePooling, displaced_roi_align
from glimpse.ops import roi_align

FEATURES = tf.random.stateless_normal([2, 9, 11, 3], [1, 2])
BOXES = tf.constant([[[1.0, 1, 7, 5], [2.5, 0.5, 9, 8]], [[3.0, 2, 6, 7], [1, 1, 10, 8]]])  # in cells
STILL = tf.zeros([2, 2, 3]), tf.zeros([2, 2, 4])


def test_without_displacements_it_is_roi_align():
    plain = roi_align(FEATURES, BOXES, (3, 4))
    np.testing.assert_allclose(displaced_roi_align(FEATURES, BOXES, *STILL), plain, atol=1e-5)
    np.testing.assert_allclose(DeformablePooling((3, 4), stride=4)(FEATURES, 4 * BOXES), plain, atol=1e-5)


def test_a_displacement_moves_its_row_or_column_alone_by_hand():
    """On a ramp of 100 a row and 1 a column, a row moved by a quarter of a height of 4 cells reads 100 more."""
    ramp = (100 * tf.range(9.0)[:, None] + tf.range(11.0))[None, :, :, None]
    box = tf.constant([[[2.0, 2, 6, 6]]])
    plain = displaced_roi_align(ramp, box, tf.zeros([1, 1, 2]), tf.zeros([1, 1, 2]))[0, 0, :, :, 0]
    moved = displaced_roi_align(ramp, box, tf.constant([[[0.0, 0.25]]]), tf.constant([[[-0.25, 0.0]]]))[0, 0, :, :, 0]
    np.testing.assert_allclose(moved - plain, [[-1, 0], [99, 100]], atol=1e-3)


def test_the_gradient_reaches_the_layer_of_the_displacements():
    pooling = DeformablePooling((3, 4), stride=4)
    pooling(FEATURES, 4 * BOXES)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(pooling(FEATURES, 4 * BOXES) ** 2)
    slope = tape.gradient(value, pooling.displacements.bias).numpy()
    for place in (0, 5):  # a row and a column
        step = np.zeros(7, np.float32)
        step[place] = 1e-2
        ends = []
        for sign in (1, -1):
            pooling.displacements.bias.assign(sign * step)
            ends.append(float(tf.reduce_sum(pooling(FEATURES, 4 * BOXES) ** 2)))
        pooling.displacements.bias.assign(0 * step)
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-2, slope[place], rtol=0.1, atol=0.05 * np.abs(slope).max())
