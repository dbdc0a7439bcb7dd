"""RoIPooling: box formats, dtype policies, and the ways a layer is stored."""
import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.layers import RoIPooling
from glimpse.ops import roi_pool

FEATURES = np.random.default_rng(0).standard_normal((2, 12, 16, 3)).astype("float32")
PIXELS = np.float32([[[0, 0, 255, 191], [32, 16, 100, 90], [7, 8, 9, 10]]] * 2)   # of an image of 192x256


@pytest.fixture
def half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def test_example_of_the_article():
    features = np.ones((1, 200, 100, 1), "float32")
    features[0, 199, 97, 0] = 50
    first, second = RoIPooling(3, 7, bins="article")([features,
                                                      np.float32([[[0.5, 0.2, 0.7, 0.4], [0, 0, 1, 1]]])])[0, ..., 0]
    np.testing.assert_array_equal(first, np.ones((3, 7)))
    np.testing.assert_array_equal(second, [[1] * 7, [1] * 7, [1] * 6 + [50]])


def test_relative_boxes_are_truncated_as_the_article_does():
    # int(H * y) in float32, which is not always the integer below the exact product: 0.29 * 100 is 29 in
    # float32, 28.99... in float64.
    features = np.arange(100, dtype="float32").reshape(1, 100, 1, 1)
    ends = np.arange(1, 101, dtype="float32") / np.float32(100)
    boxes = np.stack([0 * ends, 0 * ends, ends, 0 * ends + 1], axis=-1)[None]
    last = [int(np.float32(100) * end) - 1 for end in ends]
    for call in (RoIPooling(1, 1, bins="article"), tf.function(RoIPooling(1, 1, bins="article"))):
        np.testing.assert_array_equal(np.ravel(call([features, boxes])), np.maximum(last, 0))


@pytest.mark.parametrize("bounding_box_format", ["xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"])
def test_formats_in_pixels(bounding_box_format):
    boxes = keras.utils.bounding_boxes.convert_format(PIXELS, "xyxy", bounding_box_format)
    pooled = RoIPooling(2, 3, bounding_box_format, spatial_scale=1 / 16)([FEATURES, boxes])
    np.testing.assert_array_equal(pooled, roi_pool(FEATURES, PIXELS, (2, 3), 1 / 16))


@pytest.mark.parametrize("bounding_box_format", ["rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"])
def test_relative_formats(bounding_box_format):
    boxes = keras.utils.bounding_boxes.convert_format(PIXELS, "xyxy", bounding_box_format, height=192, width=256)
    pooled = RoIPooling(2, 3, bounding_box_format)([FEATURES, boxes])
    np.testing.assert_array_equal(pooled, roi_pool(FEATURES, PIXELS, (2, 3), 1 / 16))


def test_boxes_stay_float32_in_mixed_precision(half_precision):
    # 2049 would be 2048 in float16.
    features = np.zeros((1, 1, 2050, 1), "float32")
    features[..., 2049, 0] = 1
    pooled = RoIPooling(1, 1, "xyxy")([features, np.float32([[[2049, 0, 2049, 0]]])])
    assert pooled.dtype == tf.float16 and pooled.numpy().item() == 1


def test_boxes_in_half_precision_are_refused():
    with pytest.raises(TypeError, match="boxes .*float16"):
        RoIPooling(2, 2, "xyxy")([FEATURES, PIXELS.astype("float16")])


def functional_model(layer):
    features, boxes = keras.Input((12, 16, 3)), keras.Input((None, 4))
    hidden = keras.layers.Conv2D(3, 1)(features)
    return keras.Model([features, boxes], layer([hidden, boxes]))


def test_functional_model_saved_and_loaded(tmp_path):
    model = functional_model(RoIPooling(2, 3, "xyxy", spatial_scale=1 / 16, bins="article", name="pool"))
    assert model.output_shape == (None, None, 2, 3, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("pool").get_config() == model.get_layer("pool").get_config()
    np.testing.assert_array_equal(loaded([FEATURES, PIXELS]), model([FEATURES, PIXELS]))


def test_exported_as_saved_model(tmp_path):
    model = functional_model(RoIPooling(2, 2, "xyxy", spatial_scale=1 / 16))
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(exported.serve([FEATURES, PIXELS]), model([FEATURES, PIXELS]), atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_trains(jit_compile):
    model = functional_model(RoIPooling(2, 2, "xyxy", spatial_scale=1 / 16))
    before = [weight.numpy() for weight in model.weights]
    model.compile("sgd", "mse", jit_compile=jit_compile)
    model.fit([FEATURES, PIXELS], np.zeros((2, 3, 2, 2, 3)), batch_size=2, verbose=0)
    assert all(np.any(weight.numpy() != old) for weight, old in zip(model.weights, before))


def test_config_round_trip():
    config = RoIPooling(2, 3, "xywh", spatial_scale=0.25, bins="article", name="pool",
                        dtype="mixed_bfloat16").get_config()
    assert RoIPooling.from_config(config).get_config() == config


@pytest.mark.parametrize("error, words, arguments", [
    (ValueError, "bounding_box_format .*'yxxy'", dict(bounding_box_format="yxxy")),
    (ValueError, "spatial_scale .*rel_yxyx.*0.5", dict(spatial_scale=0.5)),
    (ValueError, "bins .*'caffe'", dict(bins="caffe")),
    (ValueError, "pooled_size .*0", dict(pooled_height=0)),
    (TypeError, "pooled_size .*1.5", dict(pooled_width=1.5)),
])
def test_errors_name_the_argument(error, words, arguments):
    with pytest.raises(error, match=words):
        RoIPooling(**{"pooled_height": 2, "pooled_width": 2} | arguments)


def test_inputs_must_be_a_pair():
    with pytest.raises(ValueError, match="pair"):
        RoIPooling(2, 2)(FEATURES)
