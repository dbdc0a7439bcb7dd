"""Policies: where the next glimpse goes. One call, (situation=Situation, explore=bool) -> deltas [M, 4].

A delta leads from the **proposal**, never from the last glimpse, to the next glimpse (see `glimpse.geometry.boxes`).
A policy says by `role` what it is in a study:

    "learns"   it has weights of its own that an estimator trains: `learned`, `candidates`, `offset`,
               `offset_candidates`, `learned_constant`
    "control"  it looks as often without knowing where: `fixed`, `random`, `repeat`
    "rival"    it looks where the heads answer, without weights of its own: `refine`
    "ceiling"  it is told the truth, and so is no result: `oracle`

A policy of one's own is a callable of this kind, registered with `@gin.register`; docs/your_policy.md builds one. What
a policy that learns offers beyond the call says which estimators can train it: `smooth = True` for `pathwise`, where
its deltas are differentiable in its weights; `log_probability(inputs, deltas)` for `reinforce` and `ppo`, the logarithm
of the probability (density) of deltas that it drew, and `entropy(inputs)` where they reward it; `candidates` for
`expectation`. The deltas count as constants in
`log_probability`: with a gradient through its own sample, a Gaussian's log-probability would not depend on the mean.
"""

import math
from dataclasses import dataclass

import gin
import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.geometry import boxes
from glimpse.randomness import for_rows

ROLES = ("learns", "control", "rival", "ceiling")


@dataclass(frozen=True)  # not a tuple: Keras would take it for a nest of tensors
class Situation:
    """What is known of M proposals when their next glimpse is to be placed. Boxes are xyxy in pixels of the image."""

    step: int  # how many further glimpses there were: 0 before the second glimpse, T - 2 before the last
    hidden: tf.Tensor  # [M, D], fc7 after the last glimpse
    fused: tf.Tensor  # [M, D], the fused vector after it
    proposals: tf.Tensor  # [M, 4]
    glimpses: tf.Tensor  # [M, step + 1, 4], so far; the first is the proposal
    probabilities: tf.Tensor  # [M, K + 1], what the heads answer now; 0 is background
    boxes: tf.Tensor  # [M, K, 4], likewise, not cut to the image
    objects: tf.Tensor | None  # [M, 4], the true box that the proposal overlaps most by 0.5 or more, else the proposal
    seed: tf.Tensor  # int32 [2], of this step


def role_of(policy: object) -> str:
    """The role of a policy; one that does not say learns where it is a Keras layer, and is a control elsewhere."""
    return one_of(f"the role of {policy!r}", getattr(
        policy, "role", "learns" if isinstance(policy, keras.layers.Layer) else "control"), ROLES)


@gin.register("learned")
class LearnedPolicy(keras.layers.Layer):
    """A Gaussian around a mean that is linear in fc7 (Hara et al. 2017, section 3).

    Args:
        deviation: standard deviation of each of the four deltas while the network explores [value ours]: a number, or a
            schedule of `keras.optimizers.schedules` over the training steps.
        learnable_deviation: learn the logarithm of the deviation, one for each delta, from `deviation` on [ours].
        initial_delta: where the mean starts, (dx, dy, log width ratio, log height ratio) [ours; the proposal itself is
            (0, 0, 0, 0)].
        bound: the mean is bound * tanh(linear / bound), so that none of its four numbers leaves (-bound, bound); None
            for the linear mean of the paper.
        kernel_deviation: standard deviation of the initial weights.
    """

    role = "learns"
    smooth = True

    def __init__(self, deviation=0.05, learnable_deviation=False, initial_delta=(0.0, 0.0, 0.0, 0.0), bound=None,
                 kernel_deviation=0.001, **kwargs):
        super().__init__(name="policy", **{"dtype": "float32"} | kwargs)
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
                raise GlimpseError(
                    f"learned.initial_delta must lie within learned.bound={bound}, got {initial_delta!r}")
            start = bound * np.arctanh(start / bound)
        real_number("learned.kernel_deviation", kernel_deviation, minimum=0)
        self.linear = keras.layers.Dense(
            4, name="glimpse_head", dtype="float32", bias_initializer=_constant(start),
            kernel_initializer=keras.initializers.RandomNormal(0.0, kernel_deviation))
        self.log_deviation = self.add_weight(
            name="log_deviation", shape=(4,), trainable=learnable_deviation, aggregation="only_first_replica",
            initializer=_constant([math.log(float(deviation(0) if self.schedule else deviation))] * 4))

    def begin(self, training_step: tf.Variable | int) -> None:
        """Sets what a schedule says for this training step."""
        if self.schedule is not None:
            self.log_deviation.assign(tf.fill([4], tf.math.log(tf.cast(self.schedule(training_step), tf.float32))))

    def inputs(self, situation: Situation) -> tf.Tensor:
        """What the mean depends on, [M, I]: fc7."""
        return situation.hidden

    def mean(self, inputs: tf.Tensor) -> tf.Tensor:
        """inputs [..., I] -> deltas [..., 4]."""
        mean = tf.cast(self.linear(inputs), tf.float32)
        return mean if self.bound is None else self.bound * tf.tanh(mean / self.bound)

    def call(self, situation: Situation, explore: bool) -> tf.Tensor:
        """The deltas of a Situation, [M, 4]: draws if told to explore, else the mean."""
        mean = self.mean(self.inputs(situation))
        if not explore:
            return mean
        return mean + tf.exp(self.log_deviation) * _normal(tf.shape(mean), situation.seed)

    def log_probability(self, inputs: tf.Tensor, deltas: tf.Tensor) -> tf.Tensor:
        """log N(deltas; mean, deviation^2 I) without the constant: [..., I], [..., 4] -> [...]."""
        score = (tf.stop_gradient(deltas) - self.mean(inputs)) / tf.exp(self.log_deviation)
        return -tf.reduce_sum(0.5 * tf.square(score) + self.log_deviation, axis=-1)


@gin.register("offset")
class OffsetPolicy(LearnedPolicy):
    """`learned`, counted from the box that the heads answer now in place of the proposal [ours].

    With its head at rest this is `refine`: what it learns is where else than at the box just found to look. Arguments
    as `LearnedPolicy`; an `initial_delta` of zeros starts at the refined box.
    """

    def inputs(self, situation: Situation) -> tf.Tensor:
        """fc7, and the delta of the refined box, [M, D + 4]."""
        return tf.concat([situation.hidden, tf.stop_gradient(refined_deltas(situation))], axis=-1)

    def mean(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().mean(inputs[..., :-4]) + inputs[..., -4:]


@gin.register("learned_constant")
class ConstantPolicy(keras.layers.Layer):
    """A delta for each further glimpse, learned, and the same for all proposals: the glimpse head's bias alone.

    What `learned` gains over it is gained by looking at each proposal differently, not by a better place for all.

    Args:
        num_glimpses: T.
        initial_delta: where all of them start.
    """

    role = "learns"
    smooth = True

    def __init__(self, num_glimpses=gin.REQUIRED, initial_delta=(0.0, 0.0, 0.0, 0.0), **kwargs):
        super().__init__(name="policy", **{"dtype": "float32"} | kwargs)
        further = max(whole_number("learned_constant.num_glimpses", num_glimpses) - 1, 1)
        self.deltas = self.add_weight(
            name="deltas", shape=(further, 4),
            initializer=_constant([_delta("learned_constant.initial_delta", initial_delta)] * further))

    def call(self, situation: Situation, explore: bool) -> tf.Tensor:
        delta = tf.convert_to_tensor(self.deltas)[situation.step]
        return tf.tile(delta[None], [tf.shape(situation.proposals)[0], 1])


@gin.register("candidates")
class CandidatePolicy(keras.layers.Layer):
    """Chooses one of a hand-made list of deltas by a softmax over scores that are linear in fc7 [ours].

    Looks at test time at the candidate of the highest score. Since the list is finite, the gradient of the expected
    reward can be had without sampling: see `glimpse.training.estimators`, "expectation".

    Args:
        candidates: list of deltas (dx, dy, log width ratio, log height ratio), the same at every step.
    """

    role = "learns"

    def __init__(self, candidates=gin.REQUIRED, **kwargs):
        super().__init__(name="policy", **{"dtype": "float32"} | kwargs)
        self.candidates = np.array(_deltas("candidates.candidates", candidates), np.float32)
        self.scores = keras.layers.Dense(len(candidates), name="glimpse_head", dtype="float32",
                                         kernel_initializer="zeros")

    def call(self, situation: Situation, explore: bool) -> tf.Tensor:
        """As `LearnedPolicy.call`."""
        inputs = self.inputs(situation)
        scores = self.scored(inputs)
        if explore:  # the maximum after Gumbel noise is a draw from the softmax
            uniform = for_rows(lambda shape: tf.random.stateless_uniform(shape, situation.seed, minval=1e-7),
                               tf.shape(scores))
            scores -= tf.math.log(-tf.math.log(uniform))
        return tf.gather(self.choices(inputs), tf.argmax(scores, axis=-1), batch_dims=1)

    def inputs(self, situation: Situation) -> tf.Tensor:
        """What the scores depend on, [M, I]: fc7."""
        return situation.hidden

    def scored(self, inputs: tf.Tensor) -> tf.Tensor:
        """The scores of the C candidates: [..., I] -> [..., C]."""
        return tf.cast(self.scores(inputs), tf.float32)

    def choices(self, inputs: tf.Tensor) -> tf.Tensor:
        """The deltas that the C candidates stand for, from the proposal: [..., I] -> [..., C, 4]."""
        shape = tf.concat([tf.shape(inputs)[:-1], self.candidates.shape], axis=0)
        return tf.broadcast_to(self.candidates, shape)

    def log_probability(self, inputs: tf.Tensor, deltas: tf.Tensor) -> tf.Tensor:
        """[..., I], [..., 4] of the list -> [...]."""
        distances = tf.reduce_sum(tf.abs(deltas[..., None, :] - self.choices(inputs)), axis=-1)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmin(distances, axis=-1), self.scored(inputs))

    def entropy(self, inputs: tf.Tensor) -> tf.Tensor:
        """Of the choice, in nats: [..., I] -> [...]."""
        logs = tf.nn.log_softmax(self.scored(inputs))
        return -tf.reduce_sum(tf.exp(logs) * logs, axis=-1)


@gin.register("offset_candidates")
class OffsetCandidatePolicy(CandidatePolicy):
    """`candidates`, counted from the box that the heads answer now in place of the proposal [ours].

    With (0, 0, 0, 0) among them, `refine` is what it does where it never looks away. The estimator `expectation` cannot
    train it, for its windows are not known beforehand.

    Args:
        candidates: list of deltas, as in `candidates`, in sides of the refined box.
    """

    def __init__(self, candidates=gin.REQUIRED, **kwargs):
        super().__init__(candidates, **kwargs)
        self.offsets, self.candidates = self.candidates, None

    def inputs(self, situation: Situation) -> tf.Tensor:
        """fc7, and the delta of the refined box, [M, D + 4]."""
        return tf.concat([situation.hidden, tf.stop_gradient(refined_deltas(situation))], axis=-1)

    def scored(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().scored(inputs[..., :-4])

    def choices(self, inputs: tf.Tensor) -> tf.Tensor:
        shift, log_ratio = tf.split(inputs[..., None, -4:], 2, axis=-1)
        return tf.concat([shift + self.offsets[:, :2] * tf.exp(log_ratio), log_ratio + self.offsets[:, 2:]], axis=-1)


@gin.register("refine")
class RefinePolicy:
    """The box just found: the next glimpse is the box that the heads answer now, for their most probable object class.

    No gradient flows through it. Sources: iterative localisation (Gidaris and Komodakis 2015); Cascade R-CNN (Cai and
    Vasconcelos 2018).

    Args:
        window: sides of the glimpse over those of the box.
    """

    role = "rival"

    def __init__(self, window=1.0):
        self.window = real_number("refine.window", window, minimum=0.1, maximum=10)

    def __call__(self, situation: Situation, explore: bool) -> tf.Tensor:
        larger = math.log(self.window)
        return tf.stop_gradient(refined_deltas(situation)) + tf.constant([0, 0, larger, larger], tf.float32)


def refined_deltas(situation: Situation) -> tf.Tensor:
    """Deltas [M, 4] from the proposals to the boxes that the heads answer now for their most probable object class."""
    label = tf.argmax(situation.probabilities[:, 1:], axis=-1)
    refined = tf.gather(situation.boxes, label, batch_dims=1)
    return boxes.encode(boxes.at_least_a_pixel(refined), boxes.at_least_a_pixel(situation.proposals))


@gin.register("oracle")
class OraclePolicy:
    """The true box of the object that the proposal overlaps most: a ceiling for placing glimpses, and never a result.

    The proposal itself where no object overlaps it by half.
    """

    role = "ceiling"

    def __call__(self, situation: Situation, explore: bool) -> tf.Tensor:
        if situation.objects is None:
            raise GlimpseError("the policy 'oracle' looks at the true boxes and works on annotated images alone: "
                               "evaluate it on a split of its data set")
        return boxes.encode(situation.objects, boxes.at_least_a_pixel(situation.proposals))


@gin.register("random")
class RandomPolicy:
    """Gaussian deltas around the proposal, at test time too; nothing is learned."""

    role = "control"

    def __init__(self, deviation=0.3):
        self.deviation = real_number("random.deviation", deviation, minimum=0)

    def __call__(self, situation: Situation, explore: bool) -> tf.Tensor:
        return self.deviation * _normal([tf.shape(situation.hidden)[0], 4], situation.seed)


@gin.register("fixed")
class FixedPolicy:
    """A hand-made list of deltas, one for each glimpse after the first; a longer list than T - 1 is cut."""

    role = "control"

    def __init__(self, deltas=gin.REQUIRED):
        self.deltas = _deltas("fixed.deltas", deltas)

    def __call__(self, situation: Situation, explore: bool) -> tf.Tensor:
        step = situation.step
        if step >= len(self.deltas):
            raise GlimpseError(f"fixed.deltas lists {len(self.deltas)} deltas, too few for glimpse {step + 2}: add one")
        return tf.tile(tf.constant(self.deltas[step], shape=[1, 4]), [tf.shape(situation.hidden)[0], 1])


@gin.register("repeat")
class RepeatPolicy:
    """The proposal again: the depth and the parameters of T glimpses without anything new to see."""

    role = "control"

    def __call__(self, situation: Situation, explore: bool) -> tf.Tensor:
        return tf.zeros([tf.shape(situation.hidden)[0], 4])


def _normal(shape, seed):
    return for_rows(lambda shape: tf.random.stateless_normal(shape, seed), shape)


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
