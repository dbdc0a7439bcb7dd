import re

import gin
import pytest

from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.training.experiment import Experiment

FILE = "experiments/digits.gin"


@pytest.mark.parametrize("path", sorted(config.CONFIGS.glob("experiments/*.gin")), ids=lambda path: path.name)
def test_every_shipped_experiment_parses(path):
    included = [config.CONFIGS / name for name in re.findall(r"^include '(.*)'", path.read_text(), flags=re.MULTILINE)]
    required = re.findall(r"^(\w+) = %gin.REQUIRED", "\n".join(f.read_text() for f in [path, *included]), flags=re.MULTILINE)
    if required:
        with pytest.raises(GlimpseError, match=f"{path.name}: needs {required[0]}: give --gin_param='{required[0]}=...'"):
            with config.configuration(path):
                pass
    with config.configuration(path, [f"{name} = 'somewhere'" for name in required]) as text:
        assert "Experiment.detector" in text
        assert {"NUM_GLIMPSES", "POOLED_SIZE", "POLICY", "SEED", "TRAIN_STEPS"} <= set(config.macros())


@pytest.mark.parametrize("path", sorted(config.CONFIGS.rglob("*.gin")), ids=lambda path: path.name)
def test_every_shipped_file_says_what_it_is(path):
    head = path.read_text().splitlines()[0]
    assert head.startswith("# ") and len(head) > 40


def test_bindings_override_the_file_and_gin_is_left_empty():
    with config.configuration(FILE, ["NUM_GLIMPSES = 5", "POLICY = @fixed()"]):
        assert config.macros()["NUM_GLIMPSES"] == 5 and config.macros()["POLICY"] == "@fixed()"
    with config.configuration(FILE):
        assert config.macros()["NUM_GLIMPSES"] == 2
    assert gin.config_str() == ""


@pytest.mark.parametrize("params, message", [
    (["NUM_GLIMPSE = 3"], "no macro 'NUM_GLIMPSE'; there are NUM_GLIMPSES, "),
    (["Detector.num_glimpses = 3"], "No configurable matching 'Detector"),
    (["GlimpseDetector.glimpses = 3"], "doesn't have a parameter named 'glimpses'"),
    (["NUM_GLIMPSES"], "'NUM_GLIMPSES' is no binding: write NAME=value"),
    (["NUM_GLIMPSES = three"], "three"),
    (["POLICY = @learnt()"], "learnt"),
])
def test_faults_are_one_line_that_names_file_and_binding(params, message):
    with pytest.raises(GlimpseError) as error:
        with config.configuration(FILE, params):
            pass
    text = str(error.value)
    assert message in text and FILE in text and params[0] in text and "\n" not in text


def test_directories_of_the_user_are_not_taken_for_packages_of_configurations(tmp_path, monkeypatch):
    for name in ("data", "models"):  # as `include 'data/digits.gin'` has it
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with config.configuration(FILE) as text:
        assert "Experiment.data" in text


def test_a_missing_file_is_named():
    with pytest.raises(GlimpseError, match="experiments/digit.gin: no such file"):
        with config.configuration("experiments/digit.gin"):
            pass


@pytest.mark.parametrize("param, message", [
    ("NUM_GLIMPSES = 'three'", "num_glimpses must be a whole number of at least 1, got 'three'"),
    ("NUM_GLIMPSES = 0", "num_glimpses must be a whole number of at least 1, got 0"),
    ("POOLED_SIZE = 0", "pooled_size must be a whole number of at least 1, got 0"),
    ("POOLED_SIZE = (3, 0)", "pooled_size must be a whole number of at least 1, got 0"),
    ("SEED = -1", "seed must be a whole number of at least 0, got -1"),
    ("TRAIN_STEPS = 1.5", "train_steps must be a whole number of at least 1, got 1.5"),
    ("learned.deviation = 0", "learned.deviation must"),
    ("Experiment.save_every = 40", "save_every must be a multiple of log_every=1, got 40"),
])
def test_values_that_a_constructor_refuses(tiny, param, message):
    if "save_every" in param:
        tiny, message = [p for p in tiny if "log_every" not in p], message.replace("=1,", "=25,")
    with pytest.raises(GlimpseError) as error:
        with config.configuration(FILE, [*tiny, param]):
            Experiment()
    assert message in str(error.value) and param in str(error.value) and "\n" not in str(error.value)


def test_bindings_that_nothing_uses_are_found(tiny):
    """The user's own, not the shipped settings of the policies that were not chosen."""
    with config.configuration(FILE, [*tiny, "REWARD = 'gain'", "POLICY = @repeat()", "learned.deviation = 0.1"]):
        Experiment()
        assert {"REWARD", "learned.deviation"} <= set(config.unused_bindings())
        assert not {"NUM_GLIMPSES", "POLICY", "GlimpseDetector.units"} & set(config.unused_bindings())
    with config.configuration(FILE, [*tiny, "POLICY = @learned()"]):
        Experiment()
        assert config.unused_bindings() == []
