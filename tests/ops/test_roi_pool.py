"""RoI max pooling: values, gradients, and the ways it is called."""
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.ops import roi_pool

repeatable = settings(deadline=None, derandomize=True, max_examples=50)


def columns(width):
    """A map one line high, in which every cell holds its column."""
    return np.arange(width, dtype="float32").reshape(1, 1, width, 1)


def pooled_and_gradient(pool, features, boxes, upstream):
    features = tf.convert_to_tensor(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = pool(features, tf.convert_to_tensor(boxes))
    return pooled, tape.gradient(pooled, features, upstream)


def scattered(where, upstream, shape):
    gradient = np.zeros(shape)
    for index in np.ndindex(where.shape):
        if where[index] is not None:
            gradient[where[index]] += upstream[index]
    return gradient


@st.composite
def cases(draw):
    """Small maps, half of them with many ties, and boxes that are tiny, huge, reversed, outside, half-way."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    shape = draw(st.integers(0, 2)), height, width, draw(st.integers(1, 3))
    features = random.integers(-2, 3, shape) if draw(st.booleans()) else random.standard_normal(shape)
    scale = draw(st.sampled_from([1.0, 0.5, 1 / 16, 0.3]))
    coordinate = st.one_of(
        st.integers(-50, 90).map(lambda halves: halves / 2), st.floats(-30, 50, width=32),
        st.sampled_from([1e9, -1e9, 3e38, -3e38, 0.49999997, -0.49999997]))
    boxes = [[draw(coordinate) for _ in range(4)] for _ in range(draw(st.integers(0, 3)))]
    boxes = np.float32(np.clip(np.float64(boxes).reshape(1, -1, 4) / scale, -3e38, 3e38)).repeat(shape[0], axis=0)
    pooled_size = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    return features.astype("float32"), boxes, pooled_size, scale, random


# --- values by hand

def test_bins_share_a_cell_where_the_size_does_not_divide():
    features = np.float32([[1, 2, 3, 0], [5, 4, 9, 1], [6, 8, 7, 2], [0, 1, 2, 3]]).reshape(1, 4, 4, 1)
    boxes = np.float32([[[0, 0, 2, 2], [1, 1, 3, 3], [0, 0, 3, 3]]])   # 3x3 cells, 3x3 cells, 4x4 cells
    expected = [[[5, 9], [8, 9]], [[9, 9], [8, 7]], [[5, 9], [8, 7]]]
    np.testing.assert_array_equal(roi_pool(features, boxes, 2)[0, ..., 0], expected)


def test_the_numbers_of_the_docstring():
    boxes = np.float32([[[16, 0, 104, 0]]])
    fast = roi_pool(columns(20), boxes, (1, 2), 1 / 16)
    np.testing.assert_array_equal(np.ravel(fast), [1 + 3, 1 + 6])      # cells 1-7: 0-3 and 3-6 of them
    boxes[..., 3] = 16
    article = roi_pool(columns(20), boxes, (1, 2), 1 / 16, bins="article")
    np.testing.assert_array_equal(np.ravel(article), [1 + 1, 1 + 4])   # cells 1-5: 0-1 and 2-4 of them


@pytest.mark.parametrize("x, cell", [(0.5, 1), (1.5, 2), (2.5, 3), (0.49999997, 0), (2.4999998, 2), (-0.49999997, 0)])
def test_half_way_cases_round_away_from_zero(x, cell):
    assert roi_pool(columns(9), np.float32([[[x, 0, x, 0]]]), 1).numpy().item() == cell


def test_negative_half_way_cases_round_away_from_zero():
    # -0.5 is cell -1 and 1.5 is cell 2: 4 cells, in 4 bins, of which the first is outside.
    pooled = roi_pool(columns(9) + 1, np.float32([[[-0.5, 0, 1.5, 0]]]), (1, 4))
    np.testing.assert_array_equal(np.ravel(pooled), [0, 1, 2, 3])


def test_float32_sizes_leak_a_cell_as_the_compiled_operators_do():
    # 57 cells in 7 bins, column by column; in exact arithmetic the last would be 56. Recorded from torchvision.
    pooled = roi_pool(columns(60), np.float32([[[0, 0, 56, 0]]]), (1, 7))
    np.testing.assert_array_equal(np.ravel(pooled), [8, 16, 24, 32, 40, 48, 57])


@pytest.mark.parametrize("jit_compile, counts", [(None, (7, 11)), (True, (7,))])
def test_float32_sizes_are_the_same_in_a_graph(jit_compile, counts):
    # Graph optimisers turn x / 7 into x * (1 / 7), which in float32 is another number for many sizes.
    size = np.arange(1, 300, dtype="float32")
    boxes = np.stack([0 * size, 0 * size, size - 1, 0 * size], axis=-1)[None]
    signature = None if jit_compile else [tf.TensorSpec([None] * 4), tf.TensorSpec([None] * 3)]
    pool = tf.function(
        lambda *inputs: [roi_pool(*inputs, (1, count)) for count in counts], signature, jit_compile=jit_compile)
    for count, pooled in zip(counts, pool(columns(400), boxes)):
        end = np.ceil(np.arange(1, count + 1, dtype="float32") * (size / np.float32(count))[:, None])
        np.testing.assert_array_equal(pooled[0, :, 0, :, 0], end - 1)


def test_example_of_the_article():
    features = np.ones((1, 200, 100, 1), "float32")
    features[0, 199, 97, 0] = 50
    boxes = np.float32([[[0.2 * 100, 0.5 * 200, 0.4 * 100, 0.7 * 200], [0, 0, 100, 200]]])
    first, second = roi_pool(features, boxes, (3, 7), bins="article")[0, ..., 0].numpy()
    np.testing.assert_array_equal(first, np.ones((3, 7)))
    assert second[2, 6] == 50 and second.sum() == 20 + 50


def test_bins_of_the_article_do_not_overlap_and_the_last_takes_the_rest():
    boxes = np.float32([[[2.9, 0, 13.9, 1], [2, 0, 5, 1], [5, 0, 2, 1]]])
    pooled = roi_pool(columns(20), boxes, (1, 4), bins="article")
    np.testing.assert_array_equal(pooled[0, :, 0, :, 0], [[3, 5, 7, 12], [0, 0, 0, 4], [0, 0, 0, 0]])


# --- against the references

@repeatable
@given(case=cases())
@pytest.mark.parametrize("bins", ["fast_rcnn", "article"])
def test_values_and_gradients_are_those_of_the_loops(slow_roi_pool, bins, case):
    features, boxes, pooled_size, scale, random = case
    pooled, where = slow_roi_pool(features, boxes, pooled_size, scale, bins)
    upstream = random.standard_normal(pooled.shape).astype("float32")
    found, gradient = pooled_and_gradient(
        lambda features, boxes: roi_pool(features, boxes, pooled_size, scale, bins), features, boxes, upstream)
    np.testing.assert_array_equal(found, pooled)
    np.testing.assert_allclose(gradient, scattered(where, upstream, features.shape), atol=1e-5)


@pytest.mark.parametrize("mode", ["shapes known", "batch unknown", "shapes unknown", "jit_compile"])
def test_every_mode_gives_the_same(slow_roi_pool, mode):
    random = np.random.default_rng(3)
    features = random.integers(-3, 4, (2, 13, 17, 5)).astype("float32")
    boxes = random.uniform(-12, 30, (2, 9, 4)).astype("float32")
    upstream = random.standard_normal((2, 9, 3, 2, 5)).astype("float32")
    specs = {
        "batch unknown": ([None, 13, 17, 5], [None, 9, 4], [None, 9, 3, 2, 5]),
        "shapes unknown": ([None] * 4, [None] * 3, [None] * 5),
    }.get(mode)

    @tf.function(input_signature=specs and [tf.TensorSpec(spec) for spec in specs],
                 jit_compile=mode == "jit_compile" or None)
    def both(features, boxes, upstream):
        return pooled_and_gradient(lambda *inputs: roi_pool(*inputs, (3, 2), 0.9), features, boxes, upstream)

    pooled, where = slow_roi_pool(features, boxes, (3, 2), 0.9)
    found, gradient = both(features, boxes, upstream)
    np.testing.assert_array_equal(found, pooled)
    np.testing.assert_allclose(gradient, scattered(where, upstream, features.shape), atol=1e-5)


@pytest.mark.parametrize("most_cells", [2, 3, 4, 5, 6, 7, 8, 9, 14])
def test_bins_of_every_size_have_the_values_and_gradients_of_the_loops(slow_roi_pool, most_cells):
    # In 3 bins on a map of 48 x 40, boxes of like bins of up to 8 x 8 cells are read in one go, others in groups.
    random = np.random.default_rng(most_cells)
    features = random.integers(-3, 4, (2, 48, 40, 2)).astype("float32")   # many ties
    corner, side = random.uniform(-3, 44, (2, 12, 2)), random.uniform(0, 3 * most_cells - 4, (2, 12, 2))
    side[:, 0], corner[:, 0] = 3 * most_cells - 1, 0   # a box of the largest bins
    boxes = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    upstream = random.standard_normal((2, 12, 3, 3, 2)).astype("float32")
    pooled, where = slow_roi_pool(features, boxes, (3, 3))
    found, gradient = _pool_in_thirds(features, boxes, upstream)
    np.testing.assert_array_equal(found, pooled)
    np.testing.assert_allclose(gradient, scattered(where, upstream, features.shape), atol=1e-5)


_pool_in_thirds = tf.function(
    lambda features, boxes, upstream: pooled_and_gradient(
        lambda *inputs: roi_pool(*inputs, 3), features, boxes, upstream))


def test_values_of_torchvision_as_recorded(patterned):
    pooled, gradient = pooled_and_gradient(
        lambda *inputs: roi_pool(*inputs, (2, 3)), *patterned, np.ones((1, 6, 2, 3, 1), "f"))
    np.testing.assert_array_equal(pooled[0, ..., 0], [
        [[11, 11, 11], [11, 0, 11]], [[-1, 0, -2], [11, 0, 0]], [[11, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [-1, 0, 0]]])
    expected = np.zeros((9, 11))
    for y, x, times in [
            (0, 1, 1), (0, 2, 1), (0, 4, 1), (1, 3, 4), (1, 7, 2), (3, 4, 1), (3, 8, 1), (4, 0, 3), (4, 3, 1),
            (4, 4, 3), (5, 9, 1), (6, 5, 6)]:
        expected[y, x] = times
    np.testing.assert_array_equal(gradient[0, ..., 0], expected)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("scale", [1.0, 1 / 16, 0.3])
def test_values_of_torchvision(torchvision_values, scale, wrap):
    random = np.random.default_rng(5)
    for pooled_size in [(7, 7), (2, 5)]:
        features = random.integers(-3, 4, (2, 31, 57, 4)).astype("float32")
        boxes = random.uniform(-20, 80, (2, 100, 4)) / scale
        boxes[:, ::2] = np.round(boxes[:, ::2] * scale * 2) / 2 / scale
        boxes = boxes.astype("float32")
        upstream = random.standard_normal((2, 100, *pooled_size, 4)).astype("float32")
        pooled, gradient = torchvision_values("roi_pool", features, boxes, upstream, pooled_size, scale)
        found, found_gradient = wrap(lambda *inputs: pooled_and_gradient(
            lambda *i: roi_pool(*i, pooled_size, scale), *inputs))(features, boxes, upstream)
        np.testing.assert_array_equal(found, pooled)
        np.testing.assert_array_equal(found_gradient, gradient)


# --- gradients

def test_gradient_is_the_slope():
    random = np.random.default_rng(0)
    # Apart by 1: a step of 0.25 keeps the order.
    features = random.permutation(6 * 7 * 2).astype("float32").reshape(1, 6, 7, 2)
    boxes = np.float32([[[0, 0, 6, 5], [1, 2, 4, 4], [3, 3, 3, 3], [-5, -5, 2, 2]]])
    weights = random.standard_normal((1, 4, 3, 2, 2)).astype("float32")
    _, gradient = pooled_and_gradient(lambda *inputs: roi_pool(*inputs, (3, 2)), features, boxes, weights)
    steps = 0.25 * np.eye(features.size, dtype="float32").reshape(-1, *features.shape[1:])   # a batch, each of one cell
    above, below = (
        np.sum(weights * roi_pool(features + sign * steps, boxes.repeat(len(steps), axis=0), (3, 2)), axis=(1, 2, 3, 4))
        for sign in (1, -1))
    np.testing.assert_allclose(((above - below) / 0.5).reshape(features.shape), gradient, atol=1e-3)


def test_ties_go_to_the_first_cell_in_row_major_order():
    features = np.float32([[0, 3, 1, 3], [3, 3, 3, 3]]).reshape(1, 2, 4, 1)
    _, gradient = pooled_and_gradient(
        lambda *inputs: roi_pool(*inputs, 1), features, np.float32([[[0, 0, 3, 1]]]), np.ones((1, 1, 1, 1, 1), "f"))
    np.testing.assert_array_equal(gradient[0, ..., 0], [[0, 1, 0, 0], [0, 0, 0, 0]])


def test_negative_zero_ties_with_zero():
    features = np.float32([-0.0, 0.0, -0.0]).reshape(1, 1, 3, 1)
    _, gradient = pooled_and_gradient(
        lambda *inputs: roi_pool(*inputs, 1), features, np.float32([[[0, 0, 2, 0]]]), np.ones((1, 1, 1, 1, 1), "f"))
    np.testing.assert_array_equal(np.ravel(gradient), [1, 0, 0])


def test_infinite_features_are_values_like_others():
    features = np.float32([-np.inf, 1, np.inf, -np.inf]).reshape(1, 1, 4, 1)
    boxes = np.float32([[[0, 0, 2, 0], [0, 0, 1, 0], [3, 0, 3, 0]]])
    pooled, gradient = pooled_and_gradient(
        lambda *inputs: roi_pool(*inputs, 1), features, boxes, np.ones((1, 3, 1, 1, 1), "f"))
    np.testing.assert_array_equal(np.ravel(pooled), [np.inf, 1, -np.inf])
    np.testing.assert_array_equal(np.ravel(gradient), [0, 1, 1, 1])


def test_no_gradient_flows_to_boxes_nor_from_empty_bins():
    features, boxes = tf.ones([1, 3, 3, 1]), tf.constant([[[10.0, 10.0, 20.0, 20.0]]])
    with tf.GradientTape() as tape:
        tape.watch([features, boxes])
        pooled = roi_pool(features, boxes, 2)
    to_features, to_boxes = tape.gradient(pooled, [features, boxes])
    assert to_boxes is None
    np.testing.assert_array_equal(pooled, np.zeros((1, 1, 2, 2, 1)))
    np.testing.assert_array_equal(to_features, np.zeros((1, 3, 3, 1)))


def test_gradient_of_the_gradient_goes_back_to_the_upstream():
    features = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    upstream = tf.constant(1.0, shape=[1, 1, 2, 2, 1])
    with tf.GradientTape() as outer:
        outer.watch(upstream)
        _, gradient = pooled_and_gradient(
            lambda *inputs: roi_pool(*inputs, 2), features, np.float32([[[0, 0, 2, 2]]]), upstream)
        loss = tf.reduce_sum(gradient * features)
    np.testing.assert_array_equal(np.ravel(outer.gradient(loss, upstream)), [4, 5, 7, 8])


def test_gradients_are_the_same_to_the_bit_every_time():
    random = np.random.default_rng(2)
    features = random.standard_normal((1, 30, 30, 32)).astype("f")
    boxes = random.uniform(0, 30, (1, 200, 4)).astype("f")
    upstream = random.standard_normal((1, 200, 7, 7, 32)).astype("f")
    both = tf.function(lambda *inputs: pooled_and_gradient(lambda *i: roi_pool(*i, 7), *inputs)[1])
    first = both(features, boxes, upstream).numpy()
    for _ in range(5):
        np.testing.assert_array_equal(both(features, boxes, upstream), first)


# --- dtypes, shapes and modes

@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision(dtype):
    random = np.random.default_rng(1)
    features = tf.cast(random.standard_normal((1, 9, 9, 3)), dtype)
    boxes = random.uniform(-3, 12, (1, 20, 4)).astype("float32")
    upstream = tf.cast(random.integers(-4, 5, (1, 20, 3, 3, 3)), dtype)
    for wrap in (lambda f: f, tf.function):
        call = wrap(lambda f, u: pooled_and_gradient(lambda *i: roi_pool(*i, 3), f, boxes, u))
        pooled, gradient = call(features, upstream)
        expected, expected_gradient = pooled_and_gradient(
            lambda *i: roi_pool(*i, 3), tf.cast(features, tf.float32), boxes, tf.cast(upstream, tf.float32))
        assert pooled.dtype == gradient.dtype == dtype
        np.testing.assert_array_equal(tf.cast(pooled, tf.float32), expected)
        np.testing.assert_array_equal(tf.cast(gradient, tf.float32), expected_gradient)


def test_half_precision_gradients_are_summed_in_float32():
    # One by one in float16, 2048 + 1 would stay 2048.
    boxes = np.zeros((1, 4096, 4), "float32")
    _, gradient = pooled_and_gradient(
        lambda *i: roi_pool(*i, 1), np.ones((1, 1, 1, 1), "float16"), boxes, np.ones((1, 4096, 1, 1, 1), "float16"))
    assert float(gradient[0, 0, 0, 0]) == 4096


@pytest.mark.parametrize("batch, boxes, size", [(1, 0, 5), (0, 3, 5), (2, 3, 1), (0, 0, 1)])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_nothing_to_pool_and_a_map_of_one_cell(wrap, batch, boxes, size):
    features = np.ones((batch, size, size, 2), "float32")
    upstream = np.ones((batch, boxes, 3, 3, 2), "float32")
    pooled, gradient = wrap(lambda f, b, u: pooled_and_gradient(lambda *i: roi_pool(*i, 3), f, b, u))(
        features, np.zeros((batch, boxes, 4), "float32"), upstream)
    np.testing.assert_array_equal(pooled, upstream)
    assert gradient.shape == features.shape and float(tf.reduce_sum(gradient)) == upstream.sum()


def test_static_shape_is_known_where_it_can_be():
    @tf.function(input_signature=[tf.TensorSpec([None, 8, None, 3]), tf.TensorSpec([None, 5, 4])])
    def pool(features, boxes):
        pooled = roi_pool(features, boxes, (2, 4))
        assert pooled.shape[1:] == [5, 2, 4, 3]
        return pooled

    pool(np.zeros((1, 8, 9, 3), "f"), np.zeros((1, 5, 4), "f"))


@pytest.mark.parametrize("signature, compiled", [
    (([None, 8, 9, 3], [None, 5, 4]), True), (([1, None, 9, 3], [1, 5, 4]), False)])
def test_the_pooling_is_compiled_where_shapes_are_known(signature, compiled):
    pool = tf.function(lambda *inputs: roi_pool(*inputs, 2),
                       input_signature=[tf.TensorSpec(shape) for shape in signature])
    graph = pool.get_concrete_function().graph.as_graph_def()
    bodies = graph.node, *(function.node_def for function in graph.library.function)
    nodes = [node for body in bodies for node in body]
    assert any(node.attr["_XlaMustCompile"].b for node in nodes if node.op.endswith("PartitionedCall")) == compiled


def test_saved_model(tmp_path):
    module = tf.Module()
    module.pool = tf.function(
        lambda features, boxes: roi_pool(features, boxes, 2),
        input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, None, 4])])
    tf.saved_model.save(module, str(tmp_path))
    features, boxes = np.random.default_rng(0).standard_normal((1, 5, 5, 3)).astype("f"), np.float32([[[0, 0, 4, 3]]])
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.pool(features, boxes), roi_pool(features, boxes, 2))


# --- errors

FEATURES, BOXES = np.ones((2, 5, 5, 3), "float32"), np.zeros((2, 4, 4), "float32")


@pytest.mark.parametrize("error, words, change", [
    (ValueError, r"features .*\(5, 5, 3\)", dict(features=FEATURES[0])),
    (ValueError, r"boxes .*\(2, 4, 5\)", dict(boxes=np.zeros((2, 4, 5), "float32"))),
    (ValueError, r"boxes .*\(4, 4\)", dict(boxes=BOXES[0])),
    (ValueError, r"batch size.*\(2, 5, 5, 3\).*\(1, 4, 4\)", dict(boxes=BOXES[:1])),
    (TypeError, "features .*int32", dict(features=FEATURES.astype("int32"))),
    (TypeError, "boxes .*float16", dict(boxes=BOXES.astype("float16"))),
    (ValueError, "pooled_size .*0", dict(pooled_size=0)),
    (ValueError, "pooled_size .*-1", dict(pooled_size=(3, -1))),
    (ValueError, "pooled_size", dict(pooled_size=(3, 3, 3))),
    (TypeError, "pooled_size .*2.5", dict(pooled_size=2.5)),
    (ValueError, "spatial_scale .*0", dict(spatial_scale=0.0)),
    (ValueError, "spatial_scale .*nan", dict(spatial_scale=float("nan"))),
    (ValueError, "bins .*'caffe'", dict(bins="caffe")),
    (tf.errors.InvalidArgumentError, r"boxes of shape \(2, 4, 4\) must be finite",
     dict(boxes=BOXES * np.float32("nan"))),
    (tf.errors.InvalidArgumentError, "boxes .*must be finite", dict(boxes=BOXES + np.float32("inf"))),
])
def test_errors_name_the_argument(error, words, change):
    with pytest.raises(error, match=words):
        roi_pool(**{"features": FEATURES, "boxes": BOXES, "pooled_size": 2} | change)


@pytest.mark.parametrize("features, boxes, words", [
    (FEATURES, BOXES[:1], "same batch size"), (FEATURES, BOXES + np.float32("inf"), "finite"),
    (FEATURES[0], BOXES, "shape"), (FEATURES, BOXES[..., :3], "shape")])
def test_errors_where_shapes_are_known_only_at_run_time(features, boxes, words):
    pool = tf.function(lambda *inputs: roi_pool(*inputs, 2), input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)])
    assert pool(FEATURES, BOXES).shape == (2, 4, 2, 2, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        pool(features, boxes)
