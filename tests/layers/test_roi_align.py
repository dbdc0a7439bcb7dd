"""RoIAlign: box formats, dtype policies, and the ways a layer is stored."""
import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.layers import RoIAlign
from glimpse.ops import roi_align

FEATURES = np.random.default_rng(0).standard_normal((1, 12, 16, 3)).astype("float32")
PIXELS = np.float32([[[0, 0, 256, 192], [32, 16, 100, 90], [7, 8, 9, 10]]])   # of an image of 192x256


@pytest.mark.parametrize("bounding_box_format", ["rel_yxyx", "rel_center_xywh", "xyxy", "xywh"])
def test_formats(bounding_box_format):
    boxes = keras.utils.bounding_boxes.convert_format(PIXELS, "xyxy", bounding_box_format, height=192, width=256)
    scale = 1.0 if bounding_box_format.startswith("rel_") else 1 / 16
    pooled = RoIAlign(2, 3, bounding_box_format, scale)([FEATURES, boxes])
    np.testing.assert_allclose(pooled, roi_align(FEATURES, PIXELS, (2, 3), 1 / 16), atol=1e-5)


def test_arguments_reach_the_op():
    boxes = tf.constant(PIXELS)
    layer = RoIAlign(2, 2, "xyxy", 1 / 16, sampling_ratio=3, aligned=False, box_gradient=True)
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        pooled = layer([FEATURES, boxes])
    np.testing.assert_allclose(pooled, roi_align(FEATURES, PIXELS, 2, 1 / 16, 3, aligned=False), atol=1e-6)
    assert np.any(tape.gradient(pooled, boxes) != 0)


def test_boxes_stay_float32_in_mixed_precision():
    # 2049 would be 2048 in float16.
    features = np.zeros((1, 1, 2050, 1), "float32")
    features[..., 2049, 0] = 1
    pooled = RoIAlign(1, 1, "xyxy", sampling_ratio=1,
                      dtype="mixed_float16")([features, np.float32([[[2049, 0, 2050, 1]]])])
    assert pooled.dtype == tf.float16 and pooled.numpy().item() == 1


def test_functional_model_saved_loaded_and_exported(tmp_path):
    features, boxes = keras.Input((12, 16, 3)), keras.Input((None, 4))
    layer = RoIAlign(2, 3, "xyxy", 1 / 16, sampling_ratio=1, aligned=False, name="align")
    model = keras.Model([features, boxes], layer([features, boxes]))
    assert model.output_shape == (None, None, 2, 3, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("align").get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded([FEATURES, PIXELS]), model([FEATURES, PIXELS]))
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(exported.serve([FEATURES, PIXELS]), model([FEATURES, PIXELS]), atol=1e-5)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="sampling_ratio .*0"):
        RoIAlign(2, 2, sampling_ratio=0)
    with pytest.raises(ValueError, match="spatial_scale .*rel_yxyx"):
        RoIAlign(2, 2, spatial_scale=0.5)
