"""RoI align: values, gradients into features and boxes, and the ways it is called."""
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.ops import roi_align
from glimpse.ops.roi_align import taps_win

WAYS = pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["matrices", "taps"])   # eager, and shapes known


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


_four_boxes = tf.function(lambda features, boxes: roi_align(features, boxes, (2, 3), 0.25, aligned=False))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1),
       boxes=st.lists(st.tuples(*[st.floats(-8, 16, width=32)] * 4), min_size=4, max_size=4))
def test_taps_have_the_values_of_the_loops(slow_roi_align, seed, boxes):
    features = np.random.default_rng(seed).standard_normal((1, 9, 7, 2)).astype("float32")
    boxes = (np.float32(boxes)[None] + np.float32(0.0137)) * 4
    expected = slow_roi_align(features, boxes, (2, 3), 0.25, 2, False)
    np.testing.assert_allclose(_four_boxes(features, boxes), expected, atol=2e-5)


# --- taps or matrices

@pytest.mark.parametrize("size, channels, sampling_ratio, expected", [
    # In 3 columns of bins, products take W * (H + 3) and taps 16 * 3 = 48, or 36 * 3 = 108 with 3 samples.
    ((5, 5), 8, 2, (False, False)),        # 40
    ((6, 5), 8, 2, (False, False)),        # 45
    ((5, 6), 8, 2, (True, False)),         # 48
    ((10, 8), 8, 3, (False, False)),       # 104
    ((9, 9), 8, 3, (True, False)),         # 108
    # The gradient into the features: 8 * W * (H + 3) against 48 * (2 * 8 + 256) = 13056.
    ((38, 39), 8, 2, (True, False)),       # 12792
    ((39, 39), 8, 2, (True, True)),        # 13104
    ((24, 24), 64, 2, (True, True)),       # the digits' map: 41472 against 18432
    ((12, 12), 64, 2, (True, False)),      # 11520
])
def test_taps_win_where_the_map_is_larger_than_what_they_read(size, channels, sampling_ratio, expected):
    assert taps_win([None, *size, channels], 3, sampling_ratio) == expected


@pytest.mark.parametrize("size, channels, taps, spread", [
    ((6, 5), 8, False, False), ((5, 6), 8, True, False), ((38, 39), 8, True, False), ((39, 39), 8, True, True)])
def test_both_sides_of_the_border_give_the_same(size, channels, taps, spread):
    random = np.random.default_rng(1)
    features = random.standard_normal((2, *size, channels)).astype("f")
    boxes = random.uniform(-3, max(size) + 3, (2, 9, 4)).astype("f")
    upstream = random.standard_normal((2, 9, 2, 3, channels)).astype("f")
    both = tf.function(lambda *inputs: pooled_and_gradients(*inputs, (2, 3)))
    # Eager, the matrices are used for every shape.
    slow = pooled_and_gradients(features, boxes, upstream, (2, 3))
    for found, expected in zip(both(features, boxes, upstream), slow):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(both(features, boxes, upstream)[0], roi_align(features, boxes, (2, 3)), atol=1e-5)
    operations = both.get_concrete_function(*map(tf.constant, (features, boxes, upstream))).graph.get_operations()
    assert any(op.type.endswith("PartitionedCall") and op.get_attr("_XlaMustCompile") for op in operations) == taps
    assert any(op.type == "SparseMatrixMatMul" for op in operations) == spread


def pooled_and_gradients(features, boxes, upstream, pooled_size, **settings):
    features, boxes = tf.convert_to_tensor(features), tf.convert_to_tensor(boxes)
    with tf.GradientTape() as tape:
        tape.watch([features, boxes])
        pooled = roi_align(features, boxes, pooled_size, box_gradient=True, **settings)
    return pooled, *tape.gradient(pooled, [features, boxes], upstream)


# --- values of torchvision

@pytest.mark.parametrize("aligned, sampling_ratio, expected", [
    (True, 2, [[[-3.58333, -3.875, 3.20833], [0.04167, -3.5, -1.58333]],
               [[-4.875, -0.25, -2.625], [-5.1875, -4.625, -2.67708]],
               [[1.7021, 0, 0], [0, 0, 0]], [[-3.36719, -3.33594, -5.47656], [-3.48438, -2.08594, -4.11719]],
               [[0, 0, 0], [0, 0, 0]], [[-3.35417, -2.8125, -2.27083], [-6.52083, -5.3125, -4.10417]]]),
    (False, 1, [[[-4.33333, -2, 5.66667], [-1, 0, -1.33333]], [[-7.66667, 0, -4], [-8.33333, -1, -5.33333]],
                [[0, 0, 0], [0, 0, 0]], [[-2.66667, -4, -5.33333], [-5.33333, -4, -2.66667]],
                [[0, 0, 0], [0, 0, 0]], [[-0.33333, 0, -2.66667], [-3, -2, -4]]]),
])
@WAYS
def test_values_of_torchvision_as_recorded(wrap, patterned, aligned, sampling_ratio, expected):
    found = wrap(lambda *inputs: roi_align(*inputs, (2, 3), sampling_ratio=sampling_ratio, aligned=aligned))(*patterned)
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=2e-5)


@WAYS
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("size", [(21, 17), (190, 180)])
def test_values_of_torchvision(torchvision_values, size, aligned, wrap):
    random = np.random.default_rng(5)
    features = random.standard_normal((2, *size, 4)).astype("float32")
    boxes = (random.uniform(-10, max(size) + 10, (2, 60, 4)) * 4).astype("float32")
    upstream = random.standard_normal((2, 60, 3, 5, 4)).astype("float32")
    pooled, gradient = torchvision_values("roi_align", features, boxes, upstream, (3, 5), 0.25, 2, aligned)
    found, found_gradient, _ = wrap(lambda *inputs: pooled_and_gradients(
        *inputs, (3, 5), spatial_scale=0.25, aligned=aligned))(features, boxes, upstream)
    np.testing.assert_allclose(found, pooled, atol=1e-5)
    np.testing.assert_allclose(found_gradient, gradient, atol=1e-5)


@WAYS
@pytest.mark.parametrize("aligned", [True, False])
def test_gradients_are_the_slopes(aligned, wrap):
    random = np.random.default_rng(0)
    features = random.standard_normal((1, 6, 7, 2))   # float64
    boxes = tf.constant([[[0.8, 0.6, 5.7, 4.3], [2.1, 1.3, 4.9, 5.6], [-1.7, 2.2, 9.4, 3.9]]])
    weights = random.standard_normal((1, 3, 2, 3, 2))

    @wrap
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


@WAYS
def test_at_the_centre_of_a_cell_the_box_gradient_is_the_slope_to_the_next(wrap):
    features, boxes = tf.reshape(tf.constant([0.0, 1.0, 4.0, 9.0]), [1, 1, 4, 1]), tf.constant([[[1.0, 0.0, 2.0, 1.0]]])
    # One sample, at the centre of cell 1.
    value, _, gradient = wrap(lambda *inputs: pooled_and_gradients(*inputs, 1, sampling_ratio=1))(
        features, boxes, tf.ones([1, 1, 1, 1, 1]))
    assert float(tf.squeeze(value)) == 1
    np.testing.assert_array_equal(np.ravel(gradient)[[0, 2]], [1.5, 1.5])   # half of 4 - 1 from each end


def test_gradients_are_the_same_to_the_bit_every_time():
    random = np.random.default_rng(2)
    features = random.standard_normal((2, 30, 30, 32)).astype("f")
    boxes = random.uniform(0, 30, (2, 100, 4)).astype("f")
    upstream = random.standard_normal((2, 100, 5, 5, 32)).astype("f")
    both = tf.function(lambda *inputs: pooled_and_gradients(*inputs, 5))
    first = both(features, boxes, upstream)
    for _ in range(5):
        for found, expected in zip(both(features, boxes, upstream), first):
            np.testing.assert_array_equal(found, expected)


@WAYS
def test_gradient_of_the_gradient_goes_back_to_the_upstream(wrap):
    random = np.random.default_rng(2)
    features, change = random.standard_normal((2, 1, 30, 30, 8)).astype("f")
    boxes = random.uniform(0, 30, (1, 4, 4)).astype("f")

    @wrap
    def slope(upstream):
        with tf.GradientTape() as outer:
            outer.watch(upstream)
            _, gradient, _ = pooled_and_gradients(features, boxes, upstream, 2)
            loss = tf.reduce_sum(gradient * change)
        return outer.gradient(loss, upstream)

    # The gradient is linear in the upstream, and its transpose pools.
    np.testing.assert_allclose(slope(tf.ones([1, 4, 2, 2, 8])), roi_align(change, boxes, 2), atol=1e-5)


def test_boxes_have_no_gradient_unless_asked():
    features, boxes = tf.ones([1, 4, 4, 1]), tf.constant([[[0.0, 0.0, 2.0, 2.0]]])
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        pooled = roi_align(features, boxes, 2)
    assert tape.gradient(pooled, boxes) is None


@pytest.mark.parametrize("mode", ["shapes known", "batch unknown", "shapes unknown", "jit_compile"])
def test_every_mode_gives_the_same(mode):
    random = np.random.default_rng(3)
    features, boxes = random.standard_normal((2, 39, 40, 8)).astype("f"), random.uniform(-4, 44, (2, 5, 4)).astype("f")
    upstream = random.standard_normal((2, 5, 3, 3, 8)).astype("f")
    specs = {
        "batch unknown": ([None, 39, 40, 8], [None, 5, 4], [None, 5, 3, 3, 8]),
        "shapes unknown": ([None] * 4, [None] * 3, [None] * 5),
    }.get(mode)
    both = tf.function(lambda *inputs: pooled_and_gradients(*inputs, 3), jit_compile=mode == "jit_compile" or None,
                       input_signature=specs and [tf.TensorSpec(spec) for spec in specs])
    for found, expected in zip(both(features, boxes, upstream), pooled_and_gradients(features, boxes, upstream, 3)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@WAYS
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_dtypes(dtype, wrap):
    features = tf.cast(np.random.default_rng(0).standard_normal((1, 6, 6, 2)), dtype)
    boxes = np.float32([[[0, 0, 4.5, 5.5], [1, 2, 3, 4]]])
    pooled = wrap(lambda *inputs: roi_align(*inputs, 3))(features, boxes)
    assert pooled.dtype == dtype
    expected = tf.cast(roi_align(tf.cast(features, tf.float32), boxes, 3), dtype)
    np.testing.assert_allclose(tf.cast(pooled, tf.float32), tf.cast(expected, tf.float32), atol=1e-6)


@WAYS
@pytest.mark.parametrize("batch, boxes, size", [(1, 0, 5), (0, 3, 5), (2, 3, 1), (1, 0, 60), (0, 3, 60)])
def test_nothing_to_pool_and_a_map_of_one_cell(batch, boxes, size, wrap):
    upstream = np.ones((batch, boxes, 3, 3, 2), "f")
    pooled, to_features, to_boxes = wrap(lambda *inputs: pooled_and_gradients(*inputs, 3))(
        np.ones((batch, size, size, 2), "f"), np.zeros((batch, boxes, 4), "f"), upstream)
    np.testing.assert_array_equal(pooled, upstream)
    assert float(tf.reduce_sum(to_features)) == pytest.approx(upstream.sum()) and not np.any(to_boxes)


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
