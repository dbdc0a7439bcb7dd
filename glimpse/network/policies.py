"""Policies: where the next glimpse goes. One call, (hidden state, step, seed, explore) -> deltas.

A delta leads from the **proposal**, never from the last glimpse, to the next glimpse (see `glimpse.geometry.boxes.decode`).
`learned` is the paper's policy and `candidates` one of ours; `fixed`, `random` and `repeat` are the controls that they
have to beat. A policy that learns also tells `log_probability(hidden, deltas)`, the logarithm of the probability
(density) of deltas that it drew; they count as constants in it, for with a gradient through its own sample a Gaussian's
log-probability would not depend on the mean at all.
"""

import math

import gin
import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, real_number


@gin.register("learned")
class LearnedPolicy(keras.layers.Layer):
    """A Gaussian around a mean that is linear in fc7 (Hara et al. 2017, section 3).

    Args:
      deviation: standard deviation of each of the four deltas while the network explores [value ours]: a number, or a
        schedule of `keras.optimizers.schedules` over the training steps.
      learnable_deviation: learn the logarithm of the deviation, one for each delta, from `deviation` on [ours].
      initial_delta: where the mean starts, (dx, dy, log width ratio, log height ratio) [ours; the proposal itself is
        (0, 0, 0, 0)].
      bound: the mean is bound * tanh(linear / bound), so that none of its four numbers leaves (-bound, bound); None for
        the linear mean of the paper.
      kernel_deviation: standard deviation of the initial weights.
    """

    def __init__(self, deviation=0.05, learnable_deviation=False, initial_delta=(0.0, 0.0, 0.0, 0.0), bound=None,
                 kernel_deviation=0.001, **kwargs):
        super().__init__(name="policy", **kwargs)
        one_of("learned.learnable_deviation", learnable_deviation, (False, True))
        self.schedule = deviation if callable(deviation) else None
        if self.schedule is None:
            deviation = real_number("learned.deviation", deviation, minimum=1e-6)
        elif learnable_deviation:
            raise GlimpseError(f"learned.learnable_deviation needs a number as learned.deviation, got {deviation!r}")
        start = np.array(_delta("learned.initial_delta", initial_delta))
        self.bound = bound if bound is None else real_number("learned.bound", bound, minimum=1e-3)
        if bound is not None:
            if np.abs(start).max() >= bound:
                raise GlimpseError(f"learned.initial_delta must lie within learned.bound={bound}, got {initial_delta!r}")
            start = bound * np.arctanh(start / bound)
        self.linear = keras.layers.Dense(
            4, name="glimpse_head", kernel_initializer=keras.initializers.RandomNormal(0.0, kernel_deviation),
            bias_initializer=_constant(start))
        self.log_deviation = self.add_weight(
            name="log_deviation", shape=(4,), trainable=learnable_deviation,
            initializer=_constant([math.log(float(deviation(0) if self.schedule else deviation))] * 4))

    def begin(self, training_step):
        """Sets what a schedule says for this training step."""
        if self.schedule is not None:
            self.log_deviation.assign(tf.fill([4], tf.math.log(tf.cast(self.schedule(training_step), tf.float32))))

    def mean(self, hidden):
        """hidden [..., D] -> [..., 4]."""
        mean = tf.cast(self.linear(hidden), tf.float32)
        return mean if self.bound is None else self.bound * tf.tanh(mean / self.bound)

    def call(self, hidden, step, seed, explore):
        """hidden [M, D]; step 0 .. T-2; seed int32 [2]; explore: sample, else take the mean. Returns [M, 4]."""
        mean = self.mean(hidden)
        if not explore:
            return mean
        return mean + tf.exp(self.log_deviation) * tf.random.stateless_normal(tf.shape(mean), seed)

    def log_probability(self, hidden, deltas):
        """log N(deltas; mean, deviation^2 I) without the constant: [..., D], [..., 4] -> [...]."""
        score = (tf.stop_gradient(deltas) - self.mean(hidden)) / tf.exp(self.log_deviation)
        return -tf.reduce_sum(0.5 * tf.square(score) + self.log_deviation, axis=-1)


@gin.register("candidates")
class CandidatePolicy(keras.layers.Layer):
    """Chooses one of a hand-made list of deltas by a softmax over scores that are linear in fc7 [ours].

    Looks at test time at the candidate of the highest score. Since the list is finite, the gradient of the expected
    reward can be had without sampling: see `glimpse.training.trainer`, estimator "expectation".

    Args: candidates: list of K deltas (dx, dy, log width ratio, log height ratio), the same at every step.
    """

    def __init__(self, candidates=gin.REQUIRED, **kwargs):
        super().__init__(name="policy", **kwargs)
        self.candidates = np.array(_deltas("candidates.candidates", candidates), np.float32)
        self.scores = keras.layers.Dense(len(candidates), name="glimpse_head", kernel_initializer="zeros")

    def begin(self, training_step):
        """Nothing here depends on the training step."""

    def call(self, hidden, step, seed, explore):
        """As `LearnedPolicy.call`."""
        scores = tf.cast(self.scores(hidden), tf.float32)
        if explore:  # the maximum after Gumbel noise is a draw from the softmax
            uniform = tf.random.stateless_uniform(tf.shape(scores), seed, minval=1e-7)
            scores -= tf.math.log(-tf.math.log(uniform))
        return tf.gather(self.candidates, tf.argmax(scores, axis=-1))

    def log_probability(self, hidden, deltas):
        """[..., D], [..., 4] of the list -> [...]."""
        distances = tf.reduce_sum(tf.abs(deltas[..., None, :] - self.candidates), axis=-1)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.argmin(distances, axis=-1), tf.cast(self.scores(hidden), tf.float32))


@gin.register("random")
class RandomPolicy:
    """Gaussian deltas around the proposal, at test time too; nothing is learned."""

    def __init__(self, deviation=0.3):
        self.deviation = real_number("random.deviation", deviation, minimum=0)

    def __call__(self, hidden, step, seed, explore):
        return self.deviation * tf.random.stateless_normal([tf.shape(hidden)[0], 4], seed)


@gin.register("fixed")
class FixedPolicy:
    """A hand-made list of deltas, one for each glimpse after the first; a longer list than T - 1 is cut."""

    def __init__(self, deltas=gin.REQUIRED):
        self.deltas = _deltas("fixed.deltas", deltas)

    def __call__(self, hidden, step, seed, explore):
        if step >= len(self.deltas):
            raise GlimpseError(f"fixed.deltas lists {len(self.deltas)} deltas, too few for glimpse {step + 2}: add one")
        return tf.tile(tf.constant(self.deltas[step], shape=[1, 4]), [tf.shape(hidden)[0], 1])


@gin.register("repeat")
class RepeatPolicy:
    """The proposal again: the depth and the parameters of T glimpses without anything new to see."""

    def __call__(self, hidden, step, seed, explore):
        return tf.zeros([tf.shape(hidden)[0], 4])


def _deltas(name, values):
    if not isinstance(values, (tuple, list)) or not values:
        raise GlimpseError(f"{name} must be a list of (dx, dy, log width ratio, log height ratio), got {values!r}")
    return [_delta(f"{name}[{place}]", value) for place, value in enumerate(values)]


def _delta(name, value):
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise GlimpseError(f"{name} must be four numbers (dx, dy, log width ratio, log height ratio), got {value!r}")
    return [real_number(name, each) for each in value]


def _constant(values):
    return lambda shape, dtype=None: tf.constant(np.array(values), dtype or tf.float32, shape)
