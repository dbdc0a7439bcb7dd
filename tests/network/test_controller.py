import numpy as np
import pytest
import tensorflow as tf

from glimpse.network.controller import Controller
from glimpse.errors import GlimpseError

POOLED = [tf.random.stateless_normal([3, 20], [0, step]) for step in range(3)]


def test_paper_recurrence_against_the_equation():
    controller = Controller(units=(6, 4))
    state, outputs = None, []
    for pooled in POOLED:
        output, state = controller(pooled, state)
        outputs.append(output)
    w6, b6, u6, w7, b7, u7 = controller.get_weights()
    h6, h7 = np.zeros((3, 6)), np.zeros((3, 4))
    for pooled, output in zip(POOLED, outputs):
        h6 = np.maximum(pooled @ w6 + h6 @ u6 + b6, 0)
        h7 = np.maximum(h6 @ w7 + h7 @ u7 + b7, 0)
        np.testing.assert_allclose(output, h7, rtol=1e-4, atol=1e-5)


def test_a_single_step_has_the_weights_of_fast_rcnn_only():
    for recurrence in ("relu", "gru", "none"):
        controller = Controller(units=(6, 4), recurrence=recurrence, recurrent=False)
        controller(POOLED[0])
        assert [tuple(v.shape) for v in controller.weights] == [(20, 6), (6,), (6, 4), (4,)]


def test_without_recurrence_the_steps_do_not_know_of_each_other():
    controller = Controller(units=(6, 4), recurrence="none")
    alone, _ = controller(POOLED[1])
    _, state = controller(POOLED[0])
    after, _ = controller(POOLED[1], state)
    np.testing.assert_array_equal(alone, after)


def test_gru_remembers():
    controller = Controller(units=(6, 4), recurrence="gru")
    alone, _ = controller(POOLED[1])
    _, state = controller(POOLED[0])
    after, _ = controller(POOLED[1], state)
    assert np.abs(alone - after).max() > 1e-3


def test_dropout_scales_the_output_and_spares_the_state():
    controller = Controller(units=(2000, 2000), dropout=0.5, recurrent=False)
    whole, _ = controller(POOLED[0])
    dropped, (hidden6, hidden7) = controller(POOLED[0], seed=tf.constant([1, 2]))
    again, _ = controller(POOLED[0], seed=tf.constant([1, 2]))
    np.testing.assert_array_equal(dropped, again)
    kept = dropped.numpy() != 0
    np.testing.assert_allclose(dropped.numpy()[kept], 2 * hidden7.numpy()[kept], rtol=1e-5)
    assert 0.4 < kept.sum() / np.count_nonzero(hidden7) < 0.6
    np.testing.assert_array_equal(whole, controller(POOLED[0])[0])


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match="recurrence must be one of 'relu', 'gru', 'none', got 'lstm'"):
        Controller(recurrence="lstm")
    with pytest.raises(GlimpseError, match="dropout must lie in .*got 1"):
        Controller(dropout=1)
