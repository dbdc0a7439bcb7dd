import gin
import keras
import numpy as np
import pytest

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training import run
from glimpse.training.experiment import Experiment


@gin.register("misnamed")
class Misnamed(keras.layers.Layer):
    """Has weights, and says that it is a control."""

    role = "control"

    def __init__(self):
        super().__init__()
        self.delta = self.add_weight(name="delta", shape=(1, 4))

    def call(self, situation, explore):
        return self.delta + 0.0 * situation.proposals


@gin.register("weightless")
class Weightless:
    """Says that it learns, and has no weights."""

    role, smooth = "learns", True
    trainable_variables = ()

    def __call__(self, situation, explore):
        return 0.0 * situation.proposals


@pytest.mark.parametrize("policy, message", [
    ("misnamed", r"Misnamed has weights to train \(.*delta\), but its role is 'control': "
                 r"give its class role = \"learns\""),
    ("weightless", "Weightless has the role 'learns' but no weights to train"),
])
def test_a_policy_that_nothing_trains_is_refused(tiny, policy, message):
    with pytest.raises(GlimpseError, match=message):
        with config.configuration("experiments/digits_learned.gin", [*tiny, f"POLICY = @{policy}()"]):
            Experiment()


def test_a_cascade_trains_every_stage_and_is_evaluated(tmp_path, tiny):
    bindings = [*tiny, "NUM_GLIMPSES = 3", "TRAIN_STEPS = 2", "Experiment.save_every = 2"]
    with config.configuration("experiments/digits.gin", bindings) as text:
        experiment = Experiment()
        before = {v.path: v.numpy() for v in experiment.detector.trainable_variables}
        experiment.train(run.prepare(tmp_path / "run", text))
        unmoved = [v.path for v in experiment.detector.trainable_variables if np.array_equal(v, before[v.path])]
        result = experiment.evaluate("test")
    assert not unmoved and len(experiment.detector.class_heads) == 3
    assert result["glimpses_per_proposal"] == 3 and result["metrics"]


@pytest.mark.parametrize("bindings", [
    ["POLICY = @oracle()"], ["POLICY = @fixed()", "CONTROLLER = @multi_region", "FUSION = @last"]])
def test_ceilings_and_regions_train(tmp_path, tiny, bindings):
    bindings = [*tiny, "NUM_GLIMPSES = 3", "TRAIN_STEPS = 1", "Experiment.save_every = 1", *bindings]
    with config.configuration("experiments/digits_learned.gin", bindings) as text:
        experiment = Experiment()
        experiment.train(run.prepare(tmp_path / "run", text))
        assert experiment.evaluate("test")["metrics"]
