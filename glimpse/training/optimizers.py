"""The optimizers and learning-rate schedules that gin files name, `@keras.optimizers.Adam()` and so on."""

import gin
import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """Keras's Adam, the update of a variable being one operation: half the time of the dozen that Keras's takes.

    The arithmetic is that of float32 throughout. Keras's differs in one place: it rounds 1 - beta to float32, and this
    takes 1 less the rounded beta, which is 1e-5 of itself away.

    Source: Kingma and Ba, "Adam", 2015, the form just before section 2.1. Arguments as there.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        place, dtype = self._get_variable_index(variable), variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2, epsilon = (tf.cast(value, dtype) for value in (self.beta_1, self.beta_2, self.epsilon))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[place].value.handle, v=self._velocities[place].value.handle,
            beta1_power=beta_1**step, beta2_power=beta_2**step, lr=tf.cast(learning_rate, dtype), beta1=beta_1,
            beta2=beta_2, epsilon=epsilon, grad=tf.cast(gradient, dtype))


for _optimizer in (Adam, keras.optimizers.SGD):
    gin.external_configurable(_optimizer, module="keras.optimizers")
for _schedule in (keras.optimizers.schedules.CosineDecay, keras.optimizers.schedules.PiecewiseConstantDecay,
                  keras.optimizers.schedules.PolynomialDecay):
    gin.external_configurable(_schedule, module="keras.optimizers.schedules")
