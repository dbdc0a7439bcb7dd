import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.network import backbones
from glimpse.network.detector import GlimpseDetector

NETWORKS = {  # with the channels of their default cuts; all of stride 16
    backbones.efficientnet_lite0: 112, backbones.vgg16: 512, backbones.resnet50: 1024, backbones.mobilenet_v2: 96}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_cut_at_stride_16_and_trained_from_a_layer_on(network):
    backbone = network(weights=None)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    feature_map = backbone(images)
    assert feature_map.shape == (2, 4, 6, NETWORKS[network]) and feature_map.dtype == np.float32
    assert not any("norm" in v.path or "bn" in v.path.lower() for v in backbone.trainable_variables)


def trained(backbone):
    return [layer.name for layer in backbone.layers if layer.trainable_variables]


def test_which_layers_are_trained():
    assert trained(backbones.vgg16(weights=None)) == [f"block{b}_conv{c}" for b in (3, 4, 5) for c in (1, 2, 3)]
    assert not trained(backbones.efficientnet_lite0(weights=None, cut="block1"))
    lite = backbones.efficientnet_lite0(weights=None, cut="block2", train_from="block1")
    assert trained(lite) == [f"block{b}_{part}_conv" for b in (1, 2) for part in ("expand", "depthwise", "project")]
    lite = backbones.efficientnet_lite0(weights=None, cut="block1", train_from="block1_project",
                                        frozen_batch_norm=False)
    assert trained(lite) == ["block1_project_conv", "block1_project_norm"]
    # "block1" does not stand for "block10" nor the other way round.
    assert trained(backbones.efficientnet_lite0(weights=None, train_from="block10"))[0] == "block10_expand_conv"


def test_what_the_weights_expect_is_done_to_the_image():
    image = np.zeros([1, 32, 32, 3], np.uint8) + np.array([255, 127, 0], np.uint8)
    prepared = {}
    for network, layer in ((backbones.vgg16, "block1_conv1"), (backbones.mobilenet_v2, "Conv1"),
                           (backbones.efficientnet_lite0, "stem_conv")):
        backbone = network(weights=None)
        inside = keras.Model(backbone.input, backbone.get_layer(layer).input)
        prepared[network.__name__] = inside(image)[0, 0, 0].numpy()
    np.testing.assert_allclose(prepared["vgg16"], [0 - 103.939, 127 - 116.779, 255 - 123.68], rtol=1e-5)
    np.testing.assert_allclose(prepared["mobilenet_v2"], [1, 127 / 127.5 - 1, -1], atol=1e-6)
    np.testing.assert_allclose(prepared["efficientnet_lite0"], [1, 0, -127 / 128], atol=1e-6)


def test_batch_norm_keeps_its_statistics_while_training():
    backbone = backbones.efficientnet_lite0(weights=None, cut="block1", train_from="stem", frozen_batch_norm=False)
    network = GlimpseDetector(2, num_glimpses=1, backbone=backbone, pooled_size=2, stride=4, units=(4, 4))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    before = [v.numpy() for v in backbone.non_trainable_variables]
    network(images, np.array([[[0, 0, 9, 9]]] * 2, np.float32), np.array([0, 0]), explore=True, dropout=True)
    for variable, old in zip(backbone.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_weights_from_a_file(tmp_path):
    saved = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    saved.save_weights(tmp_path / "x.weights.h5")
    backbone = backbones.mobilenet_v2(weights=str(tmp_path / "x.weights.h5"))
    np.testing.assert_array_equal(backbone.get_layer("block_5_expand").get_weights()[0],
                                  saved.get_layer("block_5_expand").get_weights()[0])


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError,
                       match=r"vgg16.weights = 'none.h5' cannot be loaded \(.*\); 'imagenet' needs the net"):
        backbones.vgg16(weights="none.h5")
    with pytest.raises(GlimpseError, match=r"vgg16.cut must be one of its layers \(.*block5_conv3.*\), got 'conv5'"):
        backbones.vgg16(weights=None, cut="conv5")
    with pytest.raises(GlimpseError,
                       match=r"train_from must begin the name of a layer before 'block4' .*, got 'block9'"):
        backbones.efficientnet_lite0(weights=None, cut="block4", train_from="block9")
    network = GlimpseDetector(2, num_glimpses=1, backbone=backbones.small_cnn(), pooled_size=2, stride=8)
    with pytest.raises(GlimpseError, match="stride=8, but the backbone makes 8 cells of 32 pixels"):
        network(np.zeros([1, 32, 32, 1]), np.zeros([1, 1, 4], np.float32), np.array([0, 0]))


@pytest.mark.parametrize("dilation, seen", [(1, 15), (2, 23), (4, 39)])
def test_how_many_pixels_a_cell_sees_grows_with_the_last_dilation_and_the_weights_do_not(dilation, seen):
    """Layers of 3 x 3 at 1, 2 and 4 pixels a step see 1 + 2 * 1 + 2 * 2 + 2 * 4 * dilation pixels."""
    backbone = backbones.small_cnn(filters=(2, 2, 2), strides=(2, 2, 1), last_dilation=dilation)
    images = tf.Variable(tf.ones([1, 64, 64, 1]))
    for layer in backbone.layers[1:]:
        layer.activation = lambda x: x  # lest a layer that answers 0 sees nothing
    with tf.GradientTape() as tape:
        cell = tf.reduce_sum(backbone(images)[0, 8, 8])
    rows, columns = np.nonzero(tape.gradient(cell, images).numpy()[0, :, :, 0])
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == seen
    assert backbone.count_params() == 3 * 2 + 2 * 9 * (1 + 2 + 2)


def test_a_last_layer_cannot_be_dilated_and_strided_at_once():
    with pytest.raises(GlimpseError, match="last_dilation=2 needs a last stride of 1"):
        backbones.small_cnn(last_dilation=2)
