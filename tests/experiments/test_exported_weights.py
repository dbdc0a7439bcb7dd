"""A run with its weights in one file, in place of its checkpoints."""

import shutil

import numpy as np
import pytest
import safetensors.numpy

from experiments import export, train
from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training import run
from glimpse.training.experiment import Experiment
from glimpse.training.restore import restored
from glimpse.training.weights import named, read_weights


@pytest.fixture(scope="module")
def exported(digit_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "digits"
    export.main([f"--run={digit_run}", f"--out={out}", "--format=weights"])
    return out


def test_the_run_is_the_same_without_its_checkpoints(digit_run, exported):
    assert sorted(path.name for path in exported.iterdir()) == [
        "config.gin", "data.json", "metrics.jsonl", "operative_config.gin", "results.json", run.WEIGHTS]
    with restored(digit_run) as (experiment, step):
        weights, trained = experiment.detector.get_weights(), experiment.trained_steps
    with restored(exported) as (experiment, again):
        assert again == step and experiment.trained_steps == trained
        for one, other in zip(experiment.detector.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fault, line", [
    (lambda arrays: arrays.pop("detector/box_head/bias"), r"box_head/bias is missing there and float32 \[40\] in the"),
    (lambda arrays: arrays.update(more=np.zeros(2, np.float32)), r"more is float32 \[2\] there and missing in the net"),
    (lambda arrays: arrays.update({"detector/box_head/bias": np.zeros(3, np.float32)}),
     r"box_head/bias is float32 \[3\] there and float32 \[40\] in the network"),
    (lambda arrays: arrays.update({"detector/box_head/bias": np.zeros(40)}), r"box_head/bias is float64 \[40\] there"),
])
def test_weights_of_another_network_are_refused_and_nothing_is_loaded(exported, tmp_path, fault, line):
    arrays = safetensors.numpy.load_file(exported / run.WEIGHTS)
    fault(arrays)
    path = tmp_path / run.WEIGHTS
    safetensors.numpy.save_file(arrays, path, metadata={"step": "6", "trained_steps": "6"})
    with restored(exported) as (experiment, _):
        for variable in experiment.detector.variables:
            variable.assign(variable + 1)
        before = experiment.detector.get_weights()
        with pytest.raises(GlimpseError, match=f"does not fit the configuration beside it: .*{line}"):
            read_weights(path, experiment.detector)
        for one, other in zip(experiment.detector.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: b"x" * 99,
                                    lambda content: content.replace(b'"step"', b'"stop"')])
def test_a_damaged_file_is_named(exported, tmp_path, damage):
    shutil.copytree(exported, tmp_path / "run")
    path = tmp_path / "run" / run.WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(GlimpseError, match=f"{path} cannot be read .*; restore it from a copy"):
        with restored(tmp_path / "run"):
            pass


def test_no_training_goes_on_from_weights_alone(exported, tiny, capsys):
    before = {path: path.read_bytes() for path in exported.iterdir()}
    for more in ([], ["TRAIN_STEPS = 9"], ["Experiment.coco_ap = True"]):
        with pytest.raises(SystemExit) as stop:
            train.main(["--gin_file=experiments/digits.gin", *(f"--gin_param={each}" for each in [*tiny, *more]),
                        f"--workdir={exported}"])
        assert stop.value.code == 2
        assert "holds an exported run, whose weights no training goes on from" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in exported.iterdir()} == before


@pytest.mark.parametrize("bindings", [["CONTROLLER = @multi_region"], ["RECURRENCE = @gru"], ["POOLING = 'deformable'"],
                                      ["POLICY = @candidates()", "ESTIMATOR = @expectation()"]], ids=" ".join)
def test_the_weights_of_every_kind_of_network_have_names_that_stay(tiny, bindings):
    with config.configuration("experiments/digits_learned.gin", [*tiny, *bindings]):
        names = [list(named(Experiment().detector.variables)) for _ in range(2)]
    assert names[0] == names[1]


def test_names():
    class Variable:
        def __init__(self, path):
            self.path = path
    paths = ["d/fc6_1/w", "d/fc6_2/w", "d/gru_7/w_1", "d/gru_7/w_2", "d/conv1/w"]
    assert list(named(map(Variable, paths))) == ["d/fc6/w", "d/fc6_1/w", "d/gru/w", "d/gru/w_1", "d/conv1/w"]
    with pytest.raises(GlimpseError, match="two weights of the network have the name d/a_1"):
        named(map(Variable, ["d/a_1", "d/a_1"]))
