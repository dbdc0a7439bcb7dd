import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.geometry import boxes
from glimpse.network.backbones import small_cnn
from glimpse.network.controller import NoRecurrence
from glimpse.network.detector import GlimpseDetector, going_on
from glimpse.network.fusions import last_fusion, max_fusion, mean_fusion
from glimpse.network.policies import FixedPolicy, LearnedPolicy, RandomPolicy, RepeatPolicy
from glimpse.ops import roi_align, roi_pool

SEED = tf.constant([1, 2])
IMAGES = tf.cast(tf.random.stateless_uniform([2, 32, 40, 1], [5, 6], 0, 255), tf.uint8)
PROPOSALS = tf.constant(
    [[[4.0, 4, 20, 16], [10, 8, 36, 30], [0, 0, 40, 32]], [[1, 2, 9, 30], [20, 20, 28, 28], [3, 3, 30, 12]]])


def detector(num_glimpses, policy=None, **options):
    keras.utils.set_random_seed(0)
    return GlimpseDetector(
        num_classes=3, num_glimpses=num_glimpses, backbone=small_cnn(filters=(4, 6), strides=(2, 2)), policy=policy,
        pooled_size=(3, 2), stride=4, units=(16, 12), **options)


def test_one_glimpse_is_fast_rcnn():
    """Held against Fast R-CNN written out: pool, fc6, fc7, two heads, with the same weights."""
    network = detector(1, policy=LearnedPolicy())
    rollout = network(IMAGES, PROPOSALS, SEED)
    logits, deltas = rollout.logits[:, :, 0], rollout.box_deltas[:, :, 0]
    weights = {v.path.removeprefix("detector/"): v for v in network.weights}
    assert not [path for path in weights if "policy" in path or "recurrent" in path]

    pooled = roi_pool(network.backbone(IMAGES), PROPOSALS, (3, 2), spatial_scale=0.25)
    hidden = tf.reshape(pooled, [6, -1])
    for layer in network.controller.stages[0]:
        kernel, bias = layer.get_weights()
        hidden = np.maximum(hidden @ kernel + bias, 0)
    for head, expected in ((network.class_heads[0], logits), (network.box_heads[0], deltas / [0.1, 0.1, 0.2, 0.2])):
        kernel, bias = head.get_weights()
        np.testing.assert_allclose(np.reshape(hidden @ kernel + bias, expected.shape), expected, rtol=1e-4, atol=1e-5)


def test_every_glimpse_is_decoded_from_the_proposal_and_cut_to_the_image():
    listed = [(0.0, 0.0, 0.5, 0.5), (0.3, -0.2, -0.5, 0.0)]
    rollout = detector(3, FixedPolicy(listed))(IMAGES, PROPOSALS, SEED)
    np.testing.assert_array_equal(rollout.glimpses[:, :, 0], PROPOSALS)
    for step, delta in enumerate(listed, start=1):
        expected = boxes.clip(boxes.decode(tf.broadcast_to(delta, PROPOSALS.shape), PROPOSALS), 32, 40)
        np.testing.assert_allclose(rollout.glimpses[:, :, step], expected, rtol=1e-5, atol=1e-5)
    assert float(tf.reduce_max(rollout.glimpses[..., 2])) == 40


@pytest.mark.parametrize("fusion, fuse", [
    (max_fusion, np.maximum.reduce), (mean_fusion, lambda h: np.mean(h, 0)), (last_fusion, lambda h: h[-1]),
    (lambda fused, hidden, count: fused + hidden, np.sum)], ids=["max", "mean", "last", "of one's own"])
def test_fusion(fusion, fuse):
    """With no recurrence and a repeated proposal, and with one at a time, fc7 of each step is known."""
    network = detector(3, FixedPolicy([(0.2, 0, 0.5, 0.5), (0, 0, -0.5, 0)]), recurrence=NoRecurrence, fusion=fusion)
    rollout = network(IMAGES, PROPOSALS, SEED)
    feature_map = network.backbone(IMAGES)
    steps = [network.controller(tf.reshape(roi_pool(feature_map, rollout.glimpses[:, :, t], (3, 2), 0.25), [6, 36]))[0]
             for t in range(3)]
    for seen in (1, 2, 3):
        np.testing.assert_allclose(
            tf.reshape(rollout.fused[:, :, seen - 1], [6, 12]),
            fuse(np.stack(steps[:seen]), *([0] if fuse is np.sum else [])), rtol=1e-4, atol=1e-6)


def test_repeat_looks_at_the_proposal_again():
    rollout = detector(3, RepeatPolicy())(IMAGES, PROPOSALS, SEED)
    np.testing.assert_allclose(rollout.glimpses, np.repeat(PROPOSALS[:, :, None], 3, axis=2), atol=1e-4)


def test_episodes_share_the_first_glimpse_and_then_go_their_own_ways():
    network = detector(2, RandomPolicy(0.3))
    rollout = network(IMAGES, PROPOSALS, SEED, proposal_of=tf.constant([0, 1, 2, 0, 1]))
    single = network(IMAGES, PROPOSALS, SEED)
    assert rollout.glimpses.shape == (2, 5, 2, 4)
    np.testing.assert_array_equal(rollout.glimpses[:, :, 0], tf.gather(PROPOSALS, [0, 1, 2, 0, 1], axis=1))
    np.testing.assert_allclose(
        rollout.fused[:, :, 0], tf.gather(single.fused[:, :, 0], [0, 1, 2, 0, 1], axis=1), rtol=1e-5)
    assert np.abs(rollout.glimpses[:, 0, 1] - rollout.glimpses[:, 3, 1]).max() > 0.1
    # What an episode saw second is what a detector shown that glimpse as its only episode would have encoded.
    np.testing.assert_allclose(
        rollout.glimpses[:, :, 1],
        boxes.clip(boxes.decode(rollout.deltas[:, :, 0], rollout.glimpses[:, :, 0]), 32, 40), rtol=1e-5, atol=1e-4)


def test_the_evaluation_takes_the_mean_and_exploration_draws():
    network = detector(2, LearnedPolicy(deviation=0.1, kernel_deviation=0.5))
    calm, again = (network(IMAGES, PROPOSALS, tf.constant([7, seed])) for seed in (1, 2))
    np.testing.assert_array_equal(calm.deltas, again.deltas)
    np.testing.assert_allclose(calm.deltas, network.policy.mean(calm.policy_inputs), rtol=1e-5, atol=1e-7)
    drawn = network(IMAGES, PROPOSALS, SEED, explore=True)
    assert 0.03 < np.std(drawn.deltas - network.policy.mean(drawn.policy_inputs)) < 0.3


@pytest.mark.parametrize("reach", ["head", "controller"])
def test_how_far_the_policy_gradient_reaches(reach):
    network = detector(2, LearnedPolicy(), policy_gradient=reach)
    with tf.GradientTape() as tape:
        rollout = network(IMAGES, PROPOSALS, SEED, explore=True)
        loss = tf.reduce_sum(network.policy.log_probability(rollout.policy_inputs, rollout.deltas))
    reached = {v.path for v, g in zip(network.trainable_variables, tape.gradient(loss, network.trainable_variables))
               if g is not None and np.any(g)}
    assert any("glimpse_head" in path for path in reached)
    assert any("fc6" in path for path in reached) == any("conv1" in path for path in reached) == (reach == "controller")
    assert not any("class_head" in path or "box_head" in path for path in reached)


@pytest.mark.parametrize("pooling", ["max", "align", "crop", "zoom"])
@pytest.mark.parametrize("pathwise", [False, True])
def test_the_gradient_of_the_heads_reaches_the_policy_only_if_pathwise_and_smooth(pooling, pathwise):
    network = detector(3, LearnedPolicy(), pooling=pooling)
    with tf.GradientTape() as tape:
        rollout = network(IMAGES, PROPOSALS, SEED, explore=True, pathwise=pathwise)
        logits, deltas = rollout.logits[:, :, -1], rollout.box_deltas[:, :, -1]
        loss = tf.reduce_sum(logits**2) + tf.reduce_sum(deltas**2)
    gradients = tape.gradient(loss, network.policy.trainable_variables)
    assert any(g is not None and np.any(g) for g in gradients) == (pathwise and pooling != "max")


def test_a_crop_is_warped_to_the_pixels_of_the_pooled_grid():
    """A ramp, by hand: 6 and 4 pixels wide and high as they are, and 12 and 8, of which each pixel takes the mean of
    four.
    """
    network = detector(2, RepeatPolicy(), pooling="crop")
    network.backbone, network.stride = (lambda crops: crops), 2  # what the backbone of a crop is given; 3 x 2 cells
    ramp = tf.range(32.0)[:, None] * 100 + tf.range(40.0)[None, :]
    crops = network.pool(ramp[None, :, :, None], tf.constant([[[10.0, 4, 14, 10], [10, 4, 18, 16]]]))
    expected = [np.arange(4, 10)[:, None] * 100 + np.arange(10, 14),
                np.arange(4.5, 16, 2)[:, None] * 100 + np.arange(10.5, 18, 2)]
    np.testing.assert_allclose(crops[0, ..., 0], expected, rtol=1e-5)


def test_zoom_looks_first_at_a_coarse_map_and_then_at_the_pixels():
    """The first glimpse is RoI align from a picture half as large; all others are those of the pooling "crop"."""
    network = detector(3, FixedPolicy([(0.3, -0.2, -0.5, 0.0), (0, 0, 0.2, 0.2)]), pooling="zoom", zoom=2)
    rollout = network(IMAGES, PROPOSALS, SEED)
    shared = network.shared_map(IMAGES)
    halved = np.reshape(np.float32(IMAGES), [2, 16, 2, 20, 2, 1]).mean((2, 4))
    first = roi_align(network.backbone(halved), PROPOSALS / 2, (3, 2), spatial_scale=1 / 4)
    np.testing.assert_allclose(network.pool(shared, PROPOSALS), first, rtol=1e-4, atol=1e-4)

    crops = detector(3, network.policy, pooling="crop")
    crops.backbone = network.backbone
    for step in (1, 2):
        glimpses = rollout.glimpses[:, :, step]
        np.testing.assert_array_equal(network.pool(shared, glimpses, step), crops.pool(shared.image, glimpses))
    shared = network.shared_map(IMAGES[:1])
    sequence = network.pool_sequence(shared, rollout.glimpses[0, 0])
    np.testing.assert_allclose(sequence[0], first[0, 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        sequence[1:], network.pool(shared, rollout.glimpses[:1, 0, 1:], 1)[0], rtol=1e-4, atol=1e-4)


def test_with_crops_no_proposal_sees_what_lies_beyond_its_glimpses():
    """A shared map tells a glimpse of its surroundings, a crop's does not."""
    for pooling, told in (("align", True), ("crop", False)):
        network = detector(2, FixedPolicy([(0, 0, 0.3, 0.3)]), pooling=pooling)
        proposals = tf.constant([[[12.0, 12, 20, 20]]] * 2)  # the larger glimpse ends at 10.6 and 21.4
        near = np.zeros([2, 32, 40, 1], np.uint8)
        near[1, :, 24] = 255
        one, other = network(near, proposals, SEED).fused[:, 0, -1]
        assert bool(np.abs(one - other).max() > 1e-6) == told


def test_a_feature_map_that_is_known_is_not_computed_again():
    network = detector(2, RandomPolicy(0.3), pooling="align")
    fused = network(IMAGES, PROPOSALS, SEED).fused
    np.testing.assert_array_equal(network(IMAGES, PROPOSALS, SEED, feature_map=network.shared_map(IMAGES)).fused, fused)
    assert np.abs(network(IMAGES, PROPOSALS, SEED,
                          feature_map=network.shared_map(255 - IMAGES)).fused - fused).max() > 1e-3


def test_the_pathwise_gradient_is_the_slope_of_the_loss_in_the_bias_of_the_glimpse_head():
    network = detector(2, LearnedPolicy(initial_delta=(0.1, 0.05, 0.2, 0.3)), pooling="align", delta_input=True)
    bias = (network(IMAGES, PROPOSALS, SEED), network.policy.linear.bias)[1]

    def loss():
        return tf.reduce_sum(network(IMAGES, PROPOSALS, SEED, pathwise=True).fused[:, :, -1] ** 2)

    with tf.GradientTape() as tape:
        value = loss()
    slope, start = tape.gradient(value, bias).numpy(), bias.numpy()
    for place in range(4):
        step = 1e-3 * np.eye(4, dtype=np.float32)[place]
        ends = [(bias.assign(start + sign * step), float(loss()))[1] for sign in (1, -1)]
        bias.assign(start)
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-3, slope[place], rtol=0.15, atol=0.02 * np.abs(slope).max())


def test_delta_input_tells_where_a_glimpse_was_and_nothing_at_one_glimpse():
    blank = tf.zeros_like(IMAGES)
    rollouts = [detector(2, FixedPolicy([(0, 0, size, size)]), delta_input=True)(blank, PROPOSALS, SEED)
                for size in (0.2, 0.4)]
    np.testing.assert_allclose(rollouts[0].fused[:, :, 0], rollouts[1].fused[:, :, 0])
    assert np.abs(rollouts[0].fused[:, :, 1] - rollouts[1].fused[:, :, 1]).max() > 1e-3
    one, plain = (detector(1, delta_input=option)(IMAGES, PROPOSALS, SEED).fused for option in (True, False))
    np.testing.assert_array_equal(one, plain)


def test_forced_deltas_are_looked_at_and_the_policy_decides_the_others():
    network = detector(3, FixedPolicy([(0, 0, 0.5, 0.5), (0, 0, -0.5, -0.5)]))
    forced = np.full((2, 3, 4), np.nan, np.float32)
    forced[1, 2] = (0.1, 0.2, 0.3, 0.4)
    deltas = network(IMAGES, PROPOSALS, SEED, forced=forced).deltas
    np.testing.assert_allclose(deltas[:, 2, 1], [[0.1, 0.2, 0.3, 0.4]] * 2)
    np.testing.assert_allclose(deltas[:, :2, 1], np.broadcast_to([0, 0, -0.5, -0.5], (2, 2, 4)))
    np.testing.assert_allclose(deltas[:, :, 0], np.broadcast_to([0, 0, 0.5, 0.5], (2, 3, 4)))


def test_detections_are_sorted_placed_and_suppressed():
    network = detector(1)
    network(IMAGES, PROPOSALS, SEED)
    network.class_heads[0].set_weights([np.zeros([12, 4]), np.log([0.1, 0.2, 0.6, 0.1])])
    network.box_heads[0].set_weights([np.zeros([12, 12]), np.zeros(12)])
    same = tf.constant([[[4.0, 4, 20, 16], [4, 4, 20, 17], [30, 20, 50, 40]]] * 2)
    found, rollout = network.detect(IMAGES, same, SEED, score_threshold=0.15)
    # Classes 0 (0.2) and 1 (0.6) pass; the two overlapping proposals leave one box a class; the third is cut to 40 x
    # 32.
    np.testing.assert_array_equal(found.counts, [4, 4])
    np.testing.assert_allclose(found.scores[0, :4], [0.6, 0.6, 0.2, 0.2], rtol=1e-5)
    np.testing.assert_array_equal(found.labels[0, :4], [1, 1, 0, 0])
    assert {tuple(map(round, box)) for box in found.boxes[0, :2].numpy()} <= {(4, 4, 20, 16), (4, 4, 20, 17),
                                                                              (30, 20, 40, 32)}
    assert rollout.deltas.shape == (2, 3, 0, 4)


def test_boxes_are_cut_to_the_image_and_not_to_its_padding():
    sizes = tf.constant([[32, 40], [24, 20]])
    network = detector(2, FixedPolicy([(0.3, 0.3, 1.0, 1.0)]))
    glimpses = network(IMAGES, PROPOSALS, SEED, sizes=sizes).glimpses[:, :, 1]
    whole = network(IMAGES, PROPOSALS, SEED).glimpses[:, :, 1]
    np.testing.assert_array_equal(glimpses[0], whole[0])
    np.testing.assert_array_equal(glimpses[1], np.minimum(whole[1], [20, 24, 20, 24]))
    assert np.any(glimpses[1] != whole[1])
    found, _ = network.detect(IMAGES, PROPOSALS, SEED, sizes=sizes, score_threshold=0.0)
    assert (found.boxes[1].numpy() <= [20, 24, 20, 24]).all() and found.boxes[0].numpy().max() > 39


def test_a_proposal_that_fills_up_the_list_is_never_detected():
    network = detector(2, FixedPolicy([(0, 0, 0.5, 0.5)]))
    alone, _ = network.detect(IMAGES, PROPOSALS[:, :2], SEED, score_threshold=0.0)
    filled = tf.concat([PROPOSALS[:, :2], tf.zeros([2, 5, 4])], axis=1)
    masked, _ = network.detect(IMAGES, filled, SEED, is_proposal=tf.constant([[True] * 2 + [False] * 5] * 2),
                               score_threshold=0.0)
    for part, other in zip(alone, masked):
        np.testing.assert_allclose(part, other, rtol=1e-5, atol=1e-5)
    unmasked, _ = network.detect(IMAGES, filled, SEED, score_threshold=0.0)
    assert unmasked.counts[0] > masked.counts[0] > 0


def test_unknown_sizes_in_a_graph():
    network = detector(2, LearnedPolicy())
    looked = tf.function(network.call, input_signature=[
        tf.TensorSpec([None, None, None, 1], tf.uint8), tf.TensorSpec([None, None, 4]), tf.TensorSpec([2], tf.int32)])
    np.testing.assert_allclose(looked(IMAGES, PROPOSALS, SEED).fused, network(IMAGES, PROPOSALS, SEED).fused, atol=1e-5)
    assert looked(IMAGES, PROPOSALS[:, :0], SEED).fused.shape == (2, 0, 2, 12)


@pytest.mark.parametrize("options, message", [
    (dict(num_glimpses=0), "num_glimpses must be a whole number of at least 1, got 0"),
    (dict(num_glimpses="three"), "num_glimpses must be a whole number of at least 1, got 'three'"),
    (dict(num_glimpses=2), "policy must be given"),
    (dict(num_glimpses=1, fusion="sum"), "fusion must be a reference such as @max, @mean or @last, got 'sum'"),
    (dict(num_glimpses=1, recurrence="relu"), "recurrence must be a reference such as @relu, .*got 'relu'"),
    (dict(num_glimpses=1, box_reference="box"), "box_reference must be one of 'proposal', 'glimpse', got 'box'"),
])
def test_faults_name_the_parameter_and_the_value(options, message):
    with pytest.raises(GlimpseError, match=message):
        detector(**options)


def test_a_pooled_size_of_zero_is_refused():
    with pytest.raises(GlimpseError, match="pooled_size must be a whole number of at least 1, got 0"):
        GlimpseDetector(num_classes=3, num_glimpses=1, backbone=small_cnn(), pooled_size=0, stride=4)


def test_episodes_that_may_stop_keep_their_first_answer():
    """Held against a roll-out of everything: who goes on is as there, who stops repeats what the first glimpse said."""
    network = detector(3, LearnedPolicy(), fusion=last_fusion)
    everything = network(IMAGES, PROPOSALS, SEED)
    background = everything.probabilities[:, :, 0, 0].numpy()
    rollout = network(IMAGES, PROPOSALS, SEED, may_stop=(1, 3, 1))
    for image in range(2):
        stops = 1 + int(background[image, 1:].argmax())
        for name, one, other in zip(rollout._fields, rollout, everything):
            expected = other[image].numpy()
            expected[stops] = 0 if name in ("deltas", "policy_inputs") else expected[stops, :1]
            np.testing.assert_allclose(one[image], expected, atol=1e-4, err_msg=name)


def test_nothing_stops_where_as_many_may_go_on():
    network = detector(2, LearnedPolicy())
    everything = network(IMAGES, PROPOSALS, SEED)
    for one, other in zip(network(IMAGES, PROPOSALS, SEED, may_stop=(0, 3, 3)), everything):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_who_goes_on_is_least_likely_background():
    background = tf.constant([[0.9, 0.2, 0.5, 0.4, 0.6], [0.1, 0.9, 0.7, 0.8, 0.8]])
    chosen = going_on(background, 1, 4, 2)
    np.testing.assert_array_equal(chosen, [[0, 1, 3, 4], [0, 2, 3, 4]])
    np.testing.assert_array_equal(going_on(background, 1, 4, 0), [[0, 4]] * 2)
