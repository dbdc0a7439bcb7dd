import os
import signal

import numpy as np
import pytest

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training import checkpoints, run
from glimpse.training.experiment import Experiment
from glimpse.training.metrics_log import read_metrics
from glimpse.training.recorder import Recorder
from glimpse.training.stopping import Stopped


def trained(workdir, bindings, split="test"):
    """A run trained and evaluated: its metrics, its log, its weights."""
    with config.configuration("experiments/digits_learned.gin", bindings) as text:
        run.prepare(workdir, text)
        experiment = Experiment()
        experiment.train(str(workdir))
        return experiment.evaluate(split)["metrics"], read_metrics(workdir), experiment.detector.get_weights()


def assert_same(one, other):
    assert one[0] == other[0] and one[1] == other[1]
    for weight, again in zip(one[2], other[2], strict=True):
        np.testing.assert_array_equal(weight, again)


@pytest.mark.parametrize("policy", ["learned", pytest.param("random", marks=pytest.mark.slow)])
def test_two_runs_of_one_seed_are_the_same_to_the_bit(tmp_path, tiny, policy):
    bindings = [*tiny, f"POLICY = @{policy}()"]
    first, second = (trained(tmp_path / name, bindings) for name in "ab")
    assert_same(first, second)
    other = trained(tmp_path / "c", [*bindings, "SEED = 1"])
    assert other[1] != first[1]


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, tiny, monkeypatch):
    bindings = [*tiny, "NUM_GLIMPSES = 3", "GlimpseDetector.dropout = 0.3"]
    unbroken = trained(tmp_path / "unbroken", bindings)

    def killed(self, batch, logs=None):
        if batch == 4:  # after step 5; the checkpoint of step 3 stands
            raise KeyboardInterrupt
        recorded(self, batch, logs)

    recorded = Recorder.on_train_batch_end
    monkeypatch.setattr(Recorder, "on_train_batch_end", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", bindings)
    assert len(read_metrics(tmp_path / "stopped")) == 4
    monkeypatch.undo()
    assert_same(trained(tmp_path / "stopped", bindings), unbroken)


@pytest.mark.slow
def test_a_signal_ends_a_run_after_its_step_and_it_goes_on_as_if_it_had_not_been(tmp_path, tiny, monkeypatch):
    """In the midst of a window of the log, and by three signals; then its last checkpoint is damaged."""
    bindings = [*tiny, "TRAIN_STEPS = 8", "Experiment.log_every = 3"]
    unbroken = trained(tmp_path / "unbroken", bindings)
    assert [line["step"] for line in unbroken[1]] == [3, 6, 8]

    def signalled(self, batch, logs=None):
        began(self, batch, logs)
        if self.step in (2, 5, 7):
            os.kill(os.getpid(), signal.SIGTERM)

    began = Recorder.on_train_batch_begin
    monkeypatch.setattr(Recorder, "on_train_batch_begin", signalled)
    for step in (2, 5, 7):
        with pytest.raises(Stopped, match=f"stopped by SIGTERM after step {step} of 8, with a checkpoint"):
            trained(tmp_path / "stopped", bindings)
        assert max(checkpoints.steps(tmp_path / "stopped" / run.CHECKPOINTS)) == step
    monkeypatch.undo()
    assert_same(trained(tmp_path / "stopped", bindings), unbroken)

    directory = tmp_path / "stopped" / run.CHECKPOINTS
    assert sorted(checkpoints.steps(directory)) == [6, 8]
    (directory / "ckpt-8" / "variables.index").write_bytes(b"")
    assert_same(trained(tmp_path / "stopped", bindings), unbroken)
    assert sorted(path.name for path in directory.iterdir()) == ["ckpt-6", "ckpt-8", "damaged-ckpt-8"]


def test_training_moves_every_weight_and_the_slow_optimiser_moves_the_policy(tmp_path, tiny):
    with config.configuration("experiments/digits_learned.gin", [
            *tiny, "ESTIMATOR = @reinforce()", "POLICY_OPTIMIZER = @keras.optimizers.SGD()"]) as text:
        experiment = Experiment()
        before = {v.path: v.numpy() for v in experiment.detector.trainable_variables}
        experiment.train(run.prepare(tmp_path / "x", text))
        moved = {v.path: np.abs(v.numpy() - before[v.path]).max() for v in experiment.detector.trainable_variables}
    assert all(distance > 0 for distance in moved.values()), moved
    policy = {path: distance for path, distance in moved.items() if "glimpse_head" in path}
    assert len(policy) == 2 and max(policy.values()) < 1e-3 < max(moved.values())


def test_by_default_the_policy_learns_at_a_tenth_of_the_rate_of_the_rest(tmp_path, tiny):
    """At the same rate the glimpses run away from the object before the network knows how to use them."""
    bindings = [*tiny, "TRAIN_STEPS = 1", "Experiment.save_every = 1"]
    with config.configuration("experiments/digits_learned.gin", bindings) as text:
        experiment = Experiment()
        before = {v.path: v.numpy() for v in experiment.detector.trainable_variables}
        experiment.train(run.prepare(tmp_path / "x", text))
        moved = {v.path: np.abs(v.numpy() - before[v.path]).max() for v in experiment.detector.trainable_variables}
    # Adam's first step is as long as its rate, where there is a gradient.
    assert max(d for path, d in moved.items() if "glimpse_head" in path) == pytest.approx(0.0002, rel=0.01)
    assert max(d for path, d in moved.items() if "glimpse_head" not in path) == pytest.approx(0.002, rel=0.01)


def test_the_detector_learns(tmp_path, tiny):
    """Not merely runs: on scenes seen again and again, the loss falls to a fraction."""
    bindings = [*tiny, "TRAIN_STEPS = 120", "Experiment.log_every = 20", "Experiment.save_every = 120",
                "small_cnn.filters = (8, 16, 32)", "GlimpseDetector.units = (64, 64)",
                "RoISampling.rois_per_image = 16"]
    _, log, _ = trained(tmp_path / "x", bindings)
    assert log[-1]["loss"] < 0.6 * log[0]["loss"]
    assert log[-1]["reward"] > 1.3 * log[0]["reward"]


# with one, the loss shows it; with two, a glimpse's box may do so first
@pytest.mark.parametrize("num_glimpses", [1, 2])
def test_a_run_that_diverges_stops_and_keeps_the_last_good_checkpoint(tmp_path, tiny, num_glimpses):
    what = "((loss|gradient_norm) is (nan|inf)|a glimpse's box is not finite)"
    bindings = [*tiny, f"NUM_GLIMPSES = {num_glimpses}", "Experiment.save_every = 1", "Adam.learning_rate = 1e30"]
    with pytest.raises(GlimpseError, match=rf"{what} at step [2-4] of 6; .*Last good checkpoint: .*ckpt-\d"):
        trained(tmp_path / "x", bindings)
    assert checkpoints.steps(tmp_path / "x" / run.CHECKPOINTS)
    assert not (tmp_path / "x" / run.RESULTS).exists()


def test_a_checkpoint_of_another_network_is_refused(tmp_path, tiny):
    trained(tmp_path / "x", tiny)
    with config.configuration("experiments/digits_learned.gin", [*tiny, "GlimpseDetector.units = (8, 8)"]):
        with pytest.raises(GlimpseError, match="does not fit the configuration beside it"):
            Experiment().restore(tmp_path / "x")


def test_policy_statistics_tell_what_a_fixed_policy_does(tmp_path, tiny):
    with config.configuration("experiments/digits_learned.gin", [*tiny, "POLICY = @fixed()"]):
        experiment = Experiment()
        result = experiment.evaluate("test")
    statistics = result["policy"]["glimpse 2"]
    assert statistics["mean"] == pytest.approx(dict(dx=0, dy=0, log_width=0.588, log_height=0.588))
    assert statistics["spread"] == pytest.approx(dict(dx=0, dy=0, log_width=0, log_height=0), abs=1e-6)
    assert result["milliseconds_per_image"] > 0
