"""A step in parts, in bfloat16 and compiled by XLA, against the plain one."""

import numpy as np
import pytest
import tensorflow as tf

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training.experiment import Experiment


def trained(tiny, *bindings, steps=10):
    """An experiment after some steps, its weights in one vector before and after, and the means of its losses."""
    with config.configuration("experiments/digits_learned.gin", [*tiny, "Experiment.batch_size = 4", "NUM_GLIMPSES = 3",
                                       f"TRAIN_STEPS = {steps}", *bindings]):
        experiment = Experiment()
        before = np.concatenate([weights.ravel() for weights in experiment.detector.get_weights()])
        logs = experiment.trainer.fit(experiment.batches(0), steps_per_epoch=steps, shuffle=False, verbose=0).history
        after = np.concatenate([weights.ravel() for weights in experiment.detector.get_weights()])
        return experiment, before, after, {name: values[0] for name, values in logs.items()}


REINFORCE = ["POLICY = @learned()", "ESTIMATOR = @reinforce()", "BASELINE = 'learned'", "GlimpseDetector.dropout = 0.3",
             "learned.deviation = 0.1"]


@pytest.mark.slow
def test_a_step_in_parts_is_the_step(tiny):
    _, before, whole, log = trained(tiny, *REINFORCE)
    experiment, _, in_parts, parts_log = trained(tiny, *REINFORCE, "Trainer.accumulation = 2")
    assert experiment.trainer.accumulation == 2
    assert np.abs(whole - before).max() > 5e-3 and np.abs(in_parts - whole).max() < 1e-5
    assert parts_log == pytest.approx(log, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("bindings, message", [
    (["Trainer.accumulation = 3"], "batch_size must be a multiple of Trainer.accumulation=3, got 4 images"),
    (["Trainer.accumulation = 8"], "batch_size must be a multiple of Trainer.accumulation=8, got 4 images"),
    ([*REINFORCE, "Trainer.accumulation = 2", "BASELINE = 'batch'"], "accumulation must be 1 for an estimator that"),
    (["Trainer.accumulation = 0"], "Trainer.accumulation must be a whole number"),
    (["Trainer.jit_compile = 'auto'"], "Trainer.jit_compile must be one of False, True"),
    (["Experiment.precision = 'float16'"], "Experiment.precision must be one of 'float32', 'mixed_bfloat16'"),
    (["Experiment.strategy = @DigitScenes"], "Experiment.strategy must be None, @mirrored"),
])
def test_what_does_not_go_together_is_refused(tiny, bindings, message):
    with pytest.raises(GlimpseError, match=message):
        trained(tiny, *bindings)


@pytest.mark.slow
def test_layers_compute_in_bfloat16_and_boxes_do_not(tiny):
    """Losses after ten steps agree to 2 % with those of float32; the weights are float32."""
    _, _, _, log = trained(tiny, *REINFORCE)
    experiment, _, _, half_log = trained(tiny, *REINFORCE, "Experiment.precision = 'mixed_bfloat16'")
    detector = experiment.detector
    assert detector.backbone.layers[-1].compute_dtype == detector.controller.compute_dtype == "bfloat16"
    assert {weights.dtype for weights in detector.get_weights()} == {np.dtype(np.float32)}
    assert half_log["class_loss"] == pytest.approx(log["class_loss"], rel=0.02)
    assert half_log["class_loss"] != log["class_loss"]
    assert half_log["box_loss"] == pytest.approx(log["box_loss"], rel=0.05)
    batch = next(iter(experiment.batches(0)))
    batch["rois"] = batch["rois"] + 2049.25  # bfloat16 has 2048 and 2064
    rollout = detector(batch["images"], batch["rois"], tf.constant([0, 0]))
    np.testing.assert_array_equal(rollout.glimpses[:, :, 0], batch["rois"])
    assert {rollout.deltas.dtype, rollout.logits.dtype, rollout.box_deltas.dtype} == {tf.float32}
    with config.configuration("experiments/digits.gin", tiny):
        assert Experiment().detector.controller.compute_dtype == "float32"


@pytest.mark.slow
def test_a_compiled_step_is_the_step(tiny):
    _, before, plain, log = trained(tiny, steps=4)
    _, _, compiled, compiled_log = trained(tiny, "Trainer.jit_compile = True", steps=4)
    assert np.abs(plain - before).max() > 5e-3 and np.abs(compiled - plain).max() < 1e-4
    assert compiled_log == pytest.approx(log, rel=1e-3, abs=1e-4)
