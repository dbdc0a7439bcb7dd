"""How a policy learns where to look: one of these is `Trainer.estimator`.

Each says how the network looks while it trains (`call_arguments`), and what the policy's weights descend (`loss`). They
are for the foreground RoIs, of which each has E episodes: E sequences of glimpses of the same proposal. One of one's
own is a class with the same four members, registered with `@gin.register`.
"""

from typing import NamedTuple

import gin
import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.training.objectives import (
    BASELINES,
    advantages,
    clipped_ratio_loss,
    expectation_loss,
    mean_of_episodes,
    reinforce_loss,
    terminal,
)


class Episodes(NamedTuple):
    """E episodes of each of the F foreground slots of B images."""

    foreground: tf.Tensor  # bool [B, F], which slots hold a foreground RoI
    policy_inputs: tf.Tensor  # [B, E, F, T-1, I], what the policy decided on
    deltas: tf.Tensor  # [B, E, F, T-1, 4], its actions
    # [B, E, F, T], of the answer after each glimpse, see `glimpse.training.objectives.answer_quality`
    quality: tf.Tensor
    correct: tf.Tensor  # [B, E, F, T]


def is_reward(name, value):
    """Returns `value`; raises GlimpseError unless it is a function, as rewards are."""
    if not callable(value):
        raise GlimpseError(f"{name} must be a reference such as @terminal, @discrete or @gain, got {value!r}")
    return value


def needs(detector, estimator, member, policies):
    """Raises GlimpseError unless the policy of a detector offers what an estimator needs of it."""
    if not getattr(detector.policy, member, None):
        raise GlimpseError(f"the estimator {estimator!r} needs a policy with {member!r}, such as {policies}, "
                           f"got {type(detector.policy).__name__}; see docs/your_policy.md")


@gin.register("reinforce")
class Reinforce:
    """The gradient of the log-probability of what was drawn, times its advantage (Williams 1992; Hara et al. 2017).

    Args:
        reward: a function of `glimpse.training.objectives`, @terminal, @discrete or @gain.
        baseline: see `glimpse.training.objectives.advantages`.
        entropy: reward for each nat of the policy's entropy, so that it goes on trying what it has not found useful yet
            (Williams and Peng 1991).
    """

    further_updates = 0  # of the policy's weights on the same episodes

    def __init__(self, reward=terminal, baseline="group", entropy=0.0):
        self.reward = is_reward("reward", reward)
        self.baseline = one_of("baseline", baseline, BASELINES)
        self.entropy = real_number("entropy", entropy, minimum=0)
        self.value_head = keras.layers.Dense(1, name="value_head", dtype="float32", kernel_initializer="zeros")

    def build(self, detector, policy_optimizer, episodes):
        """Returns E. Raises GlimpseError where the parts do not go together."""
        needs(detector, "reinforce", "log_probability", "@learned()")
        if self.entropy:
            needs(detector, "reinforce", "entropy", "@candidates()")
        if self.baseline == "group" and episodes < 2:
            raise GlimpseError(f"Trainer.episodes must be at least 2 for the baseline 'group', got {episodes}")
        return episodes

    def make_variables(self, inputs_width):
        """Makes the estimator's own variables. inputs_width: I, of the policy's inputs."""
        if self.baseline == "learned":
            self.value_head.build((None, inputs_width))

    @property
    def trainable_variables(self):
        return self.value_head.trainable_variables

    def call_arguments(self, policy, seed, episode_numbers, num_glimpses):
        """Arguments of GlimpseDetector.call. episode_numbers: int [M], 0 .. E-1, or -1 for background."""
        return {"explore": True}

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        """Scalar; with it, the log-probabilities of the actions [B, E, F, T-1]."""
        log_probabilities = policy.log_probability(episodes.policy_inputs, episodes.deltas)
        advantage, value_loss = self._advantage(episodes)
        loss = reinforce_loss(log_probabilities, advantage, episodes.foreground)
        return loss + value_loss + self._entropy_loss(policy, episodes), log_probabilities

    def _entropy_loss(self, policy, episodes):
        if not self.entropy:
            return 0.0
        foreground = tf.cast(episodes.foreground, tf.float32)[:, None, :, None]
        entropy = foreground * policy.entropy(episodes.policy_inputs)
        return -self.entropy * mean_of_episodes(entropy, episodes.foreground)

    def _advantage(self, episodes):
        returns = self.reward(episodes.quality, episodes.correct)
        if self.baseline != "learned":
            return advantages(returns, episodes.foreground, self.baseline), 0.0
        values = tf.cast(self.value_head(tf.stop_gradient(episodes.policy_inputs)), tf.float32)[..., 0]
        inside = tf.cast(episodes.foreground, tf.float32)[:, None, :, None] * tf.ones_like(values)
        error = tf.math.divide_no_nan(tf.reduce_sum(inside * tf.square(values - returns)), tf.reduce_sum(inside))
        return advantages(returns, episodes.foreground, "learned", values), 0.5 * error


@gin.register("ppo")
class ClippedRatio(Reinforce):
    """REINFORCE whose episodes serve for several updates of the policy's own weights (PPO, Schulman et al. 2017).

    Args:
        updates: how many, the first included.
        clip: how far the ratio of new to old probability may leave 1.
    """

    def __init__(self, updates=4, clip=0.2, **kwargs):
        super().__init__(**kwargs)
        self.further_updates = whole_number("ppo.updates", updates) - 1
        self.clip = real_number("ppo.clip", clip, minimum=0, maximum=1)

    def build(self, detector, policy_optimizer, episodes):
        if policy_optimizer is None or detector.policy_gradient != "head":
            raise GlimpseError("ppo needs a Trainer.policy_optimizer and GlimpseDetector.policy_gradient='head', "
                               f"got {detector.policy_gradient!r}")
        return super().build(detector, policy_optimizer, episodes)

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        log_probabilities = policy.log_probability(episodes.policy_inputs, episodes.deltas)
        old = log_probabilities if old_log_probabilities is None else old_log_probabilities
        advantage, value_loss = self._advantage(episodes)
        loss = clipped_ratio_loss(log_probabilities, old, advantage, episodes.foreground, self.clip)
        return loss + value_loss + self._entropy_loss(policy, episodes), log_probabilities


@gin.register("expectation")
class Expectation:
    """Full information, for `candidates` [ours]: at one step, drawn anew for each batch, every candidate is tried.

    At the other steps the policy takes its best candidate. What climbs is the expected reward itself, not an estimate
    from a draw, and the detector learns from wide glimpses from the beginning.
    """

    further_updates = 0
    trainable_variables = ()

    def __init__(self, reward=terminal):
        self.reward = is_reward("expectation.reward", reward)

    def build(self, detector, policy_optimizer, episodes):
        if getattr(detector.policy, "candidates", None) is None:
            raise GlimpseError("the estimator 'expectation' needs a policy with 'candidates', such as @candidates(), "
                               f"got {type(detector.policy).__name__}")
        return len(detector.policy.candidates)

    def call_arguments(self, policy, seed, episode_numbers, num_glimpses):
        nowhere = np.full((1, 4), np.nan, np.float32)  # the last row, which is that of number -1
        tried = np.concatenate([policy.candidates, nowhere])[episode_numbers]
        at_step = tf.range(num_glimpses - 1) == self._tried_step(seed, num_glimpses)
        return {"explore": False, "forced": tf.where(at_step[:, None, None], tried, np.nan)}

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        log_probabilities = policy.log_probability(episodes.policy_inputs, episodes.deltas)
        returns = self.reward(episodes.quality, episodes.correct)
        advantage = advantages(returns, episodes.foreground, "group")
        step = self._tried_step(seed, episodes.quality.shape[-1])
        return expectation_loss(log_probabilities[..., step], advantage[..., step],
                                episodes.foreground), log_probabilities

    def _tried_step(self, seed, num_glimpses):
        return tf.random.stateless_uniform([], tf.random.fold_in(seed, 1), 0, num_glimpses - 1, tf.int32)


@gin.register("pathwise")
class Pathwise:
    """The detection loss reaches the policy through the places that RoI align samples; there is no reward [ours].

    As in a spatial transformer (Jaderberg et al. 2015). Needs a policy that is smooth in its weights, and a pooling
    that is smooth in the box: GlimpseDetector.pooling = "align" or "crop". And a Trainer.policy_optimizer slower than
    that of the rest, or glimpses run away from the object before the network knows how to use them.

    Args:
        explore: draw around the mean (the gradient goes through the draw) instead of looking at the mean.
    """

    further_updates = 0
    trainable_variables = ()

    def __init__(self, explore=False):
        self.explore = one_of("pathwise.explore", explore, (False, True))

    def build(self, detector, policy_optimizer, episodes):
        needs(detector, "pathwise", "smooth", "@learned()")
        if detector.pooling == "max":
            raise GlimpseError(
                "the estimator 'pathwise' needs GlimpseDetector.pooling='align' or 'crop', got 'max', whose "
                               "values do not change smoothly with the box")
        return episodes if self.explore else 1

    def call_arguments(self, policy, seed, episode_numbers, num_glimpses):
        return {"explore": self.explore, "pathwise": True}

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        return 0.0, None
