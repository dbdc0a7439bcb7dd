import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.network import early_stopping
from glimpse.network.backbones import small_cnn
from glimpse.network.controller import MultiRegion
from glimpse.network.detector import GlimpseDetector
from glimpse.network.early_stopping import look_unless_background
from glimpse.network.fusions import last_fusion, max_fusion, mean_fusion
from glimpse.network.policies import FixedPolicy, LearnedPolicy, RefinePolicy
from glimpse.network.suppression import suppress

SEED = tf.constant([1, 2])
IMAGES = tf.cast(tf.random.stateless_uniform([3, 32, 40, 1], [5, 6], 0, 255), tf.uint8)
CORNERS = tf.random.stateless_uniform([3, 7, 2], [7, 8], 0, 20)
PROPOSALS = tf.concat([CORNERS, CORNERS + 12], axis=-1)


def detector(fusion=max_fusion, policy=None, num_glimpses=3, **options):
    keras.utils.set_random_seed(0)
    network = GlimpseDetector(
        num_classes=3, num_glimpses=num_glimpses, backbone=small_cnn(filters=(4, 6), strides=(2, 2)),
        pooled_size=(3, 2),
        policy=policy or LearnedPolicy(initial_delta=(0, 0, 0.5, 0.5), kernel_deviation=0.2), stride=4, units=(16, 12),
        fusion=fusion, **options)
    network(IMAGES, PROPOSALS, SEED)
    network.class_heads[0].kernel.assign(tf.random.stateless_normal([12, 4], [3, 4]))  # so that proposals differ
    return network


@pytest.mark.parametrize("fusion", [max_fusion, mean_fusion, last_fusion])
@pytest.mark.parametrize("options", [
    {}, {"pooling": "align", "delta_input": True}, {"pooling": "crop"}, {"pooling": "zoom"},
    {"policy": RefinePolicy(), "box_reference": "glimpse"},
    {"policy": RefinePolicy(), "own_layers": "heads", "score": "mean"},
    {"policy": FixedPolicy([(0, 0, 0.5, 0.5), (0, 0, -0.5, 0)]), "controller": MultiRegion}],
    ids=["plain", "align, with the delta", "crop", "zoom", "boxes from the glimpse", "cascade", "regions"])
def test_each_proposal_stops_where_it_is_background_for_the_first_time(fusion, options, monkeypatch):
    """Held against the whole rollout, of which each proposal takes the state where background was sure for the first
    time.
    """
    # so that an image's glimpses take several chunks, and not equally many
    monkeypatch.setattr(early_stopping, "CHUNK", 2)
    network = detector(fusion, **options)
    whole = network(IMAGES, PROPOSALS, SEED)
    background = whole.probabilities[..., 0].numpy()
    threshold = float(np.quantile(background[..., 0], 0.7))
    stop = np.where(background[..., 0] >= threshold, 0, np.where(background[..., 1] >= threshold, 1, 2))
    answers, counts = look_unless_background(network, IMAGES, PROPOSALS, SEED, threshold)
    np.testing.assert_array_equal(counts, stop + 1)
    assert {1, 3} <= set(np.unique(counts))
    for part, of_all in zip(answers, (whole.box_deltas, whole.references, whole.probabilities)):
        places = stop.reshape([3, 7, *[1] * (of_all.ndim - 2)])
        np.testing.assert_allclose(part, np.take_along_axis(of_all.numpy(), places, axis=2), rtol=1e-4, atol=1e-4)


def test_the_extremes_are_one_glimpse_and_all_of_them():
    network = detector()
    whole = network(IMAGES, PROPOSALS, SEED)
    for confidence, glimpse in ((0.0, 0), (1.1, 2)):
        answers, counts = look_unless_background(network, IMAGES, PROPOSALS, SEED, confidence)
        np.testing.assert_allclose(answers.probabilities[:, :, 0], whole.probabilities[:, :, glimpse], rtol=1e-4,
                                   atol=1e-5)
        assert (counts.numpy() == glimpse + 1).all()
        found = suppress(*network.predictions(answers, IMAGES))
        if glimpse == 2:
            np.testing.assert_allclose(found.scores, network.detect(IMAGES, PROPOSALS, SEED)[0].scores, rtol=1e-4)


def test_what_only_fills_up_a_list_is_not_looked_at_again():
    filled = np.ones([3, 7], bool)
    filled[1, 4:] = False
    network = detector()
    _, counts = look_unless_background(network, IMAGES, PROPOSALS, SEED, 1.1, is_proposal=filled)
    np.testing.assert_array_equal(counts, np.where(filled, 3, 1))


def test_pooling_is_compiled_for_few_numbers_of_proposals_that_go_on(monkeypatch):
    """0 to 21 proposals go on, three to a chunk: 1 to 9 chunks are filled up to 2, 3, 4, 6, 8 or 12."""
    monkeypatch.setattr(early_stopping, "CHUNK", 3)
    network, pooled = detector(), []
    monkeypatch.setattr(network, "pooled_vectors", lambda maps, *rest: pooled.append(maps.shape[0]) or type(
        network).pooled_vectors(network, maps, *rest))
    background = network(IMAGES, PROPOSALS, SEED).probabilities[:, :, 0, 0].numpy()
    for threshold in [0, *np.sort(background, axis=None), 1.1]:
        look_unless_background(network, IMAGES, PROPOSALS, SEED, threshold)
    assert {2, 12} <= set(pooled) <= {2, 3, 4, 6, 8, 12} and len(pooled) > 20


def test_one_glimpse_has_nothing_to_stop():
    answers, counts = look_unless_background(detector(num_glimpses=1), IMAGES, PROPOSALS, SEED, 0.5)
    assert answers.probabilities.shape == (3, 7, 1, 4) and (counts.numpy() == 1).all()


def test_in_a_graph_of_unknown_sizes_and_a_policy_that_sees_nothing():
    network = detector(policy=FixedPolicy([(0, 0, 0.5, 0.5), (0, 0, -0.5, 0)]))
    graph = tf.function(lambda *arguments: look_unless_background(network, *arguments, 0.6), input_signature=[
        tf.TensorSpec([None, None, None, 1], tf.uint8), tf.TensorSpec([None, None, 4]), tf.TensorSpec([2], tf.int32)])
    both = (graph(IMAGES, PROPOSALS, SEED), look_unless_background(network, IMAGES, PROPOSALS, SEED, 0.6))
    for part, expected in zip(*map(tf.nest.flatten, both)):
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-5)
