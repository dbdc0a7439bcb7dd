import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse import config
from glimpse.training import optimizers
from glimpse.training.experiment import Experiment


def trained(kind, steps=20, **arguments):
    """Variables and the optimizer's own, after so many steps of gradients of very different sizes."""
    random = np.random.default_rng(0)
    variables = [keras.Variable(random.standard_normal(shape).astype("float32")) for shape in ((3, 5), (5,))]
    optimizer = kind(keras.optimizers.schedules.CosineDecay(0.01, 100), **arguments)
    optimizer.build(variables)
    step = tf.function(lambda gradients: optimizer.apply(gradients, variables), autograph=False)
    for _ in range(steps):
        step([tf.constant(random.standard_normal(v.shape) * 10.0**random.integers(-6, 3, v.shape), tf.float32)
              for v in variables])
    return [variable.numpy() for variable in [*variables, *optimizer.variables]]


@pytest.mark.parametrize("arguments", [{}, {"weight_decay": 0.1, "clipnorm": 1.0}, {"amsgrad": True}])
def test_adam_is_that_of_keras_but_for_the_rounding_of_beta(arguments):
    for ours, of_keras in zip(trained(optimizers.Adam, **arguments), trained(keras.optimizers.Adam, **arguments),
                              strict=True):
        np.testing.assert_allclose(ours, of_keras, rtol=2e-5, atol=1e-6 * np.abs(of_keras).max())


def test_adam_by_hand():
    variable = keras.Variable([1.0, -2.0])
    optimizer = optimizers.Adam(0.1, epsilon=0.0)
    optimizer.build([variable])
    optimizer.apply([tf.constant([4.0, -0.5])], [variable])  # the first step is as long as the rate
    np.testing.assert_allclose(variable.numpy(), [0.9, -1.9], rtol=1e-6)
    optimizer.apply([tf.constant([-4.0, -0.5])], [variable])
    # m = 0.9 * 0.4 - 0.1 * 4 = -0.04, over 1 - 0.9^2; v = 16 once its bias is gone.
    np.testing.assert_allclose(variable.numpy(), [0.9 + 0.1 * 0.04 / 0.19 / 4, -1.8], rtol=1e-5)


def test_a_checkpoint_of_keras_is_read(tmp_path):
    saved = {}
    for kind in (keras.optimizers.Adam, optimizers.Adam):
        variable = keras.Variable([1.0, -2.0])
        optimizer = kind(0.1)
        optimizer.build([variable])
        checkpoint = tf.train.Checkpoint(optimizer=optimizer)
        if not saved:
            optimizer.apply([tf.constant([4.0, -0.5])], [variable])
            checkpoint.write(str(tmp_path / "x"))
            saved = [v.numpy() for v in optimizer.variables]
    checkpoint.read(str(tmp_path / "x")).assert_consumed()
    for value, again in zip(saved, optimizer.variables, strict=True):
        np.testing.assert_array_equal(again.numpy(), value)


def test_gin_files_name_it_as_that_of_keras(tiny):
    with config.configuration("experiments/digits_learned.gin", tiny):
        trainer = Experiment().trainer
    assert type(trainer.optimizer) is type(trainer.policy_optimizer) is optimizers.Adam
