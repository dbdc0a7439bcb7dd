import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.geometry import boxes

coordinate = st.floats(-50, 150, width=32)
side = st.floats(1, 100, width=32)
box = st.tuples(coordinate, coordinate, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def test_encode_by_hand():
    # Proposal 20 wide, 10 high, centre (20, 15); box 40 wide, 10 high, centre (30, 20).
    deltas = boxes.encode(tf.constant([[10.0, 15, 50, 25]]), tf.constant([[10.0, 10, 30, 20]]))
    np.testing.assert_allclose(deltas, [[10 / 20, 5 / 10, np.log(2), 0]], rtol=1e-6, atol=1e-6)


@settings(deadline=None, derandomize=True)
@given(box, box)
def test_decode_inverts_encode(target, proposal):
    target, proposal = tf.constant([target], tf.float32), tf.constant([proposal], tf.float32)
    ratio = (target[:, 2:] - target[:, :2]) / (proposal[:, 2:] - proposal[:, :2])
    if tf.reduce_max(ratio) < 60:  # above 62.5 the size is bounded
        np.testing.assert_allclose(boxes.decode(boxes.encode(target, proposal), proposal), target, atol=2e-2)


def test_decode_bounds_the_size():
    decoded = boxes.decode(tf.constant([[0.0, 0, 100, -100]]), tf.constant([[0.0, 0, 2, 2]]))
    np.testing.assert_allclose(decoded, [[1 - 62.5, 1, 1 + 62.5, 1]], rtol=1e-5)


def test_clip_by_hand():
    cut = boxes.clip(tf.constant([[-5.0, -5, 5, 5], [90, 60, 120, 80], [200, 200, 300, 300]]), height=64, width=96)
    np.testing.assert_array_equal(cut, [[0, 0, 5, 5], [90, 60, 96, 64], [96, 64, 96, 64]])


def test_paired_iou_by_hand():
    one = tf.constant([[0.0, 0, 4, 4]] * 4)
    others = tf.constant([[0.0, 0, 4, 4], [2, 0, 6, 4], [4, 4, 8, 8], [1, 1, 1, 1]])
    np.testing.assert_allclose(boxes.paired_iou(one, others), [1, 8 / 24, 0, 0])
    assert float(boxes.paired_iou(tf.zeros([4]), tf.zeros([4]))) == 0
