import re

import gin
import pytest

from glimpse import config, gin_files
from glimpse.errors import GlimpseError
from glimpse.training.experiment import Experiment

FILE = "experiments/digits_learned.gin"


@pytest.mark.parametrize("path", sorted(gin_files.CONFIGS.glob("experiments/*.gin")), ids=lambda path: path.name)
def test_every_shipped_experiment_parses(path):
    included = [gin_files.CONFIGS / name
                for name in re.findall(r"^include '(.*)'", path.read_text(), flags=re.MULTILINE)]
    required = re.findall(r"^(\w+) = %gin.REQUIRED", "\n".join(f.read_text() for f in [path, *included]),
                          flags=re.MULTILINE)
    if required:
        with pytest.raises(GlimpseError,
                           match=f"{path.name}: needs {required[0]}: give --gin_param='{required[0]}=...'"):
            with config.configuration(path):
                pass
    with config.configuration(path, [f"{name} = 'somewhere'" for name in required]) as text:
        assert "Experiment.detector" in text
        assert {"NUM_GLIMPSES", "POOLED_SIZE", "POLICY", "SEED", "TRAIN_STEPS"} <= set(config.macros())


@pytest.mark.parametrize("path", sorted(gin_files.CONFIGS.rglob("*.gin")), ids=lambda path: path.name)
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


def test_a_binding_of_a_scope_is_used_in_that_scope(tiny):
    """Experiment is in no scope, and of the two optimizers one is."""
    bindings = ["ESTIMATOR = @reinforce()", "POLICY_OPTIMIZER = @policy/keras.optimizers.Adam()"]
    with config.configuration(FILE, [*tiny, *bindings, "policy/Experiment.seed = 3", "policy/Adam.epsilon = 1e-3"]):
        Experiment()
        assert config.unused_bindings() == ["policy/Experiment.seed"]


def said_of(path, params=(), root="Experiment"):
    with pytest.raises(GlimpseError) as error:
        with config.configuration(path, params, root):
            pass
    assert "\n" not in str(error.value)
    return str(error.value)


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def test_a_misspelt_macro_in_a_file_of_ones_own_is_refused(tmp_path):
    path = write(tmp_path / "mine.gin", "include 'experiments/digits.gin'\n# three glimpses\nNUM_GLIMPS = 3\n")
    said = said_of(path)
    assert f"{path}, line 3: nothing uses the macro 'NUM_GLIMPS'; there are NUM_GLIMPSES, " in said
    assert "TRAIN_STEPS" in said and "gin.REQUIRED" not in said
    write(path, "include 'experiments/digits.gin'\nSEED = %SEDE\n")
    assert f"{path}, line 2: %SEDE has no value; write SEDE = ..., or one of SEED, " in said_of(path)
    write(path, "include 'experiments/digits.gin'\nSTEPS = %TRAIN_STEPS\nTRAIN_STEPS = %STEPS\n")
    assert "is made of itself" in said_of(path)


DIGITS = "include 'experiments/digits.gin'\n"


@pytest.mark.parametrize("text, message", [
    (DIGITS + "SEED = 3\nSEED = 4\n", "line 2: SEED = 3 is lost, for .*mine.gin, line 3 sets it to 4; keep one of"),
    (DIGITS + "Adam.epsilon = 1e-3\nkeras.optimizers.Adam.epsilon = 1e-4\n", "Adam.epsilon = 0.001 is lost"),
    ("SEED = 3\n" + DIGITS, "SEED = 3 is lost, for .*from_nothing.gin, line .* it to 0; write it after the include"),
    (DIGITS + "SEED = 3\ninclude 'base.gin'\n", "line 2: SEED = 3 is lost, for .*base.gin, line 1 sets it to 5"),
    (DIGITS + "include 'base.gin'\nSEED = 3\ninclude 'more.gin'\n", "line 3: SEED = 3 is lost, for .*base.gin, line 1"),
])
def test_a_value_that_a_later_line_takes_back_is_refused(tmp_path, text, message):
    write(tmp_path / "base.gin", "SEED = 5\n")
    write(tmp_path / "more.gin", "include 'base.gin'\n")
    assert re.search(message, said_of(write(tmp_path / "mine.gin", text)))


def test_a_file_may_set_again_what_it_includes(tmp_path):
    write(tmp_path / "base.gin", DIGITS + "SEED = 5\nTRAIN_STEPS = 7\n")
    path = write(tmp_path / "mine.gin", "include 'base.gin'\nSEED = 3\nTRAIN_STEPS = 7\nTRAIN_STEPS = 7\n")
    with config.configuration(path, ["SEED = 2", "SEED = 1"]):
        assert config.macros()["SEED"] == 1


@pytest.mark.parametrize("name, value, macro", [
    ("Experiment.seed", "5", "SEED"), ("Experiment.train_steps", "5", "TRAIN_STEPS"),
    ("GlimpseDetector.num_glimpses", "5", "NUM_GLIMPSES"), ("Trainer.estimator", "@reinforce()", "ESTIMATOR")])
def test_a_binding_that_leaves_a_macro_without_effect_is_refused(tmp_path, name, value, macro):
    """Results and tables tell the macros of a run: SEED = 0 would be untrue."""
    told = f"{name} = {value} leaves the macro {macro} without effect; write {macro} = {value}"
    assert told in said_of(FILE, [f"{name} = {value}"])
    assert told in said_of(write(tmp_path / "mine.gin", f"{DIGITS}{name} = {value}\n"))
    with config.configuration(FILE, [f"{name} = %{macro}", "Adam.epsilon = 1e-3"]):  # both are as good as before
        pass


def test_a_macro_of_a_macro_has_its_value(tmp_path):
    path = write(tmp_path / "mine.gin", "include 'experiments/digits.gin'\nSTEPS = 3\nTRAIN_STEPS = %STEPS\n")
    with config.configuration(path):
        assert config.macros()["TRAIN_STEPS"] == 3 and config.setting("Experiment.train_steps") == 3
        assert config.macros()["POLICY"] == "@refine()" and config.setting("Experiment.batch_size") == 8
        assert config.setting("Experiment.log_every") is None


def test_what_a_file_includes_is_looked_for_beside_it_then_here_then_among_the_shipped_ones(tmp_path, monkeypatch):
    write(tmp_path / "mine" / "parts" / "base.gin", "include 'experiments/digits.gin'\ninclude 'more.gin'\nSEED = 5\n")
    write(tmp_path / "mine" / "parts" / "more.gin", "NUM_GLIMPSES = 4\n")
    write(tmp_path / "mine" / "mine.gin", "include 'parts/base.gin'\n")
    write(tmp_path / "here" / "data" / "digits.gin", "a file that only a shipped one could mean\n")
    monkeypatch.chdir(tmp_path / "here")
    with config.configuration("../mine/mine.gin"):
        assert config.macros()["SEED"] == 5
    write(tmp_path / "mine" / "mine.gin", "\ninclude 'bas.gin'\n")
    said = said_of("../mine/mine.gin")
    assert "mine.gin, line 2: includes 'bas.gin', which is neither beside it nor here nor below" in said
    write(tmp_path / "mine" / "mine.gin", "include 'mine.gin'\n")
    assert "includes itself" in said_of("../mine/mine.gin")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_gin_file_is_utf8_with_or_without_a_byte_order_mark(tmp_path, encoding):
    path = write(tmp_path / "mine.gin", f"STEPS = 3\n{DIGITS}TRAIN_STEPS = %STEPS\nREWARD = 'größe'\n", encoding)
    with config.configuration(path):
        assert config.macros()["REWARD"] == "größe" and config.macros()["TRAIN_STEPS"] == 3
    write(path, "# größe\n", "latin-1")
    assert "it must be a text in UTF-8" in said_of(path)


@pytest.mark.parametrize("binding, message", [
    ("POLICY=learned", "a text needs quotes, POLICY='learned'; a part is written @learned()"),
    ("Experiment.feature_cache=/tmp/x", "needs quotes of its own, Experiment.feature_cache='/tmp/x'"),
    ("Experiment.feature_cache=my data/x", "needs quotes of its own, Experiment.feature_cache='my data/x'"),
    ("SEED = [1", "cannot read 'SEED = [1'"),
    ("SEED = 1\nTRAIN_STEPS = 2", "is not one binding"),
    ("POLICY = @lerned()", "There are learned, "),
    ("GlimpsDetector.units = 3", "There are GlimpseDetector, "),
    ("GlimpseDetector.num_glimpse = 3", "It has num_glimpses, "),
    ("learned.deviaton = 3", "It has deviation, "),
    ("Adam.learning_rat = 3", "It has learning_rate, "),
    ("SEED = %SEDE", "%SEDE has no value"),
])
def test_a_slip_is_told_with_what_there_is_and_what_to_write(binding, message):
    assert message in said_of(FILE, [binding])


def test_a_slip_in_a_file_is_told_with_its_line(tmp_path):
    path = write(tmp_path / "mine.gin", "include 'experiments/digits.gin'\nPOLICY = learned\n")
    assert f"{path}, line 2: cannot read 'POLICY = learned': a text needs quotes" in said_of(path)
    write(path, "include 'experiments/digits.gin'\n\nWindowGrid.sizes = (20,\n  30\n")
    assert f"{path}, line 3: cannot read 'WindowGrid.sizes = (20,'" in said_of(path)
    write(path, "import modul_of_nobody\ninclude 'experiments/digits.gin'\n")
    assert "No module named 'modul_of_nobody'" in said_of(path) and "beside the gin file" in said_of(path)


def test_a_study_is_no_experiment_and_an_experiment_no_study(tmp_path):
    assert "is a study; experiments.sweep runs it" in said_of("studies/glimpse_count_quick.gin")
    assert "is an experiment; experiments.train runs it" in said_of(FILE, root="study")
    path = write(tmp_path / "study.gin", "study.experiment = 'x.gin'\nstudy.grids = []\nExperiment.batch_size = 3\n")
    assert "study.gin, line 3: Experiment.batch_size has no effect on the runs of a study; write" in said_of(
        path, root="study")
    assert "sets nothing of Experiment; include a file that does" in said_of(write(tmp_path / "x.gin", "# empty\n"))


def test_settings_are_compared_by_what_they_come_to():
    text = ("import glimpse.training.experiment\nA = 3\nB = [%A, @learned()]\nExperiment.x = %B\n"
            "policy/Y.z = {'a': %A}\nC = 4\n")
    assert repr(gin_files.settings(text)) == "{'Experiment.x': [3, @learned()], 'policy/Y.z': {'a': 3}, 'C': 4}"
    assert gin_files.imports(text) == ["glimpse.training.experiment"]


def test_what_has_no_value_is_named(tmp_path):
    path = write(tmp_path / "mine.gin", "import glimpse.training.experiment\nExperiment.seed = 0\n")
    with pytest.raises(GlimpseError, match="gives no value to Experiment.train_steps, Experiment.data, .*; write NAME"):
        with config.configuration(path):
            Experiment()
    path = write(path, "import glimpse.data.coco\ninclude 'experiments/digits.gin'\nExperiment.data = @COCO\n")
    with pytest.raises(GlimpseError, match="gives no value to COCO"):
        with config.configuration(path):
            Experiment()


@pytest.mark.parametrize("binding, cure", [
    ("Experiment.data = @DigitScenes()", "perhaps () is too much: Experiment.data = @DigitScenes"),
    ("FUSION = @max()", "perhaps () is too much: FUSION = @max")])
def test_a_part_that_its_user_is_to_build(tiny, binding, cure):
    with pytest.raises(GlimpseError, match=re.escape(cure)):
        with config.configuration(FILE, [*tiny, binding]):
            Experiment()


def test_libraries_of_another_environment_are_no_modules_of_ones_own(tmp_path, monkeypatch):
    """As those of the user, or of an environment that a .pth file names."""
    write(tmp_path / "lib" / "site-packages" / "library_elsewhere.py",
          "import gin\n\n\n@gin.register\ndef broken_library():\n    return 'a' + 1\n")
    monkeypatch.syspath_prepend(tmp_path / "lib" / "site-packages")
    path = write(tmp_path / "mine.gin", f"import library_elsewhere\n{DIGITS}POLICY = @broken_library()\n")
    with pytest.raises(GlimpseError, match="broken_library cannot be made: can only concatenate str"):
        with config.configuration(path):
            Experiment()


def test_a_fault_in_a_module_of_the_users_own_keeps_its_traceback(tmp_path):
    write(tmp_path / "broken_part_of_ones_own.py",
          "import gin\n\n\n@gin.register\ndef broken_part():\n    return 'a' + 1\n")
    path = write(tmp_path / "mine.gin", "import broken_part_of_ones_own\ninclude 'experiments/digits.gin'\n"
                                        "POLICY = @broken_part()\n")
    with pytest.raises(TypeError, match="can only concatenate str"):
        with config.configuration(path):
            Experiment()


@pytest.mark.parametrize("name", ["random", "keras", "sys"])
def test_a_module_of_ones_own_that_another_one_hides_is_named(tmp_path, name):
    write(tmp_path / f"{name}.py", "")
    said = said_of(write(tmp_path / "mine.gin", f"import {name}\ninclude 'experiments/digits.gin'\n"))
    assert f"mine.gin, line 1: imports '{name}', which is " in said and f"{name}.py; rename the latter" in said


@pytest.mark.parametrize("names", [
    ["cost_$5$", "a|b", "it's", 'say "x"', "a\nb", "%SEED", "@learned()", "#1", "\\", "猫", "{split}", "=", ""],
    ["a name of many words, long enough to be broken by who prints it " * 3, "x" * 300]])
def test_names_of_any_characters_come_back_from_the_text_of_a_configuration(names):
    text_of_binding = f"VOC.classes = {names!r}"
    with config.configuration("experiments/photos.gin", ["DATA_ROOT = 'x'", text_of_binding]) as text:
        assert gin.query_parameter("VOC.classes") == names
    assert gin_files.settings(text)["VOC.classes"] == names
    gin.parse_config(text)
    assert gin.query_parameter("VOC.classes") == names
    gin.clear_config()
