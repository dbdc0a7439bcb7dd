import json

import pytest

from glimpse.errors import GlimpseError
from glimpse.training import run

CONFIGURATION = "NUM_GLIMPSES = 2\n"


def files(directory):
    return {path.name: path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_a_new_run_and_one_that_goes_on(tmp_path):
    workdir = run.prepare(tmp_path / "runs" / "x", CONFIGURATION)
    assert (workdir / run.CONFIG).read_text() == CONFIGURATION
    (workdir / run.METRICS).write_text('{"step": 1}\n')
    run.prepare(workdir, CONFIGURATION)
    assert run.read_metrics(workdir) == [{"step": 1}]


@pytest.mark.parametrize("present, message", [
    ({"thesis.tex": "years of work"}, "is not empty and holds no run"),
    ({run.CONFIG: "NUM_GLIMPSES = 3\n"}, "holds a run of another configuration"),
    ({run.CONFIG: CONFIGURATION, run.RESULTS: "{}"}, "holds a finished run"),
])
def test_what_stands_there_is_not_touched(tmp_path, present, message):
    for name, text in present.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(GlimpseError, match=message):
        run.prepare(tmp_path, CONFIGURATION)
    assert files(tmp_path) == present


def test_overwrite_replaces_a_run_but_nothing_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(GlimpseError, match="holds no run"):
        run.prepare(tmp_path, CONFIGURATION, overwrite=True)
    (tmp_path / "thesis.tex").unlink()
    for name in (run.CONFIG, run.RESULTS):
        (tmp_path / name).write_text("old")
    run.prepare(tmp_path, CONFIGURATION, overwrite=True)
    assert files(tmp_path) == {run.CONFIG: CONFIGURATION}


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(GlimpseError, match="is a file; name a directory"):
        run.prepare(tmp_path / "x", CONFIGURATION)


def test_a_log_line_cut_short_is_left_out(tmp_path):
    (tmp_path / run.METRICS).write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert run.read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    assert run.read_metrics(tmp_path / "none") == []


def test_the_log_by_columns(tmp_path):
    lines = [{"step": 12345678, "loss": 1.23456789, "reward": 2 / 3e7, "glimpse_2/gain": 0.1},
             {"step": 12345679, "loss": 2.0, "reward": -1e-9, "glimpse_2/gain": 1 / 3}]
    (tmp_path / run.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run.log_by_columns(tmp_path) == {
        "step": [12345678, 12345679], "loss": [1.23457, 2.0], "reward": [6.66667e-08, -1e-09]}
    assert run.last_diagnostics(tmp_path) == {"glimpse_2/gain": 0.333333}
    assert run.log_by_columns(tmp_path / "none") == run.last_diagnostics(tmp_path / "none") == {}


@pytest.mark.parametrize("text", [
    "", "[]", "3", "{}", '{"class_names": 3}',
    '{"class_names": ["a"], "category_ids": [1], "image_shape": ["x", 1, 1]}',
    '{"class_names": ["a"], "category_ids": [1], "image_shape": [8, 8]}',
    '{"class_names": [], "category_ids": [], "image_shape": [8, 8, 1]}',
    '{"class_names": ["a", "b"], "category_ids": [1], "image_shape": [8, 8, 1]}'])
def test_what_a_run_was_trained_on_has_its_shape(tmp_path, text):
    value = run.TrainedOn(("a", "größe"), (1, "x"), (8, 8, 1))
    run.write_trained_on(tmp_path, value)
    assert run.read_trained_on(tmp_path) == value
    (tmp_path / run.DATA).write_text(text)
    with pytest.raises(GlimpseError, match="data.json cannot be read"):
        run.read_trained_on(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"metrics": 3}'])
def test_results_have_their_shape(tmp_path, text):
    assert run.read_results(tmp_path) == {}
    (tmp_path / run.RESULTS).write_text(text)
    with pytest.raises(GlimpseError, match="results.json cannot be read"):
        run.read_results(tmp_path)


def test_what_is_evaluated_makes_no_other_training():
    text = "Experiment.train_steps = %STEPS\nSTEPS = 3\nX.sizes = {'train': 1, 'test': 2}\n"
    for other in (text + "Experiment.coco_ap = True\nExperiment.evaluation_splits = ('test',)\n",
                  text.replace("'test': 2", "'test': 3, 'validation': 4"), text.replace("STEPS", "ST"),
                  text + "import glimpse.data.voc\n"):
        assert run.same_training(text, other)
    for other in (text + "SEED = 1\n", text.replace("= 3", "= 4"), text.replace("'train': 1", "'train': 2"),
                  text + "import mine\n", text + "Experiment.batch_size = 1\n"):
        assert not run.same_training(text, other)
