import numpy as np
import pytest
import tensorflow as tf

from glimpse.network.policies import LearnedPolicy, Situation
from glimpse.training import objectives


def situation(hidden, seed):
    """A Situation of which the learned policy asks nothing but this."""
    return Situation(0, hidden, hidden, None, None, None, None, None, tf.constant(seed))


PROPOSALS = tf.constant([[[0.0, 0, 10, 10], [0, 0, 10, 10]]])


def test_detection_loss_by_hand():
    # Two RoIs of one image: background, and class 2 of 2 whose object lies 5 right of the proposal: delta (0.5, 0, 0,
    # 0).
    logits = tf.math.log(tf.constant([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]]))
    deltas = tf.zeros([1, 2, 2, 4])
    targets = tf.constant([[[0.0, 0, 10, 10], [5, 0, 15, 10]]])
    class_loss, box_loss = objectives.detection_loss(
        logits, deltas, PROPOSALS, tf.constant([[0, 2]]), targets, tf.constant([[0.5, 0.5]]), [1.0, 1, 1, 1])
    np.testing.assert_allclose(class_loss, -(np.log(0.5) + np.log(0.7)) / 2, rtol=1e-6)
    np.testing.assert_allclose(box_loss, 0.5 * 0.5**2 / 2, rtol=1e-5)  # quadratic below 1, only the foreground RoI
    _, far = objectives.detection_loss(
        logits, deltas, PROPOSALS, tf.constant([[0, 2]]), targets, tf.constant([[0.5, 0.5]]), [0.1, 1, 1, 1])
    np.testing.assert_allclose(far, (5 - 0.5) / 2, rtol=1e-5)  # linear above 1


def test_detection_loss_reads_the_box_of_the_true_class_only():
    deltas = tf.Variable(tf.random.stateless_normal([1, 2, 3, 4], [1, 2]))
    with tf.GradientTape() as tape:
        _, loss = objectives.detection_loss(
            tf.zeros([1, 2, 4]), deltas, PROPOSALS, tf.constant([[0, 2]]), PROPOSALS, tf.ones([1, 2]),
            [0.1, 0.1, 0.2, 0.2])
    touched = np.any(tape.gradient(loss, deltas).numpy() != 0, axis=-1)[0]
    np.testing.assert_array_equal(touched, [[False] * 3, [False, True, False]])


def test_answer_quality_by_hand():
    logits = tf.math.log(tf.constant([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]]))
    for shift, overlap, correct in ((5, 50 / 150, 0), (2, 80 / 120, 1)):  # of a 10 x 10 box with itself, shifted
        targets = tf.constant([[[0.0, 0, 10, 10], [shift, 0, shift + 10, 10]]])
        answer = objectives.answer_quality(logits, tf.zeros([1, 2, 2, 4]), PROPOSALS, tf.constant([[0, 2]]), targets)
        np.testing.assert_allclose(answer, [[[0, 0.7 * overlap]], [[0, correct]]], rtol=1e-6)
        wrong = objectives.answer_quality(logits, tf.zeros([1, 2, 2, 4]), PROPOSALS, tf.constant([[0, 1]]), targets)
        np.testing.assert_allclose(wrong, [[[0, 0.2 * overlap]], [[0, 0]]], rtol=1e-6)


def test_rewards_by_hand():
    quality, correct = tf.constant([[0.2, 0.5, 0.4]]), tf.constant([[0.0, 1, 1]])
    np.testing.assert_allclose(objectives.terminal(quality, correct), [[0.4, 0.4]])
    np.testing.assert_allclose(objectives.discrete(quality, correct), [[1, 1]])
    # The second glimpse added 0.3 and the third took 0.1 away: the first action led to both, the second to the last.
    np.testing.assert_allclose(objectives.gain(quality, correct), [[0.3 - 0.1, -0.1]], rtol=1e-6)


RETURNS = tf.constant([[[1.0, 5], [2, 6], [6, 7]]])[..., None]  # [B=1, E=3, F=2, T-1=1]


def test_group_baseline_is_the_mean_of_the_other_episodes():
    advantage = objectives.advantages(RETURNS, tf.constant([[True, False]]), "group")
    np.testing.assert_allclose(advantage, np.array([[[1 - 4, 0], [2 - 3.5, 0], [6 - 1.5, 0]]])[..., None])


def test_batch_baseline_has_mean_zero_and_variance_one_over_the_foreground():
    for mask in ([[True, True]], [[True, False]]):
        advantage = objectives.advantages(RETURNS, tf.constant(mask), "batch").numpy()
        inside = advantage[:, :, np.array(mask[0])]
        np.testing.assert_allclose([inside.mean(), inside.std()], [0, 1], atol=1e-6)
        assert not advantage[:, :, ~np.array(mask[0])].any()


def test_no_baseline_keeps_the_returns():
    np.testing.assert_array_equal(
        objectives.advantages(RETURNS, tf.constant([[False, True]]), "none"), RETURNS * [[0.0], [1.0]])


def test_a_learned_baseline_is_taken_off():
    advantage = objectives.advantages(RETURNS, tf.constant([[True, False]]), "learned", 2 * tf.ones_like(RETURNS))
    np.testing.assert_allclose(advantage[..., 0], [[[-1, 0], [0, 0], [4, 0]]])


@pytest.mark.parametrize("baseline", objectives.BASELINES)
def test_without_foreground_nothing_is_learned_and_nothing_is_nan(baseline):
    mask = tf.constant([[False, False]])
    advantage = objectives.advantages(RETURNS, mask, baseline, tf.zeros_like(RETURNS))
    loss = objectives.reinforce_loss(tf.ones([1, 3, 2, 1]), advantage, mask)
    assert float(loss) == 0


def test_reinforce_gradient_of_the_linear_gaussian_head_by_hand():
    # method: the gradient of log pi is (a - mu) h / sigma^2 in the weights, (a - mu) / sigma^2 in the bias.
    policy = LearnedPolicy(deviation=0.5)
    hidden = tf.constant([[1.0, 2, 3], [-1, 0, 1]])  # 2 episodes of one RoI
    with tf.GradientTape() as tape:
        deltas = policy(situation=situation(hidden, [1, 2]), explore=True)
        log_probability = tf.reshape(policy.log_probability(hidden, deltas), [1, 2, 1, 1])
        advantage = tf.constant([[[[3.0]], [[-1.0]]]])
        loss = objectives.reinforce_loss(log_probability, advantage, tf.constant([[True]]))
    kernel, bias = tape.gradient(loss, policy.linear.trainable_variables)
    score = (deltas - policy.mean(hidden)).numpy() / 0.25
    expected = -(3 * np.outer(hidden[0], score[0]) - np.outer(hidden[1], score[1])) / 2
    np.testing.assert_allclose(kernel, expected, rtol=1e-4)
    np.testing.assert_allclose(bias, -(3 * score[0] - score[1]) / 2, rtol=1e-4)
    assert np.abs(expected).max() > 0.1


def test_reinforce_climbs_to_the_rewarded_delta():
    """Trap: an unstopped sample cancels its own gradient. Here the policy must really move to where the reward is."""
    policy = LearnedPolicy(deviation=0.2)
    hidden, goal = tf.ones([64, 1]), tf.constant([0.3, -0.3, 0.5, 0.0])
    policy(situation=situation(hidden, [0, 0]), explore=True)
    for step in range(200):
        with tf.GradientTape() as tape:
            deltas = policy(situation=situation(hidden, [0, step]), explore=True)
            returns = tf.reshape(-tf.reduce_sum((deltas - goal) ** 2, axis=-1), [1, 64, 1, 1])
            mask = tf.constant([[True]])
            loss = objectives.reinforce_loss(
                tf.reshape(policy.log_probability(hidden, deltas), [1, 64, 1, 1]),
                objectives.advantages(returns, mask, "group"), mask)
        for variable, gradient in zip(policy.trainable_variables, tape.gradient(loss, policy.trainable_variables)):
            variable.assign_sub(0.02 * gradient)
    np.testing.assert_allclose(policy.mean(hidden)[0], goal, atol=0.1)


def test_clipped_ratio_by_hand():
    """Two episodes of a RoI with advantages 1 and -1 whose probabilities have grown by 1.1, or have both grown by 1.5.
    """
    advantage, mask = tf.constant([[[[1.0]], [[-1.0]]]]), tf.constant([[True]])
    for ratio, expected in ((1.1, -(1.1 - 1.1) / 2), (1.5, -(1.2 - 1.5) / 2)):
        log_probabilities = tf.Variable(tf.fill([1, 2, 1, 1], np.log(np.float32(ratio))))
        with tf.GradientTape() as tape:
            loss = objectives.clipped_ratio_loss(log_probabilities, tf.zeros([1, 2, 1, 1]), advantage, mask, clip=0.2)
        np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-7)
        slopes = tape.gradient(loss, log_probabilities).numpy().ravel()
        np.testing.assert_allclose(slopes, [0 if ratio > 1.2 else -ratio / 2, ratio / 2], rtol=1e-5)


def test_the_first_update_of_ppo_is_reinforce():
    log_probabilities = tf.Variable(tf.random.stateless_normal([2, 3, 2, 2], [1, 2]))
    advantage, mask = tf.random.stateless_normal([2, 3, 2, 2], [3, 4]), tf.constant([[True, True], [True, True]])
    with tf.GradientTape(persistent=True) as tape:
        plain = objectives.reinforce_loss(log_probabilities, advantage, mask)
        clipped = objectives.clipped_ratio_loss(log_probabilities, log_probabilities, advantage, mask, 0.2)
    np.testing.assert_allclose(tape.gradient(plain, log_probabilities), tape.gradient(clipped, log_probabilities),
                               rtol=1e-5)


def test_the_gradient_of_the_expectation_is_that_of_the_expected_reward():
    """Over softmax scores: d/ds_k sum_j p_j R_j = p_k (R_k - sum_j p_j R_j), whatever baseline was taken off."""
    scores, rewards = tf.Variable([0.3, -0.2, 1.0]), np.array([0.5, 0.9, 0.1])
    with tf.GradientTape() as tape:
        log_probabilities = tf.reshape(tf.nn.log_softmax(scores), [1, 3, 1])
        returns = tf.constant(rewards.reshape(1, 3, 1, 1), tf.float32)
        advantage = objectives.advantages(returns, tf.constant([[True]]), "batch")[..., 0] * float(np.std(rewards))
        loss = objectives.expectation_loss(log_probabilities, advantage, tf.constant([[True]]))
    probabilities = tf.nn.softmax(scores).numpy()
    expected = probabilities * (rewards - probabilities @ rewards)
    np.testing.assert_allclose(tape.gradient(loss, scores), -expected, rtol=1e-4)


def test_relabelling_against_brute_force():
    random = np.random.default_rng(0)

    def some(*shape):
        corners = random.uniform(0, 30, [*shape, 2])
        return np.concatenate([corners, corners + random.uniform(2, 20, [*shape, 2])], axis=-1).astype(np.float32)

    def iou(a, b):
        width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        inside = max(width, 0) * max(height, 0)
        return inside / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)

    rois, objects, classes = some(2, 40), some(2, 4), np.int32([[3, 1, 2, 0], [2, 0, 0, 0]])  # 0 fills up the list
    rois[0, :3] = objects[0, :3]  # some that surely show an object
    seen = set()
    for least_iou in (0.3, 0.6):
        found, targets = objectives.relabelled(rois, objects, classes, least_iou)
        for image in range(2):
            for place, roi in enumerate(rois[image]):
                overlaps = [iou(roi, box) if label else 0 for box, label in zip(objects[image], classes[image])]
                best = int(np.argmax(overlaps))
                expected = (classes[image, best], objects[image, best]) if overlaps[best] >= least_iou else (0, roi)
                assert found[image, place] == expected[0]
                np.testing.assert_array_equal(targets[image, place], expected[1])
                seen.add(int(expected[0]))
    assert seen == {0, 1, 2, 3}
    nothing, _ = objectives.relabelled(rois, np.zeros([2, 0, 4], np.float32), np.zeros([2, 0], np.int32), 0.5)
    assert not nothing.numpy().any()
