import numpy as np
import pytest
import tensorflow as tf

from glimpse import objectives
from glimpse.policies import LearnedPolicy

PROPOSALS = tf.constant([[[0.0, 0, 10, 10], [0, 0, 10, 10]]])


def test_detection_loss_by_hand():
    # Two RoIs of one image: background, and class 2 of 2 whose object lies 5 right of the proposal: delta (0.5, 0, 0, 0).
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
            tf.zeros([1, 2, 4]), deltas, PROPOSALS, tf.constant([[0, 2]]), PROPOSALS, tf.ones([1, 2]), [0.1, 0.1, 0.2, 0.2])
    touched = np.any(tape.gradient(loss, deltas).numpy() != 0, axis=-1)[0]
    np.testing.assert_array_equal(touched, [[False] * 3, [False, True, False]])


def test_terminal_reward_by_hand():
    logits = tf.math.log(tf.constant([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]]))
    targets = tf.constant([[[0.0, 0, 10, 10], [5, 0, 15, 10]]])  # IoU 50 / 150 with the box of delta 0
    reward = objectives.terminal_reward(logits, tf.zeros([1, 2, 2, 4]), PROPOSALS, tf.constant([[0, 2]]), targets)
    np.testing.assert_allclose(reward, [[0, 0.7 / 3]], rtol=1e-6)


RETURNS = tf.constant([[[1.0, 5], [2, 6], [6, 7]]])  # [B=1, E=3, F=2]


def test_group_baseline_is_the_mean_of_the_other_episodes():
    advantage = objectives.advantages(RETURNS, tf.constant([[True, False]]), "group")
    np.testing.assert_allclose(advantage, [[[1 - 4, 0], [2 - 3.5, 0], [6 - 1.5, 0]]])


def test_batch_baseline_has_mean_zero_and_variance_one_over_the_foreground():
    for mask in ([[True, True]], [[True, False]]):
        advantage = objectives.advantages(RETURNS, tf.constant(mask), "batch").numpy()
        inside = advantage[:, :, np.array(mask[0])]
        np.testing.assert_allclose([inside.mean(), inside.std()], [0, 1], atol=1e-6)
        assert not advantage[:, :, ~np.array(mask[0])].any()


def test_no_baseline_keeps_the_returns():
    np.testing.assert_array_equal(
        objectives.advantages(RETURNS, tf.constant([[False, True]]), "none"), RETURNS * [0.0, 1.0])


@pytest.mark.parametrize("baseline", objectives.BASELINES)
def test_without_foreground_nothing_is_learned_and_nothing_is_nan(baseline):
    mask = tf.constant([[False, False]])
    advantage = objectives.advantages(RETURNS, mask, baseline)
    loss = objectives.reinforce_loss(tf.ones([1, 3, 2, 1]), advantage, mask)
    assert float(loss) == 0


def test_reinforce_gradient_of_the_linear_gaussian_head_by_hand():
    # method: the gradient of log pi is (a - mu) h / sigma^2 in the weights, (a - mu) / sigma^2 in the bias.
    policy = LearnedPolicy(deviation=0.5)
    hidden = tf.constant([[1.0, 2, 3], [-1, 0, 1]])  # 2 episodes of one RoI
    with tf.GradientTape() as tape:
        deltas, means = policy(hidden, step=0, seed=tf.constant([1, 2]), explore=True)
        log_probability = tf.reshape(policy.log_probability(deltas, means), [1, 2, 1, 1])
        advantage = tf.constant([[[3.0], [-1.0]]])
        loss = objectives.reinforce_loss(log_probability, advantage, tf.constant([[True]]))
    kernel, bias = tape.gradient(loss, policy.mean.trainable_variables)
    score = (deltas - means).numpy() / 0.25
    expected = -(3 * np.outer(hidden[0], score[0]) - np.outer(hidden[1], score[1])) / 2
    np.testing.assert_allclose(kernel, expected, rtol=1e-4)
    np.testing.assert_allclose(bias, -(3 * score[0] - score[1]) / 2, rtol=1e-4)
    assert np.abs(expected).max() > 0.1


def test_reinforce_climbs_to_the_rewarded_delta():
    """Trap: an unstopped sample cancels its own gradient. Here the policy must really move to where the reward is."""
    policy = LearnedPolicy(deviation=0.2)
    hidden, goal = tf.ones([64, 1]), tf.constant([0.3, -0.3, 0.5, 0.0])
    policy(hidden, step=0, seed=tf.constant([0, 0]), explore=True)
    for step in range(200):
        with tf.GradientTape() as tape:
            deltas, means = policy(hidden, step=0, seed=tf.constant([0, step]), explore=True)
            returns = tf.reshape(-tf.reduce_sum((deltas - goal) ** 2, axis=-1), [1, 64, 1])
            mask = tf.constant([[True]])
            loss = objectives.reinforce_loss(
                tf.reshape(policy.log_probability(deltas, means), [1, 64, 1, 1]),
                objectives.advantages(returns, mask, "group"), mask)
        for variable, gradient in zip(policy.trainable_variables, tape.gradient(loss, policy.trainable_variables)):
            variable.assign_sub(0.02 * gradient)
    means, _ = policy(hidden[:1], step=0, seed=tf.constant([0, 0]), explore=False)
    np.testing.assert_allclose(means[0], goal, atol=0.1)
