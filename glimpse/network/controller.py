"""The stacked recurrent controller: fully connected layers fc6 and fc7, each fed by its own last activation.

What differs between the recurrences is one layer, `call(inputs, last)`, registered in gin: `GlimpseDetector.recurrence
= @relu`, `@gru`, `@no_recurrence`, or a layer of one's own with the same two methods.
"""

from typing import Any

import gin
import keras
import tensorflow as tf

from glimpse.errors import GlimpseError, real_number, whole_number
from glimpse.randomness import for_rows


class FullyConnected(keras.layers.Layer):
    """h = ReLU(W x + b), the layer of Fast R-CNN; every further glimpse is read with the same weights.

    Args:
        units: D, the width of the activation.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = whole_number("units", units)

    def build(self, inputs_shape: tuple) -> None:
        self.input_weights = self.add_weight(
            name="input_weights", shape=(inputs_shape[-1], self.units), initializer="he_normal")  # W
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")  # b

    def call(self, inputs: tf.Tensor, last: tf.Tensor | None = None) -> tf.Tensor:
        """One step.

        Args:
            inputs: float [M, I].
            last: [M, D], the activation of the step before; None at the first.

        Returns:
            [M, D].
        """
        # The bias comes last: TensorFlow 2.21's graph optimiser fails on ReLU(matmul + bias + matmul) on a CPU.
        return tf.nn.relu(tf.nn.bias_add(self.total(inputs, last), self.bias))

    def total(self, inputs: tf.Tensor, last: tf.Tensor | None) -> tf.Tensor:
        return tf.matmul(inputs, self.input_weights)


@gin.register("no_recurrence")
class NoRecurrence(FullyConnected):
    """h_t = ReLU(W x_t + b): no way from step to step; glimpses meet in the fusion alone [ours]."""


@gin.register("relu")
class ReluRecurrence(FullyConnected):
    """h_t = ReLU(W x_t + U h_{t-1} + b), without the middle term at the first step (Hara et al. 2017, figure 2)."""

    def build(self, inputs_shape: tuple) -> None:
        super().build(inputs_shape)
        # Half an orthogonal matrix [ours], so that the last step weighs less than what is seen now.
        self.recurrent_weights = self.add_weight(
            name="recurrent_weights", shape=(self.units, self.units),
            initializer=keras.initializers.Orthogonal(gain=0.5))  # U

    def total(self, inputs: tf.Tensor, last: tf.Tensor | None) -> tf.Tensor:
        total = super().total(inputs, last)
        return total if last is None else total + tf.matmul(last, self.recurrent_weights)


@gin.register("gru")
class GatedRecurrence(keras.layers.Layer):
    """A gated recurrent unit in place of the paper's layer [ours]. Arguments and call as `FullyConnected`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = whole_number("units", units)

    def build(self, inputs_shape: tuple) -> None:
        self.cell = keras.layers.GRUCell(self.units)
        self.cell.build(inputs_shape)

    def call(self, inputs: tf.Tensor, last: tf.Tensor | None = None) -> tf.Tensor:
        last = tf.zeros([tf.shape(inputs)[0], self.units], inputs.dtype) if last is None else last
        return self.cell(inputs, [last])[0]


@gin.register("stacked")
class Controller(keras.layers.Layer):
    """fc6 and fc7 over pooled glimpses: the two fully connected layers of Fast R-CNN, made recurrent.

    Dropout falls on what a layer hands upwards; what it hands to its own next step is left whole [our choice: the
    paper's figure shows the arrows only].

    Args:
        num_glimpses: T; with one glimpse there is no recurrence.
        units: the widths of fc6 and fc7.
        recurrence: the class of both layers, called with `units` and a name.
        dropout: fraction of the activations that is dropped in training.
        of_its_own: each glimpse has an fc6 and an fc7 of its own, as each stage of Cascade R-CNN has.
    """

    def __init__(self, num_glimpses, units=(256, 256), recurrence=ReluRecurrence, dropout=0.0, of_its_own=False,
                 **kwargs):
        super().__init__(**kwargs)
        units = two_widths(units)
        if not callable(recurrence):
            raise GlimpseError(
                f"recurrence must be a reference such as @relu, @gru or @no_recurrence, got {recurrence!r}")
        self.dropout = real_number("dropout", dropout, minimum=0, maximum=0.99)
        self.units = units[1]
        layer = recurrence if num_glimpses > 1 else NoRecurrence
        self.stages = [[layer(units=width, name=f"{name}{stage}") for width, name in zip(units, ("fc6", "fc7"))]
                       for stage in ([f"_{t}" for t in range(1, num_glimpses + 1)] if of_its_own else [""])]

    def build(self, pooled_shape: tuple) -> None:
        for fc6, fc7 in self.stages:
            fc6.build(pooled_shape)
            fc7.build((None, fc6.units))

    def call(self, pooled: tf.Tensor, step: int = 0, state: tuple | None = None,
             seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tuple]:
        """One step.

        Args:
            pooled: float [M, I], glimpses as vectors.
            step: which glimpse this is, 0 .. T-1.
            state: a pair ([M, D6], [M, D7]) from the step before; None at the first.
            seed: int32 [2] for dropout; None for none.

        Returns:
            (output [M, D7], state).
        """
        fc6, fc7 = self.stages[min(step, len(self.stages) - 1)]
        last6, last7 = state or (None, None)
        hidden6 = fc6(pooled, last6)
        hidden7 = fc7(dropped(hidden6, self.dropout, seed, 6), last7)
        return dropped(hidden7, self.dropout, seed, 7), (hidden6, hidden7)


@gin.register("multi_region")
class MultiRegion(keras.layers.Layer):
    """Regions side by side in place of a sequence: an fc6 for each, one fc7 over all of them (a control).

    After glimpse t, fc7 reads the fc6 of the first t regions and zeros for those to come. To be used with a policy that
    does not ask what was seen (`fixed`), and with the fusion "last".

    Source: Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN model",
    2015. Arguments as `Controller`; there is no recurrence, and every fc6 is its glimpse's own.
    """

    def __init__(self, num_glimpses, units=(256, 256), recurrence=None, dropout=0.0, of_its_own=False, **kwargs):
        super().__init__(**kwargs)
        if of_its_own:
            raise GlimpseError("own_layers = 'all' is for the controller @stacked; in @multi_region, fc7 reads the "
                               "fc6 of all glimpses: set own_layers to 'none' or 'heads'")
        units = two_widths(units)
        self.dropout = real_number("dropout", dropout, minimum=0, maximum=0.99)
        self.units = units[1]
        self.fc6 = [FullyConnected(units[0], name=f"fc6_{t}") for t in range(1, num_glimpses + 1)]
        self.fc7 = FullyConnected(units[1], name="fc7")

    def build(self, pooled_shape: tuple) -> None:
        for fc6 in self.fc6:
            fc6.build(pooled_shape)
        self.fc7.build((None, sum(fc6.units for fc6 in self.fc6)))

    def call(self, pooled: tf.Tensor, step: int = 0, state: tuple | None = None,
             seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tuple]:
        """As `Controller.call`; the state is a tuple of the fc6 of each glimpse so far."""
        state = (*(state or ()), dropped(self.fc6[step](pooled), self.dropout, seed, 6))
        to_come = [tf.zeros_like(state[0])] * (len(self.fc6) - len(state))
        return dropped(self.fc7(tf.concat([*state, *to_come], axis=-1)), self.dropout, seed, 7), state


def two_widths(units: Any) -> list[int]:
    """The widths of fc6 and fc7, checked."""
    if not isinstance(units, (tuple, list)) or len(units) != 2:
        raise GlimpseError(f"units must be the widths of fc6 and fc7, two whole numbers, got {units!r}")
    return [whole_number("units", width) for width in units]


def dropped(activation: tf.Tensor, rate: float, seed: tf.Tensor | None, layer: int) -> tf.Tensor:
    """An activation under dropout, from a seed of its own for each layer; as it is without a seed or a rate."""
    if seed is None or not rate:
        return activation
    return activation * for_rows(lambda shape: tf.nn.experimental.stateless_dropout(
        tf.ones(shape, activation.dtype), rate, tf.random.fold_in(seed, layer)), tf.shape(activation))
