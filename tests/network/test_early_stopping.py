import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.network import early_stopping
from glimpse.network.backbones import small_cnn
from glimpse.network.detector import GlimpseDetector, suppress
from glimpse.network.early_stopping import look_unless_background
from glimpse.network.policies import FixedPolicy, LearnedPolicy

SEED = tf.constant([1, 2])
IMAGES = tf.cast(tf.random.stateless_uniform([3, 32, 40, 1], [5, 6], 0, 255), tf.uint8)
CORNERS = tf.random.stateless_uniform([3, 7, 2], [7, 8], 0, 20)
PROPOSALS = tf.concat([CORNERS, CORNERS + 12], axis=-1)


def detector(fusion="max", policy=None, num_glimpses=3, **options):
    keras.utils.set_random_seed(0)
    network = GlimpseDetector(
        num_classes=3, num_glimpses=num_glimpses, backbone=small_cnn(filters=(4, 6), strides=(2, 2)), pooled_size=(3, 2),
        policy=policy or LearnedPolicy(initial_delta=(0, 0, 0.5, 0.5), kernel_deviation=0.2), stride=4, units=(16, 12),
        fusion=fusion, **options)
    network(IMAGES, PROPOSALS, SEED)
    network.class_head.kernel.assign(tf.random.stateless_normal([12, 4], [3, 4]))  # so that proposals differ
    return network


@pytest.mark.parametrize("fusion", ["max", "mean", "last"])
@pytest.mark.parametrize("options", [{}, {"pooling": "align", "delta_input": True}, {"pooling": "crop"}], ids=str)
def test_each_proposal_stops_where_it_is_background_for_the_first_time(fusion, options, monkeypatch):
    """Held against the whole rollout, of which each proposal takes the state where background was sure for the first time."""
    monkeypatch.setattr(early_stopping, "CHUNK", 2)  # so that an image's glimpses take several chunks, and not equally many
    network = detector(fusion, **options)
    whole = network(IMAGES, PROPOSALS, SEED).fused
    background = tf.nn.softmax(network.heads(whole)[0])[..., 0].numpy()
    threshold = float(np.quantile(background[..., 0], 0.7))
    stop = np.where(background[..., 0] >= threshold, 0, np.where(background[..., 1] >= threshold, 1, 2))
    fused, looks = look_unless_background(network, IMAGES, PROPOSALS, SEED, threshold)
    np.testing.assert_array_equal(looks, stop + 1)
    assert {1, 3} <= set(np.unique(looks))
    np.testing.assert_allclose(fused, np.take_along_axis(whole.numpy(), stop[..., None, None], axis=2)[:, :, 0], rtol=1e-4, atol=1e-5)


def test_the_extremes_are_one_glimpse_and_all_of_them():
    network = detector()
    whole = network(IMAGES, PROPOSALS, SEED).fused
    for confidence, glimpse in ((0.0, 0), (1.1, 2)):
        fused, looks = look_unless_background(network, IMAGES, PROPOSALS, SEED, confidence)
        np.testing.assert_allclose(fused, whole[:, :, glimpse], rtol=1e-4, atol=1e-5)
        assert (looks.numpy() == glimpse + 1).all()
        found = suppress(*network.answers(fused, PROPOSALS, IMAGES))
        if glimpse == 2:
            np.testing.assert_allclose(found.scores, network.detect(IMAGES, PROPOSALS, SEED)[0].scores, rtol=1e-4)


def test_one_glimpse_has_nothing_to_stop():
    fused, looks = look_unless_background(detector(num_glimpses=1), IMAGES, PROPOSALS, SEED, 0.5)
    assert fused.shape == (3, 7, 12) and (looks.numpy() == 1).all()


def test_in_a_graph_of_unknown_sizes_and_a_policy_that_sees_nothing():
    network = detector(policy=FixedPolicy([(0, 0, 0.5, 0.5), (0, 0, -0.5, 0)]))
    graph = tf.function(lambda *arguments: look_unless_background(network, *arguments, 0.6), input_signature=[
        tf.TensorSpec([None, None, None, 1], tf.uint8), tf.TensorSpec([None, None, 4]), tf.TensorSpec([2], tf.int32)])
    for part, expected in zip(graph(IMAGES, PROPOSALS, SEED), look_unless_background(network, IMAGES, PROPOSALS, SEED, 0.6)):
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-5)
