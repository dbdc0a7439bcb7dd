import importlib.util
import json
import pathlib

import pytest

from experiments import sweep, train
from glimpse import config, gin_files
from glimpse.errors import GlimpseError
from glimpse.studies.plan import plan, runs_of, study
from glimpse.training import run


def write_study(tmp_path, tiny, grids):
    bindings = dict(binding.split(" = ", 1) for binding in tiny)
    lines = ", ".join(f"{key!r}: {value}" for key, value in bindings.items())
    path = tmp_path / "tiny.gin"
    path.write_text(
        f"study.experiment = 'experiments/digits.gin'\nstudy.bindings = {{{lines}}}\nstudy.grids = {grids!r}\n")
    return path


@pytest.mark.parametrize("path", sorted(gin_files.CONFIGS.glob("studies/*.gin")), ids=lambda path: path.name)
def test_every_shipped_study_can_be_planned(path, tmp_path, capsys):
    given = ["--gin_param=DATA_ROOT='photos'"] if "DATA_ROOT" in path.read_text() else []  # its command line
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
    with pytest.raises(GlimpseError, match=r"SEED lists a value twice, got \[0, 1, 0\]"):
        study(experiment="x.gin", grids=[{"SEED": [0, 1, 0]}])


def test_what_is_the_same_for_all_runs_is_no_axis():
    with pytest.raises(GlimpseError, match="study.bindings sets SEED, which study.grids sets for every run"):
        study(experiment="x.gin", grids=[{"SEED": [0]}, {"SEED": [1]}], bindings={"SEED": 3})
    runs = study(experiment="x.gin", grids=[{"SEED": [0]}, {"POLICY": ["@fixed()"]}], bindings={"SEED": 3})
    assert runs["POLICY=fixed"] == ("x.gin", ["SEED=3", "POLICY=@fixed()"])


@pytest.mark.parametrize("binding", ["Experiment.seed = 5", "GlimpseDetector.num_glimpses = 5"])
def test_what_would_override_an_axis_is_refused_before_anything_runs(tmp_path, tiny, binding, capsys):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1, 2], "SEED": [0]}])
    with pytest.raises(SystemExit):
        sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", f"--gin_param={binding}"])
    assert f"{binding} leaves the macro" in capsys.readouterr().err and not (tmp_path / "study").exists()


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


@pytest.mark.slow
def test_a_study_on_validation_images_alone_is_reported(tmp_path, tiny, capsys):
    bindings = [*tiny, "Experiment.evaluation_splits = ('validation',)"]
    file = write_study(tmp_path, bindings, [{"NUM_GLIMPSES": [1], "SEED": [0]}])
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


def test_a_split_that_is_not_evaluated_is_refused_before_anything_runs(tmp_path, tiny, capsys):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0]}])
    for only in ([], ["--gin_param=Experiment.evaluation_splits=('validation',)"]):
        with pytest.raises(SystemExit) as stop:
            sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", "--split=tset", *only])
        said = capsys.readouterr().err
        assert stop.value.code == 2 and said.count("\n") == 1 and not (tmp_path / "study").exists()
        assert "--split=tset is not among Experiment.evaluation_splits of NUM_GLIMPSES=1,SEED=0, ('validation'," in said


def planned(file, capsys, *more):
    """The lines of a plan: {name of the run: its experiment and bindings}."""
    sweep.main([f"--gin_file={file}", "--only_print", "--workdir=nowhere", *more])
    return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines()[1:])


def test_bindings_of_the_command_line_go_to_the_study_or_to_every_run(tmp_path, tiny, capsys):
    file = tmp_path / "mine.gin"
    file.write_text(
        "import glimpse.studies.plan\nimport experiments.sweep\nSEEDS = [0]\nstudy.experiment = 'base.gin'\n"
                    "study.bindings = {'TRAIN_STEPS': 5, 'Experiment.batch_size': 2}\n"
                    "study.grids = [{'NUM_GLIMPSES': [1], 'SEED': %SEEDS}]\n")
    (tmp_path / "base.gin").write_text("include 'experiments/digits.gin'\nSTEPS = 3\nTRAIN_STEPS = %STEPS\n")
    shown = planned(file, capsys, "--gin_param=Experiment.batch_size=4", "--gin_param=SEEDS=[1, 2]",
                   "--gin_param=POOLED_SIZE=3", "--gin_param=study.bindings={'TRAIN_STEPS': 7, 'REWARD': 'gain'}")
    base = tmp_path / "base.gin"
    assert shown == {f"waiting  NUM_GLIMPSES=1,SEED={seed}":
                    f"{base} TRAIN_STEPS=7 Experiment.batch_size=2 REWARD='gain' NUM_GLIMPSES=1 SEED={seed} "
                    "Experiment.batch_size=4 POOLED_SIZE=3" for seed in (1, 2)}
    for given in ("study.bindings={'SEED': %SEDES}", "study.bindings=[", "study.bindings=3"):
        with pytest.raises(SystemExit) as stop:
            planned(file, capsys, f"--gin_param={given}")
        said = capsys.readouterr().err
        assert stop.value.code == 2 and said.count("\n") == 1 and "study.bindings" in said


@pytest.mark.parametrize("line, message", [
    ("study.experiment = 3", "study.experiment must be a gin file"),
    ("study.bindings = 3", "study.bindings must be a dict"),
    ("study.grids = 3", "study.grids must be a list of dicts"),
    ("study.experiment = 'studies/policy.gin'", "is a study"),
    ("study.experiment = 'experiments/none.gin'", "no such file"),
    ("study.bindings = {'TRAIN_STEPS': 'many'}", "train_steps must be a whole number of at least 1, got 'many'"),
    ("study.grid = 3", "It has grids, "),
])
def test_a_faulty_study_is_one_line(tmp_path, tiny, capsys, line, message):
    file = write_study(tmp_path, tiny, [{"NUM_GLIMPSES": [1], "SEED": [0]}])
    others = [each for each in file.read_text().splitlines() if each.split(" =")[0] != line.split(" =")[0]]
    file.write_text("\n".join([*others, line, ""]))
    with pytest.raises(SystemExit) as stop:
        sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", "--only_print"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and message in said and said.count("\n") == 1


def test_a_run_that_is_evaluated_otherwise_is_waiting_and_its_training_stays(tmp_path, tiny):
    runs = {"SEED=0": ("experiments/digits.gin", [*tiny, "Experiment.evaluation_splits = ('validation',)"])}
    wider = {"SEED=0": ("experiments/digits.gin", tiny)}
    assert list(plan(tmp_path, runs)[0]) == ["SEED=0"] and plan(tmp_path, runs)[1] == {"SEED=0": 6}
    with config.configuration(*runs["SEED=0"]) as text:
        run.prepare(tmp_path / "SEED=0", text)
    (tmp_path / "SEED=0" / "results.json").write_text('{"metrics": {"validation": {}}}')
    assert plan(tmp_path, runs)[0] == {} and list(plan(tmp_path, wider)[0]) == ["SEED=0"]
    with pytest.raises(GlimpseError, match="another configuration"):
        plan(tmp_path, {"SEED=0": ("experiments/digits.gin", [*tiny, "TRAIN_STEPS = 7"])})


def test_a_value_of_any_text_makes_a_directory_of_its_own(tmp_path):
    runs = study(experiment="x.gin", grids=[{"DATA_ROOT": ["../../a", "/etc/b", "c\nd\0", "e" * 300, "e" * 301, "%"]}])
    assert len(runs) == 6
    for name in runs:
        assert (tmp_path / name).parent == tmp_path and name.isprintable() and len(name.encode()) <= 200
        (tmp_path / f"{name}.log").write_text("")


@pytest.mark.parametrize("name, study, given", [
    ("rivals", "rivals", []), ("pointing", "pointing", []), ("cascade", "cascade", []), ("budget", "budget", []),
    ("budget_photographs", "budget_photographs", ["DATA_ROOT='data/bccd'"]), ("learning_rate", "learning_rate", []),
    ("pointing_everywhere", "pointing_everywhere", []), ("deeppcb", "deeppcb", ["DATA_ROOT='data/deeppcb'"]),
    ("zoom", "zoom", ["DATA_ROOT='data/deeppcb'"]),
    ("bccd", "photographs", ["DATA_ROOT='data/bccd'", "study.experiment='experiments/bccd.gin'"]),
    ("cards", "photographs", ["DATA_ROOT='data/playing-cards'", "study.experiment='experiments/photos.gin'"]),
    ("aquarium", "photographs", ["DATA_ROOT='data/aquarium-640'"]),
    ("object_size", "object_size", ["DATA_ROOT='data/bccd'"]),
    ("enlarged", "enlarged", ["DATA_ROOT='data/aquarium-640'"])])
def test_committed_runs_are_what_the_shipped_study_would_run(name, study, given):
    directory = pathlib.Path(__file__).parents[2] / "docs" / "results" / name
    there = {path.name for path in directory.iterdir() if path.is_dir()}
    planned = {each: run for each, run in runs_of(f"studies/{study}.gin", given).items() if each in there}
    assert set(planned) == there and len(there) >= (3 if name == "pointing_everywhere" else 4)
    assert plan(directory, planned) == ({}, {})


@pytest.mark.slow
def test_all_runs_of_a_study_stand_in_one_directory_for_tensorboard(tmp_path, tiny, capsys):
    multiplexer = pytest.importorskip("tensorboard.backend.event_processing.event_multiplexer").EventMultiplexer()
    file = write_study(tmp_path, [*tiny, "Experiment.validate_every = 3"], [{"NUM_GLIMPSES": [1, 2], "SEED": [0]}])
    sweep.main([f"--gin_file={file}", f"--workdir={tmp_path / 'study'}", "--tensorboard"])
    assert f"tensorboard --logdir={tmp_path / 'study'}" in capsys.readouterr().out
    multiplexer.AddRunsFromDirectory(str(tmp_path / "study")).Reload()
    for count in (1, 2):
        run_name = f"NUM_GLIMPSES={count},SEED=0/tensorboard"
        steps = [event.step for event in multiplexer.Tensors(run_name, "training/validation_map")]
        assert steps == [3, 6]
        assert len(multiplexer.Tensors(run_name, "glimpses/object_1")) == 2


@pytest.mark.parametrize("program", [sweep, train])
def test_without_tensorboard_one_line_says_what_to_install(program, tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else find(
        name, *rest))
    with pytest.raises(SystemExit) as stop:
        program.main(["--gin_file=experiments/digits.gin", f"--workdir={tmp_path / 'x'}", "--tensorboard"])
    assert stop.value.code == 2 and not (tmp_path / "x").exists()
    assert "error: --tensorboard needs a package: python -m pip install -e '.[tensorboard]'" in capsys.readouterr().err
