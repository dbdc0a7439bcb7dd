from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.geometry import boxes
from glimpse.network.policies import (
    CandidatePolicy,
    ConstantPolicy,
    FixedPolicy,
    LearnedPolicy,
    OffsetCandidatePolicy,
    OffsetPolicy,
    OraclePolicy,
    RandomPolicy,
    RefinePolicy,
    RepeatPolicy,
    Situation,
    role_of,
)

HIDDEN = tf.random.stateless_normal([500, 8], [0, 1])
SEED = tf.constant([3, 4])


def situation(step=0, **known):
    """A Situation of 500 proposals of which nothing but `known` matters."""
    box = tf.tile([[[10.0, 20, 30, 60]]], [500, 1, 1])
    return Situation(**{"step": step, "hidden": HIDDEN, "fused": HIDDEN, "proposals": box[:, 0], "glimpses": box,
                        "probabilities": tf.tile([[0.2, 0.8]], [500, 1]), "boxes": box, "objects": None, "seed": SEED,
                        **known})


def explored(policy, step=0):
    return policy(situation=situation(step), explore=True)


def calm(policy, step=0):
    return policy(situation=situation(step), explore=False)


def test_learned_explores_with_its_deviation_around_a_mean_linear_in_the_hidden_state():
    policy = LearnedPolicy(deviation=0.1, initial_delta=(0.0, 0.2, 0.5, -0.5), kernel_deviation=0.3)
    deltas, mean = explored(policy), calm(policy)
    kernel, bias = policy.linear.get_weights()
    np.testing.assert_allclose(mean, HIDDEN @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bias, [0.0, 0.2, 0.5, -0.5], rtol=1e-6)
    np.testing.assert_allclose(np.std(deltas - mean, axis=0), 0.1, rtol=0.1)
    np.testing.assert_array_equal(deltas, explored(policy))


def test_log_probability_of_the_gaussian_by_hand():
    policy = LearnedPolicy(deviation=0.5, initial_delta=(0.0, 0.0, 1.0, 0.0), kernel_deviation=0.0)
    calm(policy)
    log_probability = policy.log_probability(HIDDEN[:2], tf.constant([[0.0, 0, 1, 0], [0.5, 0, 1, -1]]))
    # Without log(2 pi) / 2 for each of the four: at the mean -4 log(0.5), and half a square of 1 and of 2 deviations
    # less.
    np.testing.assert_allclose(log_probability, [4 * np.log(2), 4 * np.log(2) - 0.5 - 2], rtol=1e-5)


def test_log_probability_takes_its_own_draws_as_constants():
    policy = LearnedPolicy()
    with tf.GradientTape() as tape:
        log_probability = policy.log_probability(HIDDEN, explored(policy))
    kernel, bias = tape.gradient(log_probability, policy.trainable_variables)
    assert np.abs(bias).max() > 1  # a gradient through the draws would cancel it exactly


def test_a_bounded_mean_starts_where_it_should_and_stays_inside():
    policy = LearnedPolicy(initial_delta=(0.0, -0.2, 0.5, 0.5), bound=0.8, kernel_deviation=0.0)
    np.testing.assert_allclose(calm(policy)[0], [0, -0.2, 0.5, 0.5], rtol=1e-5, atol=1e-7)
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
    np.testing.assert_allclose([(drawn == np.float32(each)).all(axis=1).mean() for each in CANDIDATES], shares,
                               atol=0.06)
    np.testing.assert_array_equal(calm(policy), np.float32([CANDIDATES[1]] * 500))
    log_probability = policy.log_probability(HIDDEN[:6].numpy().reshape(2, 3, 8), np.float32([CANDIDATES] * 2))
    np.testing.assert_allclose(log_probability, np.log([shares] * 2), rtol=1e-5)


def test_the_entropy_of_candidates_by_hand():
    policy = CandidatePolicy(CANDIDATES)
    calm(policy)
    np.testing.assert_allclose(policy.entropy(HIDDEN[:2]), [np.log(3)] * 2, rtol=1e-5)
    policy.scores.bias.assign(np.log([0.5, 0.25, 0.25]))
    np.testing.assert_allclose(policy.entropy(HIDDEN[:2]), [1.5 * np.log(2)] * 2, rtol=1e-5)


def test_offset_candidates_lead_from_the_refined_box_in_its_own_sides():
    policy = OffsetCandidatePolicy([(0, 0, 0, 0), (2, -1, np.log(1.5), np.log(0.5))])
    refined = tf.tile([[[40.0, 20, 80, 100]]], [500, 1, 1])  # 40 wide and 80 high around (60, 60)
    seen = situation(boxes=refined)
    glimpses = []
    for bias in ([1, 0], [0, 1]):
        policy(situation=seen, explore=False)
        policy.scores.bias.assign(bias)
        glimpses.append(boxes.decode(policy(situation=seen, explore=False), seen.proposals)[0])
    # Refined, and 60 wide and 40 high around (60 + 2 * 40, 60 - 80).
    np.testing.assert_allclose(glimpses, [[40, 20, 80, 100], [110, -40, 170, 0]], rtol=1e-4, atol=1e-4)
    policy.scores.bias.assign(np.log([0.2, 0.8]))
    drawn = policy(situation=seen, explore=True)
    away = np.abs(boxes.decode(drawn, seen.proposals)[:, 0] - 110) < 0.01
    np.testing.assert_allclose(away.mean(), 0.8, atol=0.06)
    np.testing.assert_allclose(policy.log_probability(policy.inputs(seen), drawn),
                               np.log(np.where(away, 0.8, 0.2)), rtol=1e-4)


def test_controls():
    for explore in (False, True):
        deltas = RandomPolicy(0.3)(situation=situation(), explore=explore)
        np.testing.assert_allclose(np.std(deltas, axis=0), 0.3, rtol=0.1)
        assert not np.any(RepeatPolicy()(situation=situation(), explore=explore))
        fixed = FixedPolicy([(0, 0, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4)])
        np.testing.assert_allclose(fixed(situation=situation(1), explore=explore)[7], [0.1, 0.2, 0.3, 0.4])


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match=r"fixed.deltas\[0\] must be four numbers .*, got \(1, 2\)"):
        FixedPolicy([(1, 2)])
    with pytest.raises(GlimpseError, match="fixed.deltas lists 1 deltas, too few for glimpse 3"):
        FixedPolicy([(0, 0, 0, 0)])(situation=situation(1), explore=False)
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


PROPOSAL = [10.0, 20, 30, 60]  # of `situation`
FOUND = [[15.0, 20, 25, 40], [0.0, 0, 40, 80]]  # of two object classes


def answered(probabilities, **more):
    return situation(probabilities=tf.tile([probabilities], [500, 1]), boxes=tf.tile([FOUND], [500, 1, 1]), **more)


def test_refine_looks_at_the_box_of_the_most_probable_object_class_by_hand():
    # Background is the most probable here; of the objects it is the first, then the second.
    for probabilities, box in (([0.6, 0.3, 0.1], FOUND[0]), ([0.6, 0.1, 0.3], FOUND[1])):
        deltas = RefinePolicy()(situation=answered(probabilities), explore=True)
        np.testing.assert_allclose(boxes.decode(deltas, tf.tile([PROPOSAL], [500, 1])), [box] * 500, rtol=1e-5,
                                   atol=1e-4)
    # Centre (20, 30) of size 10 x 20, from a proposal of 20 x 40 around (20, 40).
    np.testing.assert_allclose(
        RefinePolicy()(situation=answered([0.6, 0.3, 0.1]), explore=False)[0], [0, -0.25, np.log(0.5), np.log(0.5)],
        atol=1e-6)
    np.testing.assert_allclose(
        RefinePolicy(window=2.0)(situation=answered([0.6, 0.3, 0.1]), explore=False)[0], [0, -0.25, 0, 0], atol=1e-6)


def test_no_gradient_flows_through_the_refined_box_and_none_is_nan_for_an_empty_proposal():
    found = tf.Variable(tf.tile([FOUND], [500, 1, 1]))
    with tf.GradientTape() as tape:
        deltas = RefinePolicy()(situation=replace(answered([0.6, 0.3, 0.1]), boxes=found + 0.0), explore=False)
    assert tape.gradient(deltas, found) is None
    empty = replace(answered([0.6, 0.3, 0.1]), proposals=tf.zeros([500, 4]), boxes=tf.zeros([500, 2, 4]))
    assert np.isfinite(RefinePolicy()(situation=empty, explore=False)).all()


def test_an_offset_counts_from_the_refined_box():
    policy = OffsetPolicy(kernel_deviation=0.0, initial_delta=(0.1, 0, 0, 0), deviation=0.5)
    here = answered([0.6, 0.3, 0.1])
    np.testing.assert_allclose(policy(situation=here, explore=False)[0], [0.1, -0.25, np.log(0.5), np.log(0.5)],
                               atol=1e-6)
    inputs = policy.inputs(here)
    np.testing.assert_allclose(policy.log_probability(inputs, policy(situation=here, explore=False))[0], 4 * np.log(2),
                               rtol=1e-5)
    with tf.GradientTape() as tape:
        deltas = policy(situation=here, explore=False)
    assert np.abs(tape.gradient(deltas, policy.linear.bias)).max() > 0


def test_a_constant_is_the_same_for_all_and_its_own_at_each_step():
    policy = ConstantPolicy(num_glimpses=3, initial_delta=(0, 0, 0.5, 0.5))
    policy.deltas.assign([[0, 0, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4]])
    for step, delta in enumerate(([0, 0, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4])):
        np.testing.assert_allclose(calm(policy, step), [delta] * 500, rtol=1e-6)
    assert [v.shape for v in policy.trainable_variables] == [(2, 4)]
    with pytest.raises(GlimpseError, match="learned_constant.num_glimpses must be a whole number .*got 'three'"):
        ConstantPolicy(num_glimpses="three")


def test_the_oracle_looks_at_the_object_and_says_what_it_lacks():
    deltas = OraclePolicy()(situation=situation(objects=tf.tile([[0.0, 0, 40, 80]], [500, 1])), explore=False)
    np.testing.assert_allclose(deltas[0], [0, 0, np.log(2), np.log(2)], atol=1e-6)
    with pytest.raises(GlimpseError, match="the policy 'oracle' looks at the true boxes"):
        calm(OraclePolicy())


def test_roles():
    assert [role_of(policy)
            for policy in (LearnedPolicy(), ConstantPolicy(2), RefinePolicy(), OraclePolicy(), RepeatPolicy())] == [
        "learns", "learns", "rival", "ceiling", "control"]
    assert role_of(lambda situation, explore: None) == "control" and role_of(keras.layers.Dense(4)) == "learns"
