import json

import pytest

from experiments import sweep
from glimpse import config
from glimpse.errors import GlimpseError
from glimpse.studies.plan import study


def write_study(tmp_path, tiny, grids):
    bindings = dict(binding.split(" = ", 1) for binding in tiny)
    lines = ", ".join(f"{key!r}: {value}" for key, value in bindings.items())
    path = tmp_path / "tiny.gin"
    path.write_text(f"study.experiment = 'experiments/digits.gin'\nstudy.bindings = {{{lines}}}\nstudy.grids = {grids!r}\n")
    return path


@pytest.mark.parametrize("path", sorted(config.CONFIGS.glob("studies/*.gin")), ids=lambda path: path.name)
def test_every_shipped_study_can_be_planned(path, tmp_path, capsys):
    given = ["--gin_param=DATA_ROOT='photos'"] if path.name.startswith("photos") else []
    sweep.main([f"--gin_file={path}", f"--workdir={tmp_path / 'study'}", "--only_print", *given])
    assert not (tmp_path / "study").exists()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == str(len(lines) - 1)
    assert all(line.split()[0] == "waiting" and "SEED=" in line.split()[1] for line in lines[1:])


def test_grids_are_products_and_their_union():
    grids = [{"NUM_GLIMPSES": [1], "SEED": [0, 1]}, {"POOLED_SIZE": [(3, 7)], "POLICY": ["@fixed()"]}]
    runs = study(experiment="x.gin", grids=grids, bindings={"TRAIN_STEPS": 5})
    assert runs == {
        "NUM_GLIMPSES=1,SEED=0": ("x.gin", ["TRAIN_STEPS=5", "NUM_GLIMPSES=1", "SEED=0"]),
        "NUM_GLIMPSES=1,SEED=1": ("x.gin", ["TRAIN_STEPS=5", "NUM_GLIMPSES=1", "SEED=1"]),
        "POOLED_SIZE=3x7,POLICY=fixed": ("x.gin", ["TRAIN_STEPS=5", "POOLED_SIZE=(3, 7)", "POLICY=@fixed()"]),
    }
    with pytest.raises(GlimpseError, match="SEED must be a list of values, got 3"):
        study(experiment="x.gin", grids=[{"SEED": 3}])


def test_a_study_runs_reports_its_failure_and_goes_on(tmp_path, tiny, capsys):
    """Two good runs and one that its constructor refuses; then the same command again."""
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1, 2], "SEED": [0]}, {"NUM_GLIMPSES": [0], "SEED": [0]}])
    workdir = tmp_path / "study"
    for attempt in range(2):
        with pytest.raises(SystemExit) as stop:
            sweep.main([f"--gin_file={file}", f"--workdir={workdir}", "--jobs=2"])
        assert stop.value.code == 1
        out = capsys.readouterr().out
        assert ("done NUM_GLIMPSES=2,SEED=0: mAP" in out) == (attempt == 0)
        assert f"3 runs in {workdir}, {2 * attempt} of them finished" in out
        assert "FAILED NUM_GLIMPSES=0,SEED=0, exit status 2: error:" in out and "got 0" in out
        assert f"report: {workdir / 'report.md'}" in out and "1 of 3 runs failed: NUM_GLIMPSES=0,SEED=0" in out
    report = (workdir / "report.md").read_text()
    assert "missing: 1" in report and "map_over_glimpses.png" in report
    results = json.loads((workdir / "NUM_GLIMPSES=2,SEED=0" / "results.json").read_text())
    assert results["configuration"]["NUM_GLIMPSES"] == 2


def test_a_study_on_validation_images_alone_is_reported(tmp_path, tiny, capsys):
    file = write_study(tmp_path, [*tiny, "Experiment.evaluation_splits = ('validation',)"], [{"NUM_GLIMPSES": [1], "SEED": [0]}])
    sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", "--split=validation"])
    assert f"report: {tmp_path / 'study' / 'report.md'}" in capsys.readouterr().out
    assert "## Results on the validation split" in (tmp_path / "study" / "report.md").read_text()


def test_finished_runs_of_another_configuration_are_not_mixed_in(tmp_path, tiny, capsys):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0]}])
    finished = tmp_path / "study" / "NUM_GLIMPSES=1,SEED=0"
    finished.mkdir(parents=True)
    (finished / "config.gin").write_text("TRAIN_STEPS = 7\n")
    (finished / "results.json").write_text("{}")
    with pytest.raises(SystemExit) as stop:
        sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}"])
    assert stop.value.code == 2
    assert "holds a run of another configuration" in capsys.readouterr().err
    assert (finished / "results.json").read_text() == "{}"


def test_faults_show_before_anything_runs(tmp_path, tiny, capsys):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSE": [1]}])
    with pytest.raises(SystemExit) as stop:
        sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}"])
    assert stop.value.code == 2 and "no macro 'NUM_GLIMPSE'" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
