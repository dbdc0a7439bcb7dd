"""How a policy learns where to look: one of these is `Trainer.estimator`.

Each says how the network looks while it trains (`looking`), and what the policy's weights descend (`loss`). They are for
the foreground RoIs, of which each is looked at in E ways, its episodes.
"""

from typing import NamedTuple

import gin
import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.training.objectives import (
    BASELINES, REWARDS, advantages, clipped_ratio_loss, expectation_loss, reinforce_loss, returns_to_go)
from glimpse.network.policies import CandidatePolicy, LearnedPolicy


class Episodes(NamedTuple):
    """E ways of looking at the F foreground slots of B images."""

    foreground: tf.Tensor  # bool [B, F], which slots hold a foreground RoI
    seen: tf.Tensor  # [B, E, F, T-1, D], what the policy decided on
    deltas: tf.Tensor  # [B, E, F, T-1, 4], its actions
    quality: tf.Tensor  # [B, E, F, T], of the answer after each glimpse, see `glimpse.training.objectives.answer_quality`
    right: tf.Tensor  # [B, E, F, T]


@gin.register("reinforce")
class Reinforce:
    """The gradient of the log-probability of what was drawn, times its advantage (Williams 1992; Hara et al. 2017).

    Args: reward: see `glimpse.training.objectives.returns_to_go`; baseline: see `glimpse.training.objectives.advantages`.
    """

    further_updates = 0  # of the policy's weights on the same episodes

    def __init__(self, reward="terminal", baseline="group"):
        self.reward = one_of("reward", reward, REWARDS)
        self.baseline = one_of("baseline", baseline, BASELINES)
        self.value_head = keras.layers.Dense(1, name="value_head", kernel_initializer="zeros")

    def build(self, detector, policy_optimizer, episodes):
        """Makes the estimator's own variables; returns E. Raises GlimpseError where the parts do not go together."""
        if self.baseline == "group" and episodes < 2:
            raise GlimpseError(f"Trainer.episodes must be at least 2 for the baseline 'group', got {episodes}")
        if self.baseline == "learned":
            self.value_head.build((None, detector.controller.fc7.units))
        return episodes

    @property
    def trainable_variables(self):
        return self.value_head.trainable_variables

    def looking(self, policy, seed, ways, num_glimpses):
        """Arguments of GlimpseDetector.call. ways: int [M], the episode's number, 0 .. E-1, or -1 for background."""
        return {"explore": True}

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        """Scalar; with it, the log-probabilities of the actions [B, E, F, T-1]."""
        log_probabilities = policy.log_probability(episodes.seen, episodes.deltas)
        advantage, value_loss = self._advantage(episodes)
        return reinforce_loss(log_probabilities, advantage, episodes.foreground) + value_loss, log_probabilities

    def _advantage(self, episodes):
        returns = returns_to_go(episodes.quality, episodes.right, self.reward)
        if self.baseline != "learned":
            return advantages(returns, episodes.foreground, self.baseline), 0.0
        values = tf.cast(self.value_head(tf.stop_gradient(episodes.seen)), tf.float32)[..., 0]
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
        log_probabilities = policy.log_probability(episodes.seen, episodes.deltas)
        old = log_probabilities if old_log_probabilities is None else old_log_probabilities
        advantage, value_loss = self._advantage(episodes)
        loss = clipped_ratio_loss(log_probabilities, old, advantage, episodes.foreground, self.clip)
        return loss + value_loss, log_probabilities


@gin.register("expectation")
class Expectation:
    """Full information, for `candidates` [ours]: at one step, drawn anew for each batch, every candidate is tried.

    At the other steps the policy takes its best candidate. What climbs is the expected reward itself, not an estimate
    from a draw, and the detector learns from wide glimpses from the beginning.
    """

    further_updates = 0
    trainable_variables = ()

    def __init__(self, reward="terminal"):
        self.reward = one_of("expectation.reward", reward, REWARDS)

    def build(self, detector, policy_optimizer, episodes):
        if not isinstance(detector.policy, CandidatePolicy):
            raise GlimpseError("the estimator 'expectation' is for POLICY=@candidates() alone")
        return len(detector.policy.candidates)

    def looking(self, policy, seed, ways, num_glimpses):
        nowhere = np.full((1, 4), np.nan, np.float32)  # the last row, which is that of way -1
        tried = np.concatenate([policy.candidates, nowhere])[ways]
        at_step = tf.range(num_glimpses - 1) == self._tried_step(seed, num_glimpses)
        return {"explore": False, "forced": tf.where(at_step[:, None, None], tried, np.nan)}

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        log_probabilities = policy.log_probability(episodes.seen, episodes.deltas)
        returns = returns_to_go(episodes.quality, episodes.right, self.reward)
        advantage = advantages(returns, episodes.foreground, "group")
        step = self._tried_step(seed, episodes.quality.shape[-1])
        return expectation_loss(log_probabilities[..., step], advantage[..., step], episodes.foreground), log_probabilities

    def _tried_step(self, seed, num_glimpses):
        return tf.random.stateless_uniform([], tf.random.fold_in(seed, 1), 0, num_glimpses - 1, tf.int32)


@gin.register("pathwise")
class Pathwise:
    """The detection loss reaches the policy through the places that RoI align samples; there is no reward [ours].

    As in a spatial transformer (Jaderberg et al. 2015). Needs `learned`, and a pooling that is smooth in the
    box: GlimpseDetector.pooling = "align" or "crop". And a Trainer.policy_optimizer slower than that of the rest, or glimpses
    run away from the object before the network knows how to use them.

    Args: explore: draw around the mean (the gradient goes through the draw) instead of looking at the mean.
    """

    further_updates = 0
    trainable_variables = ()

    def __init__(self, explore=False):
        self.explore = one_of("pathwise.explore", explore, (False, True))

    def build(self, detector, policy_optimizer, episodes):
        if not isinstance(detector.policy, LearnedPolicy) or detector.pooling == "max":
            raise GlimpseError("the estimator 'pathwise' is for POLICY=@learned() with GlimpseDetector.pooling='align' or 'crop', "
                               f"got {detector.policy.__class__.__name__} with {detector.pooling!r}")
        return episodes if self.explore else 1

    def looking(self, policy, seed, ways, num_glimpses):
        return {"explore": self.explore, "pathwise": True}

    def loss(self, policy, episodes, seed, old_log_probabilities=None):
        return 0.0, None
