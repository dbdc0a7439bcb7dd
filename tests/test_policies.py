import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.policies import FixedPolicy, LearnedPolicy, RandomPolicy, RepeatPolicy

HIDDEN = tf.random.stateless_normal([500, 8], [0, 1])
SEED = tf.constant([3, 4])


def test_learned_explores_with_its_deviation_around_a_mean_linear_in_the_hidden_state():
    policy = LearnedPolicy(deviation=0.1, initial_delta=(0.0, 0.2, 0.5, -0.5), kernel_deviation=0.3)
    deltas, means = policy(HIDDEN, step=0, seed=SEED, explore=True)
    kernel, bias = policy.mean.get_weights()
    np.testing.assert_allclose(means, HIDDEN @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bias, [0.0, 0.2, 0.5, -0.5], rtol=1e-6)
    np.testing.assert_allclose(np.std(deltas - means, axis=0), 0.1, rtol=0.1)
    np.testing.assert_array_equal(deltas, policy(HIDDEN, step=0, seed=SEED, explore=True)[0])
    np.testing.assert_array_equal(*policy(HIDDEN, step=0, seed=SEED, explore=False))


def test_learned_samples_carry_no_gradient():
    policy = LearnedPolicy()
    with tf.GradientTape() as tape:
        deltas, _ = policy(HIDDEN, step=0, seed=SEED, explore=True)
    assert tape.gradient(deltas, policy.trainable_variables) == [None, None]


def test_controls():
    for explore in (False, True):
        deltas, _ = RandomPolicy(0.3)(HIDDEN, step=0, seed=SEED, explore=explore)
        np.testing.assert_allclose(np.std(deltas, axis=0), 0.3, rtol=0.1)
        assert not np.any(RepeatPolicy()(HIDDEN, step=0, seed=SEED, explore=explore)[0])
        fixed = FixedPolicy([(0, 0, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4)])
        np.testing.assert_allclose(fixed(HIDDEN, step=1, seed=SEED, explore=explore)[0][7], [0.1, 0.2, 0.3, 0.4])


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match=r"fixed.deltas\[0\] must be four numbers .*, got \(1, 2\)"):
        FixedPolicy([(1, 2)])
    with pytest.raises(GlimpseError, match="fixed.deltas lists 1 deltas, too few for glimpse 3"):
        FixedPolicy([(0, 0, 0, 0)])(HIDDEN, step=1, seed=SEED, explore=False)
    with pytest.raises(GlimpseError, match="learned.deviation must .*got 0"):
        LearnedPolicy(deviation=0)
    with pytest.raises(GlimpseError, match="learned.initial_delta must be four numbers.*got 'x'"):
        LearnedPolicy(initial_delta="x")
