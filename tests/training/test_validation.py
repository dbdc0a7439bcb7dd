"""Watching a run: the training stays the same to the bit, and a resumed one writes what the unbroken one would have."""

import json

import numpy as np
import pytest

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training import board, checkpoints, run
from glimpse.training.experiment import Experiment
from glimpse.training.metrics_log import (
    VALIDATION_MAP,
    best_step,
    log_by_columns,
    read_metrics,
    validation_by_columns,
)
from glimpse.training.recorder import Recorder
from glimpse.training.restore import restored
from glimpse.training.validation import METRIC, Validation
from tests.training.test_experiment import assert_same, trained

WATCHED = ["Experiment.validate_every = 2", "Experiment.validation_images = 3",
           "DigitScenes.sizes = {'train': 8, 'validation': 9, 'test': 4}"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory, tiny):
    """(directory, what `trained` returns) of a run that is validated after steps 2, 4 and 6."""
    workdir = tmp_path_factory.mktemp("watched") / "run"
    return workdir, trained(workdir, [*tiny, *WATCHED])


def test_watching_leaves_the_training_as_it_is_to_the_bit(watched, tmp_path, tiny):
    _, (metrics, log, weights) = watched
    plain = trained(tmp_path / "plain", [*tiny, WATCHED[-1]])
    assert [line["step"] for line in log if VALIDATION_MAP in line] == [2, 4, 6]
    unwatched = [{name: value for name, value in line.items() if name != VALIDATION_MAP} for line in log]
    assert_same((metrics, unwatched, weights), plain)


def test_what_is_logged_is_the_map_of_those_images(watched, tiny):
    """Evenly spaced: of 9 images the first, the middle one and the last."""
    workdir, (_, log, _) = watched
    with restored(workdir) as (experiment, _):
        part = experiment.validation
        assert [each.id for each in map(part.examples.__getitem__, range(3))] == [
            experiment.examples("validation")[place].id for place in (0, 4, 8)]
        experiment._examples["validation"] = part.examples
        assert part.mean_ap() == experiment.evaluate("validation")["metrics"][METRIC] == log[-1][VALIDATION_MAP]
        first, again = part.sequences(2), part.sequences(2)
        assert [each[1].name for each in first] == [each[1].name for each in again]
        assert len({sequence.name.split(",")[0] for _, sequence, _ in first}) == len(first)
        for (_, one, _), (_, other, _) in zip(first, again):
            np.testing.assert_array_equal(one.glimpses, other.glimpses)


def test_the_log_by_columns_keeps_what_is_validated_apart(watched):
    workdir, (_, log, _) = watched
    assert log_by_columns(workdir)["step"] == [1, 2, 3, 4, 5, 6] and VALIDATION_MAP not in log_by_columns(workdir)
    assert validation_by_columns(workdir)["step"] == [2, 4, 6]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been_and_nothing_is_there_twice(tmp_path, tiny, monkeypatch):
    """Killed after step 5, with the checkpoint of step 3: steps 4 and 5 are made again."""
    pytest.importorskip("tensorboard")
    bindings = [*tiny, *WATCHED, "Experiment.validate_every = 3"]

    def train(name):
        with config.configuration("experiments/digits_learned.gin", bindings) as text:
            run.prepare(tmp_path / name, text)
            experiment = Experiment()
            experiment.train(tmp_path / name, tensorboard=True)
            return {}, read_metrics(tmp_path / name), experiment.detector.get_weights()

    def killed(self, batch, logs=None):
        recorded(self, batch, logs)
        if self.step == 5:
            raise KeyboardInterrupt

    unbroken, recorded = train("unbroken"), Recorder.on_train_batch_end
    monkeypatch.setattr(Recorder, "on_train_batch_end", killed)
    with pytest.raises(KeyboardInterrupt):
        train("stopped")
    monkeypatch.undo()
    assert_same(train("stopped"), unbroken)

    def written(name):
        found = [(event.step, value.tag, value.tensor.SerializeToString())
                 for (_, _), event in board.events_of(tmp_path / name / board.DIRECTORY).items()
                 for value in event.summary.value]
        return sorted(found)

    assert written("stopped") == written("unbroken")
    tags = {tag for _, tag, _ in written("unbroken")}
    assert {"training/class_loss", f"training/{VALIDATION_MAP}", "glimpse_2/gain", "glimpses/object_1"} <= tags
    records = sum(len(list(each_record(path))) for path in (tmp_path / "stopped" / board.DIRECTORY).iterdir())
    assert records == len(written("stopped"))  # none twice in the files either


def each_record(path):
    import tensorflow as tf
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        yield from tf.compat.v1.Event.FromString(record).summary.value


def test_the_best_step_is_kept_and_is_what_a_run_answers_with(tmp_path, tiny, monkeypatch):
    """mAP 0.2, 0.6, 0.6, 0.1 after steps 3, 6, 9, 12: the first of the best stays, besides the last checkpoint."""
    told = {3: 0.2, 6: 0.6, 9: 0.6, 12: 0.1}
    monkeypatch.setattr(Validation, "mean_ap", lambda self: told[int(experiment.trainer.optimizer.iterations)])
    bindings = [*tiny, "TRAIN_STEPS = 12", "Experiment.validate_every = 3", "Experiment.keep = 'best'",
                "Experiment.keep_checkpoints = 1"]
    with config.configuration("experiments/digits_learned.gin", bindings) as text:
        workdir = run.prepare(tmp_path / "run", text)
        experiment = Experiment()
        experiment.train(workdir)
        assert int(experiment.trainer.optimizer.iterations) == 6
        assert sorted(checkpoints.steps(workdir / run.CHECKPOINTS)) == [6, 12]
        weights = experiment.detector.get_weights()
    with restored(workdir) as (again, step):
        assert step == 6 and again.trained_steps == 12
        for one, other in zip(again.detector.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, other)
    next((workdir / run.CHECKPOINTS / "ckpt-6").glob("*.data*")).write_bytes(b"")
    with pytest.raises(GlimpseError, match="ckpt-6 cannot be loaded .*is not as it was written.*; restore the files"):
        with restored(workdir):
            pass


def test_the_best_step():
    lines = [{"step": 1}, {"step": 2, VALIDATION_MAP: 0.1}, {"step": 3, VALIDATION_MAP: 0.3}]
    assert best_step(lines, {1, 2, 3}) == 3 and best_step(lines, {1, 2}) == 2 and best_step(lines, {1}) is None


@pytest.mark.parametrize("binding, line", [
    ("Experiment.validate_every = 0", "validate_every must be a whole number of at least 1, got 0"),
    ("Experiment.validation_images = 'all'", "validation_images must be a whole number of at least 1, got 'all'"),
    ("Experiment.keep = 'first'", "Experiment.keep must be one of 'last', 'best', got 'first'"),
    ("Experiment.keep = 'best'", "Experiment.keep='best' needs a validate_every that is a multiple of save_every=3"),
])
def test_settings_that_do_not_fit(tiny, binding, line):
    with pytest.raises(GlimpseError, match=line):
        with config.configuration("experiments/digits_learned.gin", [*tiny, binding]):
            Experiment()


def test_a_multiple_of_the_lines_of_the_log_is_asked_for(tiny):
    bindings = [*tiny, "Experiment.log_every = 3", "Experiment.validate_every = 4"]
    with pytest.raises(GlimpseError, match="validate_every must be a multiple of log_every=3, got 4"):
        with config.configuration("experiments/digits_learned.gin", bindings):
            Experiment()


def test_no_split_to_look_at(tiny):
    bindings = [*tiny, "Experiment.validate_every = 2", "DigitScenes.sizes = {'train': 8, 'test': 4}",
                "Experiment.evaluation_splits = ('test',)"]
    with pytest.raises(GlimpseError, match="Experiment.validate_every=2 needs a validation split, or None: "):
        with config.configuration("experiments/digits_learned.gin", bindings):
            Experiment().open_evaluation_splits()


def test_a_cut_event_file_gives_what_is_whole(tmp_path):
    pytest.importorskip("tensorboard")
    with_two = board.Board(tmp_path, 0)
    with_two.scalars({"step": 1, "loss": 2.0})
    with_two.scalars({"step": 2, "loss": 1.0})
    with_two.close()
    path = next((tmp_path / board.DIRECTORY).iterdir())
    path.write_bytes(path.read_bytes()[:-3])
    assert list(board.events_of(tmp_path / board.DIRECTORY)) == [(1, "training/loss")]


def test_results_tell_of_the_validation(watched, tmp_path):
    from glimpse.training import results
    workdir, _ = watched
    with restored(workdir) as (experiment, _):
        evaluated = {"test": experiment.evaluate("test")}
        results.write(workdir, experiment, evaluated, {"train": 1.0, "evaluate": 1.0})
    assert json.loads((workdir / run.RESULTS).read_text())["validation_log"]["step"] == [2, 4, 6]
    assert run.read_results(workdir)["validation_log"][VALIDATION_MAP] == [
        float(f"{line[VALIDATION_MAP]:.6g}") for line in read_metrics(workdir) if VALIDATION_MAP in line]
