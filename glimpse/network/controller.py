"""The stacked recurrent controller: fully connected layers fc6 and fc7, each fed by its own last activation."""

import keras
import tensorflow as tf

from glimpse.errors import one_of, real_number, whole_number

RECURRENCES = ("relu", "gru", "none")


class RecurrentLayer(keras.layers.Layer):
    """h_t = ReLU(W x_t + U h_{t-1} + b), without the middle term at the first step (Hara et al. 2017, figure 2).

    Args:
      units: D.
      recurrence: "relu" as above; "gru", a gated recurrent unit in its place; "none", no way from step to step.
      recurrent: False where there is only one step: then W and b are all there is, the layer of Fast R-CNN.
    """

    def __init__(self, units, recurrence, recurrent, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.gated = recurrent and recurrence == "gru"
        self.recurrent = recurrent and recurrence == "relu"

    def build(self, inputs_shape):
        if self.gated:
            self.cell = keras.layers.GRUCell(self.units)
            self.cell.build(inputs_shape)
            return
        self.input_weights = self.add_weight(
            name="input_weights", shape=(inputs_shape[-1], self.units), initializer="he_normal")  # W
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")  # b
        if self.recurrent:
            # Half an orthogonal matrix [ours], so that the last step weighs less than what is seen now.
            self.recurrent_weights = self.add_weight(
                name="recurrent_weights", shape=(self.units, self.units),
                initializer=keras.initializers.Orthogonal(gain=0.5))  # U

    def call(self, inputs, last=None):
        """inputs [M, I]; last [M, D], the activation of the step before, None at the first. Returns [M, D]."""
        if self.gated:
            last = tf.zeros([tf.shape(inputs)[0], self.units], inputs.dtype) if last is None else last
            return self.cell(inputs, [last])[0]
        total = tf.matmul(inputs, self.input_weights)
        if self.recurrent and last is not None:
            total += tf.matmul(last, self.recurrent_weights)
        # The bias comes last: TensorFlow 2.21's graph optimiser fails on ReLU(matmul + bias + matmul) on a CPU.
        return tf.nn.relu(tf.nn.bias_add(total, self.bias))


class Controller(keras.layers.Layer):
    """fc6 and fc7 over pooled glimpses: the two fully connected layers of Fast R-CNN, made recurrent.

    Dropout falls on what a layer hands upwards; what it hands to its own next step is left whole [our choice: the
    paper's figure shows the arrows only].
    """

    def __init__(self, units=(256, 256), recurrence="relu", dropout=0.0, recurrent=True, **kwargs):
        super().__init__(**kwargs)
        one_of("recurrence", recurrence, RECURRENCES)
        self.dropout = real_number("dropout", dropout, minimum=0, maximum=0.99)
        self.fc6, self.fc7 = (
            RecurrentLayer(whole_number("units", width), recurrence, recurrent, name=name)
            for width, name in zip(units, ("fc6", "fc7"), strict=True))

    def call(self, pooled, state=None, seed=None):
        """One step.

        Args: pooled float [M, I], glimpses as vectors; state, a pair ([M, D6], [M, D7]) from the step before,
          None at the first; seed int32 [2] for dropout, None for none.
        Returns: (output [M, D7], state).
        """
        last6, last7 = state or (None, None)
        hidden6 = self.fc6(pooled, last6)
        hidden7 = self.fc7(self._drop(hidden6, seed, 6), last7)
        return self._drop(hidden7, seed, 7), (hidden6, hidden7)

    def _drop(self, activation, seed, layer):
        if seed is None or not self.dropout:
            return activation
        return tf.nn.experimental.stateless_dropout(activation, self.dropout, tf.random.fold_in(seed, layer))
