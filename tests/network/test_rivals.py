"""Looking again at the box just found: held against loops written out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.geometry import boxes
from glimpse.network.backbones import small_cnn
from glimpse.network.controller import NoRecurrence
from glimpse.network.detector import GlimpseDetector
from glimpse.network.fusions import last_fusion
from glimpse.network.iteration import detect_again
from glimpse.network.policies import FixedPolicy, OraclePolicy, RefinePolicy

SEED = tf.constant([1, 2])
IMAGES = tf.cast(tf.random.stateless_uniform([2, 32, 40, 1], [5, 6], 0, 255), tf.uint8)
PROPOSALS = tf.constant([[[4.0, 4, 20, 16], [10, 8, 36, 30], [0, 0, 40, 32]],
                         [[1, 2, 9, 30], [20, 20, 28, 28], [3, 3, 30, 12]]])


def detector(num_glimpses, policy=None, **options):
    """A network whose heads say something, since they begin with almost nothing."""
    keras.utils.set_random_seed(0)
    network = GlimpseDetector(
        num_classes=3, num_glimpses=num_glimpses, backbone=small_cnn(filters=(4, 6), strides=(2, 2)), policy=policy,
        pooled_size=(3, 2), stride=4, units=(16, 12), pooling="align", **options)
    network(IMAGES, PROPOSALS, SEED, objects=PROPOSALS)
    for head in (*network.class_heads, *network.box_heads):
        head.kernel.assign(tf.random.stateless_normal(head.kernel.shape, [3, len(head.name)]))
    return network


def most_probable(placed, probabilities):
    """The box of the most probable object class of every proposal, one by one: [B, N, 4]."""
    placed, probabilities = placed.numpy(), probabilities.numpy()
    return np.array([[placed[image, row, probabilities[image, row, 1:].argmax()] for row in range(placed.shape[1])]
                     for image in range(len(placed))])


@pytest.mark.parametrize("reference", ["proposal", "glimpse"])
def test_the_next_glimpse_is_the_box_that_the_heads_answer_now(reference):
    network = detector(3, RefinePolicy(), box_reference=reference)
    rollout = network(IMAGES, PROPOSALS, SEED)
    for glimpse in (0, 1):
        expected = most_probable(*network.predictions(rollout, IMAGES, glimpse=glimpse))
        np.testing.assert_allclose(rollout.glimpses[:, :, glimpse + 1], expected, rtol=1e-3, atol=1e-2)
    assert np.abs(rollout.glimpses[:, :, 1] - rollout.glimpses[:, :, 0]).max() > 1


@pytest.mark.parametrize("reference", ["proposal", "glimpse"])
def test_boxes_are_coded_from_their_reference(reference):
    network = detector(2, FixedPolicy([(0.1, 0, 0.3, 0.3)]), box_reference=reference)
    rollout = network(IMAGES, PROPOSALS, SEED)
    from_box = rollout.glimpses[:, :, {"proposal": 0, "glimpse": 1}[reference]]
    logits, deltas = network.heads(rollout.fused[:, :, 1])
    placed, probabilities = network.predictions(rollout, IMAGES)
    expected = boxes.clip(boxes.decode(deltas, from_box[:, :, None]), 32, 40)
    np.testing.assert_allclose(placed, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(logits), rtol=1e-4, atol=1e-6)


def test_a_cascade_has_layers_of_its_own_for_each_glimpse_and_the_mean_of_their_scores():
    network = detector(3, RefinePolicy(), own_layers="all", score="mean", fusion=last_fusion, recurrence=NoRecurrence,
                       box_reference="glimpse")
    rollout = network(IMAGES, PROPOSALS, SEED)
    glimpses, each = PROPOSALS, []
    for stage in range(3):  # a Fast R-CNN for each stage, on the boxes of the one before
        hidden = tf.reshape(network.pool(network.backbone(IMAGES), glimpses), [6, -1])
        for layer in network.controller.stages[stage]:
            kernel, bias = layer.get_weights()
            hidden = tf.maximum(hidden @ kernel + bias, 0)
        logits, deltas = (head[stage](hidden) for head in (network.class_heads, network.box_heads))
        each.append(tf.reshape(tf.nn.softmax(logits), [2, 3, 4]))
        deltas = tf.reshape(deltas, [2, 3, 3, 4]) * network.box_scale
        placed = boxes.decode(deltas, boxes.at_least_a_pixel(glimpses)[:, :, None])
        glimpses = tf.constant(boxes.clip(most_probable(placed, each[-1]), 32, 40))
        np.testing.assert_allclose(rollout.probabilities[:, :, stage], np.mean(each, axis=0), rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(
        network.predictions(rollout, IMAGES)[0], boxes.clip(placed, 32, 40), rtol=1e-2, atol=0.05)
    assert len({v.path for v in network.weights if "class_head" in v.path}) == 6


def test_iterated_at_test_time():
    network = detector(1)
    found, counts = detect_again(network, IMAGES, PROPOSALS, SEED, 2)
    proposals = PROPOSALS
    for _ in range(2):
        rollout = network(IMAGES, proposals, SEED)
        proposals = tf.constant(most_probable(*network.predictions(rollout, IMAGES)))
    expected, _ = network.detect(IMAGES, proposals, SEED)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-3, atol=0.05)
    assert (counts.numpy() == 3).all()
    once, _ = detect_again(network, IMAGES, PROPOSALS, SEED, 0)
    np.testing.assert_allclose(once.scores, network.detect(IMAGES, PROPOSALS, SEED)[0].scores, rtol=1e-5)


def test_the_oracle_sees_the_nearest_object_where_it_overlaps_by_half():
    objects = tf.constant([[[6.0, 4, 20, 16], [10, 8, 36, 28]], [[0, 0, 0, 0], [30, 5, 38, 9]]])
    nearest = boxes.nearest_objects(PROPOSALS, objects)
    np.testing.assert_array_equal(nearest[0], [objects[0, 0], objects[0, 1], PROPOSALS[0, 2]])
    np.testing.assert_array_equal(nearest[1], PROPOSALS[1])
    np.testing.assert_array_equal(boxes.nearest_objects(PROPOSALS, objects[:, :0]), PROPOSALS)
    rollout = detector(2, OraclePolicy())(IMAGES, PROPOSALS, SEED, objects=objects)
    np.testing.assert_allclose(rollout.glimpses[:, :, 1], nearest, rtol=1e-4, atol=1e-3)
