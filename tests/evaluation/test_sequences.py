import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.data.example import Example
from glimpse.data.proposals import WindowGrid
from glimpse.evaluation import sequences
from glimpse.evaluation.evaluator import graph_of
from glimpse.evaluation.sequences import (
    detected_proposals,
    follow,
    near_objects,
    pooled_glimpses,
    sequences_of_detections,
    sequences_of_objects,
)
from glimpse.geometry import boxes
from glimpse.geometry.overlaps import pairwise_iou
from glimpse.network.backbones import small_cnn
from glimpse.network.detector import GlimpseDetector
from glimpse.network.policies import FixedPolicy, RandomPolicy
from glimpse.ops import roi_pool
from glimpse.randomness import stateless_seed
from glimpse.training.objectives import answer_quality

PROPOSALS = WindowGrid(sizes=(14, 20), aspect_ratios=(0.7,))
OBJECTS = np.float32([[8, 6, 20, 22], [23, 9, 35, 25]])


def examples(count=3):
    images = np.random.default_rng(0).integers(0, 255, [count, 32, 40, 1], np.uint8)
    return [Example(f"picture-{index}", image, OBJECTS, np.int32([2, 0]), np.zeros(2, bool))
            for index, image in enumerate(images)]


def detector(num_glimpses=3, policy=None):
    keras.utils.set_random_seed(0)
    policy = policy or FixedPolicy([(0.1, 0, 0.5, 0.5), (0, -0.1, -0.2, 0.3)])
    network = GlimpseDetector(num_classes=3, num_glimpses=num_glimpses, policy=policy, stride=4, pooled_size=3,
                              backbone=small_cnn(filters=(4, 6), strides=(2, 2)), units=(16, 12))
    network(examples()[0].image[None], PROPOSALS(examples()[0].image)[None], tf.constant([0, 0]))
    for head in (network.class_heads[0], network.box_heads[0]):  # from almost nothing to answers that differ
        head.set_weights([30 * weight for weight in head.get_weights()])
    return network


def test_what_has_been_compiled_is_kept_for_the_next_call(monkeypatch):
    """As a training does that is validated again and again."""
    network, data, graphs, made = detector(), examples(2), {}, []
    monkeypatch.setattr(sequences, "graph_of", lambda *arguments: made.append(1) or graph_of(*arguments))
    first, second = (list(follow(network, data, PROPOSALS, 0, graphs=graphs)) for _ in range(2))
    assert len(made) == 1
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.glimpses, other.glimpses)


def test_it_follows_what_the_evaluation_detects_to_the_draw():
    network, data = detector(2, RandomPolicy(0.3)), examples(12)
    followed = list(follow(network, data, PROPOSALS, seed=5))
    assert [each.example.id for each in followed] == [each.id for each in data]
    assert [each.index for each in followed] == list(range(12))
    for first, last, step in ((0, 10, 0), (10, 12, 1)):
        images = np.stack([each.image for each in data[first:last]])
        proposals = np.stack([PROPOSALS(image) for image in images])
        found, rollout = network.detect(images, proposals, stateless_seed(5, "evaluation", step))
        for row, each in enumerate(followed[first:last]):
            np.testing.assert_allclose(each.deltas, rollout.deltas[row], atol=1e-6)
            np.testing.assert_allclose(each.glimpses, rollout.glimpses[row], atol=1e-4)
            assert each.detections.counts == found.counts[row] == len(each.detections.boxes)
            np.testing.assert_allclose(each.detections.scores, found.scores[row, :each.detections.counts], atol=1e-5)
    one, = follow(network, data, PROPOSALS, 5, image_id="picture-11")
    np.testing.assert_array_equal(one.glimpses, followed[11].glimpses)
    assert one.index == 11 and not list(follow(network, data, PROPOSALS, 5, image_id="picture-12"))


def test_the_heads_answer_after_each_glimpse():
    network, data = detector(), examples(1)
    followed, = follow(network, data, PROPOSALS, 0)
    proposals = PROPOSALS(data[0].image)
    rollout = network(data[0].image[None], proposals[None], tf.constant([0, 0]))
    kernel, bias = network.class_heads[0].get_weights()
    box_kernel, box_bias = network.box_heads[0].get_weights()
    for step, fused in enumerate(np.moveaxis(rollout.fused[0].numpy(), 1, 0)):
        odds = np.exp(fused @ kernel + bias)
        np.testing.assert_allclose(followed.probabilities[:, step], odds / odds.sum(-1, keepdims=True), rtol=1e-3)
        deltas = (fused @ box_kernel + box_bias).reshape(-1, 3, 4) * np.float32([0.1, 0.1, 0.2, 0.2])
        placed = boxes.clip(boxes.decode(deltas, proposals[:, None]), 32, 40)
        np.testing.assert_allclose(followed.boxes[:, step], placed, atol=1e-2)
    assert np.abs(followed.probabilities[:, 0] - followed.probabilities[:, 2]).max() > 0.01


def test_one_at_a_time_images_may_differ_in_size():
    whole, = examples(1)
    network, data = detector(), [whole, whole._replace(id="cut", image=whole.image[:28, :36]), whole]
    first, cut, again = follow(network, data, PROPOSALS, 0, batch_size=1)
    np.testing.assert_array_equal(first.detections.boxes, again.detections.boxes)
    alone, = follow(network, [data[1]], PROPOSALS, 0)
    # Beside others the list of 26 is filled up, and a product may sum up the last rows, 26 modulo 8, in another order.
    np.testing.assert_array_equal(cut.probabilities[:24], alone.probabilities[:24])
    np.testing.assert_allclose(cut.probabilities, alone.probabilities, rtol=1e-6)
    assert cut.glimpses[..., 2].max() == 36


def test_detections_are_traced_to_their_proposals():
    """With a box head of zeros an answer is the proposal itself, so a detection shows where it came from."""
    network = detector()
    network.box_heads[0].set_weights([np.zeros_like(weight) for weight in network.box_heads[0].get_weights()])
    followed, = follow(network, examples(1), PROPOSALS, 0)
    sources = detected_proposals(followed)
    assert len(sources) == followed.detections.counts > 3 and len(set(sources)) > 1
    np.testing.assert_allclose(followed.glimpses[sources, 0], followed.detections.boxes, atol=1e-4)
    sequences = sequences_of_detections(followed, 2)
    assert [each.name for each in sequences] == [
        f"picture-0, detection {place} of {followed.detections.counts}" for place in (1, 2)]
    for sequence, box, score, label in zip(sequences, *followed.detections[:3]):
        np.testing.assert_array_equal(sequence.boxes[-1], box)
        assert sequence.probabilities[-1, 1 + label] == score and sequence.label == label
        best = pairwise_iou(box[None], OBJECTS)[0]
        assert sequence.overlaps[-1] == best.max() > 0
        np.testing.assert_array_equal(sequence.truth, OBJECTS[best.argmax()])
        assert sequence.true_label == (2, 0)[best.argmax()]


def test_objects_are_followed_from_the_proposal_that_overlaps_them_most():
    network, (example,) = detector(), examples(1)
    followed, = follow(network, [example], PROPOSALS, 0)
    proposals = PROPOSALS(example.image)
    sequences = sequences_of_objects(followed, least_iou=0.3)
    assert [each.name for each in sequences] == ["picture-0, object 1 of 2", "picture-0, object 2 of 2"]
    rollout = network(example.image[None], proposals[None], tf.constant([0, 0]))
    for place, sequence in enumerate(sequences):
        best = pairwise_iou(proposals, OBJECTS)[:, place].argmax()
        np.testing.assert_array_equal(sequence.glimpses[0], proposals[best])
        assert sequence.label == sequence.true_label == (2, 0)[place]
        # The rewards are those of the training, but for boxes that reach beyond the image.
        assert (sequence.boxes > 0).all() and (sequence.boxes < [40, 32, 40, 32]).all()
        for step, reward in enumerate(sequence.rewards):
            logits, deltas = network.heads(rollout.fused[:, best:best + 1, step])
            expected, _ = answer_quality(logits, deltas, proposals[None, best:best + 1],
                                       tf.constant([[1 + sequence.label]]), OBJECTS[None, place:place + 1])
            assert reward == pytest.approx(float(expected[0, 0]), rel=1e-3)
        assert sequence.gain == pytest.approx(sequence.rewards[2] - sequence.rewards[0])

    difficult = followed._replace(example=example._replace(difficult=np.array([True, False])))
    assert [each.name for each in sequences_of_objects(difficult, 0.3)] == ["picture-0, object 2 of 2"]
    assert not sequences_of_objects(followed, least_iou=0.999)


def test_proposals_near_objects():
    followed, = follow(detector(), examples(1), PROPOSALS, 0)
    deltas, proposals, objects = near_objects(followed, least_iou=0.4)
    assert len(deltas) == len(proposals) == len(objects) > 2 and deltas.shape[1:] == (2, 4)
    overlaps = pairwise_iou(PROPOSALS(followed.example.image), OBJECTS)
    near = np.flatnonzero(overlaps.max(axis=1) >= 0.4)
    np.testing.assert_array_equal(proposals, followed.glimpses[near, 0])
    np.testing.assert_array_equal(objects, OBJECTS[overlaps[near].argmax(axis=1)])
    np.testing.assert_allclose(deltas[:, 1], [(0, -0.1, -0.2, 0.3)] * len(near), rtol=1e-6)


def test_a_picture_without_objects():
    empty = examples(1)[0]._replace(boxes=np.zeros([0, 4], np.float32), labels=np.zeros(0, np.int32),
                                    difficult=np.zeros(0, bool))
    followed, = follow(detector(1), [empty], PROPOSALS, 0)
    assert not sequences_of_objects(followed)
    assert [len(part) for part in near_objects(followed)] == [0, 0, 0]
    sequence = sequences_of_detections(followed, 1)[0]
    assert sequence.truth is None and sequence.overlaps is None and sequence.true_label is None
    assert sequence.glimpses.shape == sequence.boxes.shape == (1, 4)


def test_pooled_glimpses_are_what_the_controller_reads():
    network, (example,) = detector(), examples(1)
    followed, = follow(network, [example], PROPOSALS, 0)
    pooled = pooled_glimpses(network, example.image, followed.glimpses[4])
    expected = roi_pool(network.backbone(example.image[None]), followed.glimpses[4][None], 3, spatial_scale=0.25)
    np.testing.assert_array_equal(pooled, expected[0])
    assert pooled.shape == (3, 3, 3, 6) and pooled.max() > 0
