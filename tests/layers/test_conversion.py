"""Where the RoI layers go: TFLite, and ragged boxes."""
import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.layers import RoIAlign, RoIPooling
from glimpse.ops import roi_align, roi_pool

FEATURES = np.random.default_rng(0).standard_normal((1, 12, 16, 3)).astype("float32")
BOXES = np.float32([[[0, 0, 1, 1], [0.1, 0.2, 0.5, 0.9], [0.3, 0.3, 0.35, 0.35], [0.9, 0.9, 1.5, 1.5]]])


@pytest.mark.parametrize("layer", [RoIPooling(3, 2), RoIPooling(3, 2, bins="article"), RoIAlign(3, 2)])
def test_a_converted_layer_pools_the_same(layer):
    features, boxes = keras.Input((12, 16, 3), batch_size=1), keras.Input((4, 4), batch_size=1)
    model = keras.Model([features, boxes], layer([features, boxes]))
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        interpreter.set_tensor(entry["index"], FEATURES if len(entry["shape"]) == 4 else BOXES)
    interpreter.invoke()
    converted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(converted, model([FEATURES, BOXES]), atol=1e-6)


@pytest.mark.parametrize("layer", [RoIPooling(3, 2), RoIAlign(3, 2)])
def test_ragged_boxes_are_pooled_image_by_image(layer):
    features, counts = np.repeat(FEATURES, 3, axis=0) * np.float32([1, 2, 3])[:, None, None, None], (3, 0, 1)
    boxes = tf.RaggedTensor.from_row_lengths(np.concatenate([BOXES[0, :count] for count in counts]), counts)
    pooled = layer([features, boxes])
    assert pooled.row_lengths().numpy().tolist() == list(counts)
    for image, each, count in zip(features, pooled, counts):
        expected = layer([image[None], BOXES[:, :count]])[0] if count else np.zeros((0, 3, 2, 3))
        np.testing.assert_allclose(each, expected, atol=1e-6)


def test_ops_take_ragged_boxes_too():
    boxes = tf.ragged.constant([[[0.0, 0.0, 16.0, 12.0]]], ragged_rank=1)
    for op in (roi_pool, roi_align):
        np.testing.assert_array_equal(op(FEATURES, boxes, 2)[0], op(FEATURES, boxes.to_tensor(), 2)[0])
