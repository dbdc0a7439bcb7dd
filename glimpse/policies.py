"""Policies: where the next glimpse goes. One call, (hidden state, step, seed, explore) -> (deltas, means).

A delta leads from the **proposal**, never from the last glimpse, to the next glimpse (see `glimpse.boxes.decode`).
`learned` is the paper's policy; `fixed`, `random` and `repeat` are the controls that it has to beat.
"""

import gin
import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, real_number


@gin.register("learned")
class LearnedPolicy(keras.layers.Layer):
    """A Gaussian of fixed standard deviation around a mean that is linear in fc7 (Hara et al. 2017, section 3).

    Args:
      deviation: standard deviation of each of the four deltas while the network explores [value ours].
      initial_delta: where the mean starts, (dx, dy, log width ratio, log height ratio) [ours; the proposal itself is
        (0, 0, 0, 0)].
      kernel_deviation: standard deviation of the initial weights.
    """

    def __init__(self, deviation=0.05, initial_delta=(0.0, 0.0, 0.0, 0.0), kernel_deviation=0.001, **kwargs):
        super().__init__(name="policy", **kwargs)
        self.deviation = real_number("learned.deviation", deviation, minimum=1e-6)
        self.mean = keras.layers.Dense(
            4, name="glimpse_head", kernel_initializer=keras.initializers.RandomNormal(0.0, kernel_deviation),
            bias_initializer=_constant(_delta("learned.initial_delta", initial_delta)))

    def call(self, hidden, step, seed, explore):
        """hidden [M, D]; step 0 .. T-2; seed int32 [2]; explore: sample, else take the mean. Two [M, 4] tensors."""
        means = tf.cast(self.mean(hidden), tf.float32)
        noise = tf.random.stateless_normal(tf.shape(means), seed) if explore else 0.0
        return tf.stop_gradient(means + self.deviation * noise), means

    def log_probability(self, deltas, means):
        """log N(deltas; means, deviation^2 I) up to a constant: two [..., 4] tensors -> [...].

        The deltas are the *unclipped* ones that `call` drew, which carry no gradient: with one, a Gaussian's
        log-probability of its own sample would not depend on the mean at all.
        """
        return -0.5 * tf.reduce_sum(tf.square((tf.stop_gradient(deltas) - means) / self.deviation), axis=-1)


@gin.register("random")
class RandomPolicy:
    """Gaussian deltas around the proposal, at test time too; nothing is learned."""

    def __init__(self, deviation=0.3):
        self.deviation = real_number("random.deviation", deviation, minimum=0)

    def __call__(self, hidden, step, seed, explore):
        deltas = self.deviation * tf.random.stateless_normal([tf.shape(hidden)[0], 4], seed)
        return deltas, tf.zeros_like(deltas)


@gin.register("fixed")
class FixedPolicy:
    """A hand-made list of deltas, one for each glimpse after the first; a longer list than T - 1 is cut."""

    def __init__(self, deltas=gin.REQUIRED):
        if not isinstance(deltas, (tuple, list)) or not deltas:
            raise GlimpseError(f"fixed.deltas must be a list of (dx, dy, dw, dh), got {deltas!r}")
        self.deltas = [_delta(f"fixed.deltas[{place}]", delta) for place, delta in enumerate(deltas)]

    def __call__(self, hidden, step, seed, explore):
        if step >= len(self.deltas):
            raise GlimpseError(f"fixed.deltas lists {len(self.deltas)} deltas, too few for glimpse {step + 2}: add one")
        deltas = tf.tile(tf.constant(self.deltas[step], shape=[1, 4]), [tf.shape(hidden)[0], 1])
        return deltas, deltas


@gin.register("repeat")
class RepeatPolicy:
    """The proposal again: the depth and the parameters of T glimpses without anything new to see."""

    def __call__(self, hidden, step, seed, explore):
        deltas = tf.zeros([tf.shape(hidden)[0], 4])
        return deltas, deltas


def _delta(name, value):
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise GlimpseError(f"{name} must be four numbers (dx, dy, log width ratio, log height ratio), got {value!r}")
    return [real_number(name, each) for each in value]


def _constant(values):
    return lambda shape, dtype=None: tf.constant(np.array(values), dtype or tf.float32, shape)
