import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.data.framing import Framing
from glimpse.network.backbones import small_cnn
from glimpse.network.detector import GlimpseDetector
from glimpse.network.export import ExportedDetector, padded
from glimpse.network.policies import FixedPolicy, RandomPolicy
from glimpse.randomness import stateless_seed

IMAGES = np.random.default_rng(0).integers(0, 256, [2, 30, 41, 3], np.uint8)
PROPOSALS = np.float32([[[4, 4, 20, 16], [10, 8, 41, 30], [0, 0, 41, 30]],
                        [[1, 2, 9, 30], [20, 20, 28, 28], [3, 3, 30, 12]]])


def detector(pooling, policy):
    keras.utils.set_random_seed(0)
    network = GlimpseDetector(num_classes=3, num_glimpses=2, policy=policy, stride=4, pooled_size=3,
                              backbone=small_cnn(filters=(4, 6), strides=(2, 2)), units=(16, 12), pooling=pooling)
    network(IMAGES, PROPOSALS, tf.constant([0, 0]))
    for head in (network.class_heads[0], network.box_heads[0]):  # from almost nothing to answers that differ
        head.set_weights([30 * weight for weight in head.get_weights()])
    return network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("canvas", [None, (64, 96), (32, 64)])
def test_padding_is_that_of_the_framing(channels, canvas):
    images = IMAGES[..., :channels]
    expected = Framing(short_side=30, longest_side=41, canvas=canvas).stack(images)
    assert expected.shape == (2, *(canvas or (32, 64)), channels)
    np.testing.assert_array_equal(padded(tf.constant(images), canvas), expected)


def test_a_canvas_that_grows_pads_as_the_framing_does():
    framing = Framing(30, 41, canvas="smallest").with_canvas((64, 32))
    np.testing.assert_array_equal(padded(tf.constant(IMAGES), (64, 32), grows=True), framing.stack(IMAGES))


def test_images_that_fit_no_canvas_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="must fit into the canvas of the run's Framing"):
        padded(tf.constant(IMAGES), (32, 32))


@pytest.mark.parametrize("pooling", ["max", "align"])
@pytest.mark.parametrize("framing", [None, Framing(30, 41), Framing(30, 41, canvas=(32, 64))])
def test_saved_it_answers_as_the_detector_with_the_draws_of_the_random_policy(tmp_path, pooling, framing):
    network = detector(pooling, RandomPolicy(0.3))
    images = IMAGES if framing is None else framing.stack(IMAGES)
    found, rollout = tf.function(network.detect)(
        images, PROPOSALS, stateless_seed(7, "evaluation", 0), sizes=tf.constant([[30, 41]] * 2))
    assert found.counts.numpy().min() > 2 and np.abs(rollout.deltas).min() > 0

    exported = ExportedDetector(network, (30, 41, 3), framing, seed=7)
    tf.saved_model.save(exported, tmp_path, signatures={"serving_default": exported.detect})
    answer = tf.saved_model.load(tmp_path).signatures["serving_default"]
    for _ in range(2):
        answers = answer(images=tf.constant(IMAGES), proposals=tf.constant(PROPOSALS))
        assert set(answers) == set(found._fields)
        for name, value in found._asdict().items():
            assert answers[name].dtype == value.dtype
            np.testing.assert_allclose(answers[name], value, atol=1e-5)


def test_a_proposal_said_twice_changes_nothing():
    network = detector("align", FixedPolicy([(0.1, 0, 0.5, 0.5)]))
    exported = ExportedDetector(network, (30, 41, 3), Framing(30, 41), seed=7)
    once, twice = (exported.detect(tf.constant(IMAGES[:1]), tf.constant(PROPOSALS[:1, places]))
                   for places in ([0, 1, 2], [0, 1, 2, 2, 2]))
    assert once["counts"] == twice["counts"] and once["counts"] > 2
    for name in once:
        np.testing.assert_allclose(once[name], twice[name], atol=1e-5)
