"""RoI align: values, gradients into features and boxes, and the ways it is called."""
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.ops import roi_align


def test_the_numbers_of_the_docstring():
    features = np.float32([0, 10, 20]).reshape(1, 1, 3, 1)
    boxes = np.float32([[[0, 0, 2, 1]]])
    assert roi_align(features, boxes, 1).numpy().item() == 5               # mean of the cells 0 and 1
    assert roi_align(features, boxes, 1, aligned=False).numpy().item() == 10   # mean of 5 and 15


def test_a_ramp_is_sampled_at_the_centres_of_the_bins():
    y, x = np.meshgrid(np.arange(12) + 0.5, np.arange(15) + 0.5, indexing="ij")   # cell k has its centre at k + 0.5
    features = np.stack([y, x], axis=-1).astype("float32")[None]
    pooled = roi_align(features, np.float32([[[4, 8, 24, 20]]]), (3, 4), spatial_scale=0.5)   # cells 2-12, 4-10
    np.testing.assert_allclose(pooled[0, 0, :, 0, 0], [5, 7, 9], rtol=1e-6)
    np.testing.assert_allclose(pooled[0, 0, 0, :, 1], [3.25, 5.75, 8.25, 10.75], rtol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    pooled_size=st.tuples(st.integers(1, 4), st.integers(1, 4)), scale=st.sampled_from([1.0, 0.25]),
    sampling_ratio=st.integers(1, 3), aligned=st.booleans(),
    boxes=st.lists(st.tuples(*[st.floats(-8, 16, width=32)] * 4), max_size=4))
def test_values_are_those_of_the_loops(slow_roi_align, seed, size, pooled_size, scale, sampling_ratio, aligned, boxes):
    features = np.random.default_rng(seed).standard_normal((1, *size, 2)).astype("float32")
    # Off the places where float32 decides whether a sample is one cell outside or more.
    boxes = (np.float32(boxes).reshape(1, -1, 4) + np.float32(0.0137)) / np.float32(scale)
    found = roi_align(features, boxes, pooled_size, scale, sampling_ratio, aligned)
    expected = slow_roi_align(features, boxes, pooled_size, scale, sampling_ratio, aligned)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("aligned, sampling_ratio, expected", [
    (True, 2, [[[-3.58333, -3.875, 3.20833], [0.04167, -3.5, -1.58333]], [[-4.875, -0.25, -2.625], [-5.1875, -4.625, -2.67708]],
               [[1.7021, 0, 0], [0, 0, 0]], [[-3.36719, -3.33594, -5.47656], [-3.48438, -2.08594, -4.11719]],
               [[0, 0, 0], [0, 0, 0]], [[-3.35417, -2.8125, -2.27083], [-6.52083, -5.3125, -4.10417]]]),
    (False, 1, [[[-4.33333, -2, 5.66667], [-1, 0, -1.33333]], [[-7.66667, 0, -4], [-8.33333, -1, -5.33333]],
                [[0, 0, 0], [0, 0, 0]], [[-2.66667, -4, -5.33333], [-5.33333, -4, -2.66667]],
                [[0, 0, 0], [0, 0, 0]], [[-0.33333, 0, -2.66667], [-3, -2, -4]]]),
])
def test_values_of_torchvision_as_recorded(patterned, aligned, sampling_ratio, expected):
    found = roi_align(*patterned, (2, 3), sampling_ratio=sampling_ratio, aligned=aligned)
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=2e-5)


@pytest.mark.parametrize("aligned", [True, False])
def test_values_of_torchvision(torchvision_values, aligned):
    random = np.random.default_rng(5)
    features = random.standard_normal((2, 21, 17, 4)).astype("float32")
    boxes = (random.uniform(-10, 30, (2, 60, 4)) * 4).astype("float32")
    upstream = random.standard_normal((2, 60, 3, 5, 4)).astype("float32")
    pooled, gradient = torchvision_values("roi_align", features, boxes, upstream, (3, 5), 0.25, 2, aligned)
    features = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        found = roi_align(features, boxes, (3, 5), 0.25, 2, aligned)
    np.testing.assert_allclose(found, pooled, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(found, features, upstream), gradient, atol=1e-4)


@pytest.mark.parametrize("aligned", [True, False])
def test_gradients_are_the_slopes(aligned):
    random = np.random.default_rng(0)
    features = random.standard_normal((1, 6, 7, 2))   # float64
    boxes = tf.constant([[[0.8, 0.6, 5.7, 4.3], [2.1, 1.3, 4.9, 5.6], [-1.7, 2.2, 9.4, 3.9]]])
    weights = random.standard_normal((1, 3, 2, 3, 2))

    def loss(features, boxes):
        return tf.reduce_sum(weights * roi_align(features, boxes, (2, 3), aligned=aligned, box_gradient=True))

    features = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch([features, boxes])
        value = loss(features, boxes)
    to_features, to_boxes = tape.gradient(value, [features, boxes])
    for index in np.ndindex(*boxes.shape):
        step = np.zeros(boxes.shape, "float32")
        step[index] = 2**-7
        slope = (loss(features, boxes + step) - loss(features, boxes - step)) / 2**-6
        assert float(slope) == pytest.approx(float(to_boxes[index]), abs=2e-3)
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 3, 0, 0), (0, 5, 6, 1)]:
        step = np.zeros(features.shape)
        step[index] = 1e-3
        slope = (loss(features + step, boxes) - loss(features - step, boxes)) / 2e-3
        assert float(slope) == pytest.approx(float(to_features[index]), abs=1e-6)


def test_at_the_centre_of_a_cell_the_box_gradient_is_the_slope_to_the_next():
    features, boxes = tf.reshape(tf.constant([0.0, 1.0, 4.0, 9.0]), [1, 1, 4, 1]), tf.constant([[[1.0, 0.0, 2.0, 1.0]]])
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        value = roi_align(features, boxes, 1, sampling_ratio=1, box_gradient=True)   # sampled at the centre of cell 1
    assert float(tf.squeeze(value)) == 1
    np.testing.assert_array_equal(np.ravel(tape.gradient(value, boxes))[[0, 2]], [1.5, 1.5])   # half of 4 - 1 from each end


def test_boxes_have_no_gradient_unless_asked():
    features, boxes = tf.ones([1, 4, 4, 1]), tf.constant([[[0.0, 0.0, 2.0, 2.0]]])
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        pooled = roi_align(features, boxes, 2)
    assert tape.gradient(pooled, boxes) is None


@pytest.mark.parametrize("mode", ["shapes known", "shapes unknown", "jit_compile"])
def test_every_mode_gives_the_same(mode):
    random = np.random.default_rng(3)
    features, boxes = random.standard_normal((2, 9, 8, 3)).astype("f"), random.uniform(-4, 12, (2, 5, 4)).astype("f")
    specs = [tf.TensorSpec([None] * 4), tf.TensorSpec([None] * 3)] if mode == "shapes unknown" else None
    align = tf.function(lambda *inputs: roi_align(*inputs, 3), input_signature=specs, jit_compile=mode == "jit_compile" or None)
    np.testing.assert_allclose(align(features, boxes), roi_align(features, boxes, 3), atol=1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_dtypes(dtype):
    features = tf.cast(np.random.default_rng(0).standard_normal((1, 6, 6, 2)), dtype)
    boxes = np.float32([[[0, 0, 4.5, 5.5], [1, 2, 3, 4]]])
    pooled = roi_align(features, boxes, 3)
    assert pooled.dtype == dtype
    expected = tf.cast(roi_align(tf.cast(features, tf.float32), boxes, 3), dtype)
    np.testing.assert_allclose(tf.cast(pooled, tf.float32), tf.cast(expected, tf.float32), atol=1e-6)


@pytest.mark.parametrize("batch, boxes, size", [(1, 0, 5), (0, 3, 5), (2, 3, 1)])
def test_nothing_to_pool_and_a_map_of_one_cell(batch, boxes, size):
    pooled = roi_align(np.ones((batch, size, size, 2), "f"), np.zeros((batch, boxes, 4), "f"), 3)
    np.testing.assert_array_equal(pooled, np.ones((batch, boxes, 3, 3, 2)))


def test_errors_name_the_argument():
    features, boxes = np.ones((2, 5, 5, 3), "float32"), np.zeros((2, 4, 4), "float32")
    with pytest.raises(ValueError, match=r"boxes .*\(2, 4, 3\)"):
        roi_align(features, boxes[..., :3], 2)
    with pytest.raises(ValueError, match="sampling_ratio .*0"):
        roi_align(features, boxes, 2, sampling_ratio=0)
    with pytest.raises(ValueError, match="sampling_ratio .*1.5"):
        roi_align(features, boxes, 2, sampling_ratio=1.5)
    with pytest.raises(ValueError, match="pooled_size .*0"):
        roi_align(features, boxes, 0)
