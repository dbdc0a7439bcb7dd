import numpy as np
import pytest
import tensorflow as tf

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.network.policies import CandidatePolicy, LearnedPolicy
from glimpse.training import run
from glimpse.training.estimators import Episodes, Expectation, Reinforce
from glimpse.training.experiment import Experiment
from glimpse.training.metrics_log import read_metrics

CANDIDATES = "candidates.candidates = [(0, 0, 0.5, 0.5), (0.3, 0, 0, 0), (0, -0.3, 0, 0)]"
REINFORCE = ["ESTIMATOR = @reinforce()", "POLICY_OPTIMIZER = @keras.optimizers.SGD()"]
EXPECTATION = ["ESTIMATOR = @expectation()", "POLICY = @candidates()", CANDIDATES]


def train(workdir, bindings, steps):
    """A run of a tiny experiment: how far each variable of the policy moved, and all weights."""
    with config.configuration("experiments/digits_learned.gin", bindings) as text:
        experiment = Experiment()
        start = [v.numpy() for v in experiment.detector.policy.trainable_variables]
        experiment.train_steps = steps  # the configuration, and with it the schedules, stay those of the whole run
        experiment.train(run.prepare(workdir, text))
    moved = [np.abs(v - s).max() for v, s in zip(experiment.detector.policy.trainable_variables, start, strict=True)]
    return moved, experiment.detector.get_weights()


@pytest.mark.parametrize("bindings", [
    [*REINFORCE, "reinforce.baseline = 'batch'", "reinforce.reward = @gain",
     "GlimpseDetector.policy_gradient = 'controller'"],
    pytest.param(["ESTIMATOR = @reinforce()", "reinforce.baseline = 'none'", "learned.learnable_deviation = True",
                  "POOLING = 'max'"], marks=pytest.mark.slow),
    EXPECTATION,
    ["pathwise.explore = True", "GlimpseDetector.delta_input = True"],
    ["POLICY = @offset()", "SUPERVISION = 'every'", "BOX_REFERENCE = 'glimpse'", "FUSION = @last"],
    ["POLICY = @learned_constant()"],
], ids=["reinforce, in the controller", "reinforce, learnable deviation", "expectation", "pathwise", "offset",
        "constant"])
def test_every_way_of_learning_moves_the_policy(tmp_path, tiny, bindings):
    moved, _ = train(tmp_path / "x",
                     [*tiny, "NUM_GLIMPSES = 3", "TRAIN_STEPS = 2", "Experiment.save_every = 2", *bindings], 2)
    assert all(distance > 0 for distance in moved)
    last = read_metrics(tmp_path / "x")[-1]
    assert 0 < last["policy_gradient_agreement"] <= 1.01 and last["glimpse_3/moved"] > 0


@pytest.mark.slow
def test_what_an_estimator_and_a_schedule_remember_survives_a_stop(tmp_path, tiny):
    bindings = [*tiny, "ESTIMATOR = @ppo()", "POLICY_OPTIMIZER = @keras.optimizers.SGD()",
                "ppo.baseline = 'learned'", "SUPERVISION = 'every'",
                "learned.deviation = @PiecewiseConstantDecay()", "PiecewiseConstantDecay.boundaries = [3]",
                "PiecewiseConstantDecay.values = [0.4, 0.05]", "learned.bound = 1.0"]
    moved, weights = train(tmp_path / "unbroken", bindings, 6)
    assert all(distance > 0 for distance in moved)
    train(tmp_path / "stopped", bindings, 3)
    for weight, again in zip(weights, train(tmp_path / "stopped", bindings, 6)[1], strict=True):
        np.testing.assert_array_equal(weight, again)


def episodes(policy_inputs, deltas, quality):
    """One image with two slots, the first of them foreground."""
    return Episodes(tf.constant([[True, False]]), policy_inputs, deltas, quality, tf.zeros_like(quality))


def test_the_value_head_learns_the_returns_of_foreground_episodes():
    estimator, policy = Reinforce(baseline="learned"), LearnedPolicy()
    estimator.value_head.build((None, 3))
    seen = tf.ones([1, 2, 2, 1, 3])
    quality = tf.constant([[[[0.0, 0.8], [0.0, 100.0]], [[0.0, 0.4], [0.0, 100.0]]]])  # [1, E=2, F=2, T=2]
    drawn = episodes(seen, tf.zeros([1, 2, 2, 1, 4]), quality)
    for _ in range(300):
        with tf.GradientTape() as tape:
            loss, _ = estimator.loss(policy, drawn, seed=None)
        gradients = tape.gradient(loss, estimator.trainable_variables)
        for variable, gradient in zip(estimator.trainable_variables, gradients):
            variable.assign_sub(0.1 * gradient)
    np.testing.assert_allclose(estimator.value_head(seen)[..., 0], np.full([1, 2, 2, 1], 0.6), atol=1e-3)


def test_a_reward_for_entropy_makes_a_choice_even_again():
    policy = CandidatePolicy([(0, 0, 0.5, 0.5), (0.3, 0, 0, 0)])
    estimator, hidden = Reinforce(entropy=1.0), tf.ones([1, 2, 2, 1, 1])
    policy.scores.build((None, 1))
    policy.scores.bias.assign([1.0, -1.0])
    deltas = tf.tile(policy.candidates[:1], [4, 1])
    drawn = episodes(hidden, tf.reshape(deltas, [1, 2, 2, 1, 4]), tf.zeros([1, 2, 2, 2]))  # all returns are alike
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss, _ = estimator.loss(policy, drawn, seed=None)
        for variable, gradient in zip(policy.trainable_variables, tape.gradient(loss, policy.trainable_variables)):
            variable.assign_sub(gradient)
    np.testing.assert_allclose(tf.nn.softmax(policy.scores(hidden))[0, 0, 0, 0], [0.5, 0.5], atol=0.01)
    np.testing.assert_allclose(loss, -np.log(2), atol=1e-3)


def test_expectation_tries_each_candidate_once_on_each_foreground_slot_at_one_step():
    policy = CandidatePolicy([(0, 0, 0.5, 0.5), (0.3, 0, 0, 0)])
    steps = set()
    for seed in range(8):
        arguments = Expectation().call_arguments(policy, tf.constant([0, seed]), np.array([0, -1, 1]), num_glimpses=3)
        forced = arguments["forced"].numpy()  # [T-1, M, 4]
        step, = np.flatnonzero(~np.isnan(forced).all(axis=(1, 2)))
        steps.add(int(step))
        np.testing.assert_allclose(forced[step, [0, 2]], policy.candidates)
        assert np.isnan(forced[step, 1]).all() and not arguments["explore"]
    assert steps == {0, 1}


def test_expectation_learns_the_better_candidate():
    policy = CandidatePolicy([(0, 0, 0.5, 0.5), (0.3, 0, 0, 0)])
    estimator, hidden = Expectation(), tf.constant([[[[[1.0]], [[1.0]]], [[[1.0]], [[1.0]]]]])  # [1, E=2, F=2, 1, 1]
    policy.scores.build((None, 1))
    # The first slot is foreground and better off with the second candidate; the other is background and does not count.
    quality = tf.constant([[[[0.0, 0.2], [0.0, 9.0]], [[0.0, 0.7], [0.0, 0.0]]]])
    deltas = tf.reshape(tf.repeat(policy.candidates, 2, axis=0), [1, 2, 2, 1, 4])
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss, _ = estimator.loss(policy, episodes(hidden, deltas, quality), seed=tf.constant([0, 1]))
        for variable, gradient in zip(policy.trainable_variables, tape.gradient(loss, policy.trainable_variables)):
            variable.assign_sub(gradient)
    assert float(tf.nn.softmax(policy.scores(hidden))[0, 0, 0, 0, 1]) > 0.9


@pytest.mark.parametrize("bindings, message", [
    (["ESTIMATOR = @reinforce()", "Trainer.episodes = 1"],
     "Trainer.episodes must be at least 2 for the baseline 'group', got 1"),
    (["ESTIMATOR = @expectation()"],
     r"the estimator 'expectation' needs a policy with 'candidates', such as @candidates\(\), got LearnedPolicy"),
    (["ESTIMATOR = 'reinforce'"],
     r"Trainer.estimator must be a reference such as @pathwise\(\), with \(\), got 'reinforce'"),
    (["POLICY = 'learned'"], r"policy must be a reference such as @learned\(\), got 'learned'"),
    (["GlimpseDetector.delta_input = 'no'"], "delta_input must be one of False, True, got 'no'"),
    (["pathwise.explore = 'no'"], "pathwise.explore must be one of False, True, got 'no'"),
    (["learned.learnable_deviation = 'no'"], "learned.learnable_deviation must be one of False, True, got 'no'"),
    (["POOLING = 'max'"], "the estimator 'pathwise' needs GlimpseDetector.pooling='align' or 'crop', got 'max'"),
    (["ESTIMATOR = @ppo()", "POLICY_OPTIMIZER = None"], "ppo needs a Trainer.policy_optimizer"),
    (["ESTIMATOR = @reinforce()", "POLICY = @learned_constant()"],
     "the estimator 'reinforce' needs a policy with 'log_probability', such as @learned"),
    (["ESTIMATOR = @expectation()", "POLICY = @offset_candidates()", "offset_candidates.candidates = [(0, 0, 0, 0)]"],
     "the estimator 'expectation' needs a policy with 'candidates', .*, got OffsetCandidatePolicy"),
    (["ESTIMATOR = @reinforce()", "reinforce.entropy = 0.1"],
     r"the estimator 'reinforce' needs a policy with 'entropy', such as @candidates\(\), got LearnedPolicy"),
    (["RELABEL_IOUS = 0.5"], "Trainer.relabel_ious must be a list of overlaps, .* or None, got 0.5"),
    (["RELABEL_IOUS = (0.5, 'x')"], "Trainer.relabel_ious must be a finite number, got 'x'"),
    (["RELABEL_IOUS = (0.5,)"], "Trainer.relabel_ious lists 1 overlaps, too few for 2 glimpses"),
    (["RELABEL_IOUS = (0.5, 0.6)"], r"labels glimpses by where they lie, .*; LearnedPolicy has the role 'learns' and "
     "needs None: set RELABEL_IOUS = None"),
    (["RELABEL_IOUS = (0.5, 0.6)", "POLICY = @fixed()"], "FixedPolicy has the role 'control' and needs None"),
    (["ESTIMATOR = @reinforce()", "reinforce.reward = 'late'"],
     "reward must be a reference such as @terminal, @discrete or @gain, got 'late'"),
], ids=str)
def test_parts_that_do_not_go_together_are_refused(tiny, bindings, message):
    with pytest.raises(GlimpseError, match=message):
        with config.configuration("experiments/digits_learned.gin", [*tiny, *bindings]):
            Experiment()
