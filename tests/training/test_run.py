import pytest

from glimpse.errors import GlimpseError
from glimpse.files import temporary_name
from glimpse.training import run
from glimpse.training.lock import LOCK
from glimpse.training.metrics_log import METRICS, read_metrics

CONFIGURATION = "NUM_GLIMPSES = 2\n"


def files(directory):
    return {path.name: path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_a_new_run_and_one_that_goes_on(tmp_path):
    workdir = run.prepare(tmp_path / "runs" / "x", CONFIGURATION)
    assert (workdir / run.CONFIG).read_text() == CONFIGURATION
    (workdir / METRICS).write_text('{"step": 1}\n')
    run.prepare(workdir, CONFIGURATION)
    assert read_metrics(workdir) == [{"step": 1}]


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


def test_a_process_killed_before_it_could_write_the_configuration_leaves_a_usable_directory(tmp_path):
    temporary_name(tmp_path / run.CONFIG).write_text("NUM_GL")
    (tmp_path / LOCK).write_text("")
    run.prepare(tmp_path, CONFIGURATION)
    assert files(tmp_path) == {run.CONFIG: CONFIGURATION, LOCK: ""}


def test_an_overwriting_that_was_killed_leaves_a_run(tmp_path, monkeypatch):
    for name in (run.CONFIG, METRICS, run.RESULTS):
        (tmp_path / name).write_text("old")
    removed = []

    def discard(path):
        removed.append(path.name)
        if len(removed) == 2:
            raise KeyboardInterrupt
        path.unlink()

    monkeypatch.setattr(run, "discard", discard)
    with pytest.raises(KeyboardInterrupt):
        run.prepare(tmp_path, CONFIGURATION, overwrite=True)
    monkeypatch.undo()
    assert (tmp_path / run.CONFIG).read_text() == "old"
    run.prepare(tmp_path, CONFIGURATION, overwrite=True)
    assert files(tmp_path) == {run.CONFIG: CONFIGURATION}


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(GlimpseError, match="is a file; name a directory"):
        run.prepare(tmp_path / "x", CONFIGURATION)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"metrics": 3}'])
def test_results_have_their_shape(tmp_path, text):
    assert run.read_results(tmp_path) == {}
    (tmp_path / run.RESULTS).write_text(text)
    with pytest.raises(GlimpseError, match="results.json cannot be read"):
        run.read_results(tmp_path)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"NUM_GLIMPSES = ", b"x = [1,\n", b"a\0b"])
def test_a_garbled_configuration_is_named(tmp_path, text):
    (tmp_path / run.CONFIG).write_bytes(text)
    with pytest.raises(GlimpseError, match=f"{tmp_path}/config.gin cannot be read .*; name another directory") as error:
        run.prepare(tmp_path, CONFIGURATION)
    assert str(error.value).isprintable() and (tmp_path / run.CONFIG).read_bytes() == text


def test_what_is_evaluated_makes_no_other_training():
    text = "Experiment.train_steps = %STEPS\nSTEPS = 3\nX.sizes = {'train': 1, 'test': 2}\n"
    for other in (text + "Experiment.coco_ap = True\nExperiment.evaluation_splits = ('test',)\n",
                  text.replace("'test': 2", "'test': 3, 'validation': 4"), text.replace("STEPS", "ST"),
                  text + "import glimpse.data.voc\n"):
        assert run.same_training(text, other)
    for other in (text + "SEED = 1\n", text.replace("= 3", "= 4"), text.replace("'train': 1", "'train': 2"),
                  text + "import mine\n", text + "Experiment.batch_size = 1\n"):
        assert not run.same_training(text, other)
