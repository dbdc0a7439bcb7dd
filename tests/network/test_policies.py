import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.network.policies import CandidatePolicy, FixedPolicy, LearnedPolicy, RandomPolicy, RepeatPolicy

HIDDEN = tf.random.stateless_normal([500, 8], [0, 1])
SEED = tf.constant([3, 4])


def explored(policy, step=0):
    return policy(HIDDEN, step=step, seed=SEED, explore=True)


def test_learned_explores_with_its_deviation_around_a_mean_linear_in_the_hidden_state():
    policy = LearnedPolicy(deviation=0.1, initial_delta=(0.0, 0.2, 0.5, -0.5), kernel_deviation=0.3)
    deltas, mean = explored(policy), policy(HIDDEN, step=0, seed=SEED, explore=False)
    kernel, bias = policy.linear.get_weights()
    np.testing.assert_allclose(mean, HIDDEN @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bias, [0.0, 0.2, 0.5, -0.5], rtol=1e-6)
    np.testing.assert_allclose(np.std(deltas - mean, axis=0), 0.1, rtol=0.1)
    np.testing.assert_array_equal(deltas, explored(policy))


def test_log_probability_of_the_gaussian_by_hand():
    policy = LearnedPolicy(deviation=0.5, initial_delta=(0.0, 0.0, 1.0, 0.0), kernel_deviation=0.0)
    policy(HIDDEN, step=0, seed=SEED, explore=False)
    log_probability = policy.log_probability(HIDDEN[:2], tf.constant([[0.0, 0, 1, 0], [0.5, 0, 1, -1]]))
    # Without log(2 pi) / 2 for each of the four: at the mean -4 log(0.5), and half a square of 1 and of 2 deviations less.
    np.testing.assert_allclose(log_probability, [4 * np.log(2), 4 * np.log(2) - 0.5 - 2], rtol=1e-5)


def test_log_probability_takes_its_own_draws_as_constants():
    policy = LearnedPolicy()
    with tf.GradientTape() as tape:
        log_probability = policy.log_probability(HIDDEN, explored(policy))
    kernel, bias = tape.gradient(log_probability, policy.trainable_variables)
    assert np.abs(bias).max() > 1  # a gradient through the draws would cancel it exactly


def test_a_bounded_mean_starts_where_it_should_and_stays_inside():
    policy = LearnedPolicy(initial_delta=(0.0, -0.2, 0.5, 0.5), bound=0.8, kernel_deviation=0.0)
    np.testing.assert_allclose(policy(HIDDEN, step=0, seed=SEED, explore=False)[0], [0, -0.2, 0.5, 0.5], rtol=1e-5, atol=1e-7)
    policy.linear.bias.assign([100.0, -100, 0, 1])
    np.testing.assert_allclose(policy.mean(HIDDEN)[0], [0.8, -0.8, 0, 0.8 * np.tanh(1 / 0.8)], rtol=1e-5, atol=1e-7)


def test_a_deviation_can_be_learned_or_scheduled():
    learnable = LearnedPolicy(deviation=0.2, learnable_deviation=True)
    explored(learnable)
    assert "log_deviation" in {v.name for v in learnable.trainable_variables}
    np.testing.assert_allclose(np.std(explored(learnable) - learnable.mean(HIDDEN), axis=0), 0.2, rtol=0.1)
    wide_then_narrow = LearnedPolicy(deviation=keras.optimizers.schedules.PiecewiseConstantDecay([700], [0.4, 0.05]))
    for step, deviation in ((0, 0.4), (700, 0.4), (701, 0.05)):
        wide_then_narrow.begin(tf.constant(step))
        spread = np.std(explored(wide_then_narrow) - wide_then_narrow.mean(HIDDEN), axis=0)
        np.testing.assert_allclose(spread, deviation, rtol=0.1)
    assert "log_deviation" not in {v.name for v in wide_then_narrow.trainable_variables}


CANDIDATES = [(0, 0, 0.5, 0.5), (0.3, 0, 0, 0), (0, -0.3, 0, 0)]


def test_candidates_draw_from_the_softmax_of_their_scores_and_look_at_the_best():
    policy = CandidatePolicy(CANDIDATES)
    explored(policy)
    shares = np.array([0.2, 0.7, 0.1])
    policy.scores.bias.assign(np.log(shares))
    drawn = explored(policy).numpy()
    np.testing.assert_allclose([(drawn == np.float32(each)).all(axis=1).mean() for each in CANDIDATES], shares, atol=0.06)
    np.testing.assert_array_equal(policy(HIDDEN, step=0, seed=SEED, explore=False), np.float32([CANDIDATES[1]] * 500))
    log_probability = policy.log_probability(HIDDEN[:6].numpy().reshape(2, 3, 8), np.float32([CANDIDATES] * 2))
    np.testing.assert_allclose(log_probability, np.log([shares] * 2), rtol=1e-5)


def test_controls():
    for explore in (False, True):
        deltas = RandomPolicy(0.3)(HIDDEN, step=0, seed=SEED, explore=explore)
        np.testing.assert_allclose(np.std(deltas, axis=0), 0.3, rtol=0.1)
        assert not np.any(RepeatPolicy()(HIDDEN, step=0, seed=SEED, explore=explore))
        fixed = FixedPolicy([(0, 0, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4)])
        np.testing.assert_allclose(fixed(HIDDEN, step=1, seed=SEED, explore=explore)[7], [0.1, 0.2, 0.3, 0.4])


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match=r"fixed.deltas\[0\] must be four numbers .*, got \(1, 2\)"):
        FixedPolicy([(1, 2)])
    with pytest.raises(GlimpseError, match="fixed.deltas lists 1 deltas, too few for glimpse 3"):
        FixedPolicy([(0, 0, 0, 0)])(HIDDEN, step=1, seed=SEED, explore=False)
    with pytest.raises(GlimpseError, match="learned.deviation must .*got 0"):
        LearnedPolicy(deviation=0)
    with pytest.raises(GlimpseError, match="learned.initial_delta must be four numbers.*got 'x'"):
        LearnedPolicy(initial_delta="x")
    with pytest.raises(GlimpseError, match="learned.initial_delta must lie within learned.bound=0.4"):
        LearnedPolicy(initial_delta=(0, 0, 0.5, 0.5), bound=0.4)
    with pytest.raises(GlimpseError, match="learned.learnable_deviation needs a number as learned.deviation"):
        LearnedPolicy(deviation=lambda step: 0.1, learnable_deviation=True)
    with pytest.raises(GlimpseError, match=r"candidates.candidates\[1\] must be four numbers"):
        CandidatePolicy([(0, 0, 0, 0), (1, 2)])
