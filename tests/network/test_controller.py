import numpy as np
import pytest
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.network.controller import Controller, GatedRecurrence, MultiRegion, NoRecurrence, ReluRecurrence

POOLED = [tf.random.stateless_normal([3, 20], [0, step]) for step in range(3)]


def outputs_of(controller):
    """What a controller of three steps gives after each."""
    state, outputs = None, []
    for step, pooled in enumerate(POOLED):
        output, state = controller(pooled, step=step, state=state)
        outputs.append(output)
    return outputs


def test_paper_recurrence_against_the_equation():
    controller = Controller(3, units=(6, 4))
    outputs = outputs_of(controller)
    w6, b6, u6, w7, b7, u7 = controller.get_weights()
    h6, h7 = np.zeros((3, 6)), np.zeros((3, 4))
    for pooled, output in zip(POOLED, outputs):
        h6 = np.maximum(pooled @ w6 + h6 @ u6 + b6, 0)
        h7 = np.maximum(h6 @ w7 + h7 @ u7 + b7, 0)
        np.testing.assert_allclose(output, h7, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recurrence", [ReluRecurrence, GatedRecurrence, NoRecurrence])
def test_a_single_step_has_the_weights_of_fast_rcnn_only(recurrence):
    controller = Controller(1, units=(6, 4), recurrence=recurrence)
    controller(POOLED[0])
    assert [tuple(v.shape) for v in controller.weights] == [(20, 6), (6,), (6, 4), (4,)]


@pytest.mark.parametrize("recurrence, remembers",
                         [(NoRecurrence, False), (ReluRecurrence, True), (GatedRecurrence, True)])
def test_what_goes_from_step_to_step(recurrence, remembers):
    controller = Controller(2, units=(6, 4), recurrence=recurrence)
    alone, _ = controller(POOLED[1])
    _, state = controller(POOLED[0])
    after, _ = controller(POOLED[1], step=1, state=state)
    assert bool(np.abs(alone - after).max() > 1e-3) == remembers


def test_layers_of_its_own_for_each_glimpse():
    controller = Controller(2, units=(6, 4), recurrence=NoRecurrence, of_its_own=True)
    first, state = controller(POOLED[0])
    second, _ = controller(POOLED[0], step=1, state=state)
    assert np.abs(first - second).max() > 1e-3 and len(controller.weights) == 8


def test_regions_side_by_side_against_the_equation():
    """An fc6 each, side by side, zeros for those to come; one fc7."""
    controller = MultiRegion(3, units=(6, 4))
    outputs = outputs_of(controller)
    weights = {"/".join(v.path.split("/")[1:]): v.numpy() for v in controller.weights}
    regions = [np.maximum(pooled @ weights[f"fc6_{t}/input_weights"] + weights[f"fc6_{t}/bias"], 0)
               for t, pooled in enumerate(POOLED, start=1)]
    for count, output in enumerate(outputs, start=1):
        side_by_side = np.concatenate([*regions[:count], *[np.zeros((3, 6))] * (3 - count)], axis=1)
        np.testing.assert_allclose(output,
                                   np.maximum(side_by_side @ weights["fc7/input_weights"] + weights["fc7/bias"], 0),
                                   rtol=1e-4, atol=1e-5)


def test_dropout_scales_the_output_and_spares_the_state():
    controller = Controller(1, units=(2000, 2000), dropout=0.5)
    whole, _ = controller(POOLED[0])
    dropped, (hidden6, hidden7) = controller(POOLED[0], seed=tf.constant([1, 2]))
    again, _ = controller(POOLED[0], seed=tf.constant([1, 2]))
    np.testing.assert_array_equal(dropped, again)
    kept = dropped.numpy() != 0
    np.testing.assert_allclose(dropped.numpy()[kept], 2 * hidden7.numpy()[kept], rtol=1e-5)
    assert 0.4 < kept.sum() / np.count_nonzero(hidden7) < 0.6
    np.testing.assert_array_equal(whole, controller(POOLED[0])[0])


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match="recurrence must be a reference such as @relu, .*got 'lstm'"):
        Controller(2, recurrence="lstm")
    with pytest.raises(GlimpseError, match="dropout must lie in .*got 1"):
        Controller(1, dropout=1)
    for controller in (Controller, MultiRegion):
        with pytest.raises(GlimpseError, match="units must be the widths of fc6 and fc7, two whole numbers, got 256"):
            controller(1, units=256)
        with pytest.raises(GlimpseError, match="units must be a whole number of at least 1, got 0"):
            controller(1, units=(8, 0))
    with pytest.raises(GlimpseError, match="own_layers = 'all' is for the controller @stacked"):
        MultiRegion(2, of_its_own=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [Controller, MultiRegion, lambda count, units: Controller(count, units,
                                                                                           of_its_own=True)])
def test_all_layers_are_built_at_the_first_glimpse(make):
    controller = make(3, units=(6, 4))
    controller(POOLED[0])
    before = len(controller.weights)
    outputs_of(controller)
    assert len(controller.weights) == before
