import pandas as pd
import pytest

from glimpse.studies.runs import axes_of, is_ordered, read_study

MAP = "voc10_map@0.50"


def test_a_row_a_finished_run(tmp_path, write_run):
    write_run(tmp_path, "NUM_GLIMPSES=3,POLICY=fixed,SEED=0", 0.5)
    write_run(tmp_path, "NUM_GLIMPSES=1,SEED=0", 0.4)
    (tmp_path / "NUM_GLIMPSES=3,POLICY=fixed,SEED=1").mkdir()  # unfinished
    (tmp_path / "report.md").write_text("")
    runs = read_study(tmp_path)
    assert list(runs.index) == ["NUM_GLIMPSES=1,SEED=0", "NUM_GLIMPSES=3,POLICY=fixed,SEED=0"]
    assert axes_of(runs) == ["NUM_GLIMPSES", "POLICY", "SEED"]
    assert runs["NUM_GLIMPSES"].tolist() == [1, 3]
    assert pd.isna(runs["POLICY"].iloc[0]) and runs["POLICY"].iloc[1] == "fixed"
    assert runs[f"test/{MAP}"].tolist() == [0.4, 0.5]
    assert runs[f"validation/{MAP}"].tolist() == [0.2, 0.25]
    assert runs["proposal_recall/test@0.5"].tolist() == [0.9, 0.9]
    assert runs["versions/keras"].tolist() == ["3.12.0"] * 2


def test_axes_are_numbers_only_where_all_values_are(tmp_path, write_study):
    runs = write_study(
        tmp_path, {"SIZE=7,RATE=0.5,NAME=a,b,SEED=0": 0.1, "SIZE=full,RATE=1e-3,NAME=7=x,SEED=10": 0.2, "SEED=2": 0.3}
    )
    assert runs["SEED"].tolist() == [2, 0, 10]  # the axes sort before the seeds, what is missing first
    assert runs["SIZE"].dropna().tolist() == ["7", "full"]
    assert runs["RATE"].dropna().tolist() == [0.5, 0.001]
    assert runs["NAME"].dropna().tolist() == ["a,b", "7=x"]


def test_sizes_are_in_the_order_of_their_number_of_cells(tmp_path, write_study):
    sizes = ["1", "11", "3", "5", "7x3", "3x7", "2x15"]  # 1, 121, 9, 25, 21, 21 and 30 cells
    runs = write_study(tmp_path, {f"POOLED_SIZE={size},SEED=0": 0.1 for size in sizes})
    assert runs["POOLED_SIZE"].tolist() == ["1", "3", "3x7", "7x3", "5", "2x15", "11"]
    squares = write_study(tmp_path / "squares", {f"POOLED_SIZE={size},SEED=0": 0.1 for size in (11, 3)})
    assert squares["POOLED_SIZE"].tolist() == [3, 11]
    others = write_study(tmp_path / "others", {f"POOLED_SIZE={size},SEED=0": 0.1 for size in ("3x7", "full")})
    assert [is_ordered(study["POOLED_SIZE"]) for study in (runs, squares, others)] == [True, True, False]


def test_the_log_is_read_and_may_be_missing(tmp_path, write_run):
    log = {"step": [25, 50], "class_loss": [2.0, 1.5]}
    write_run(tmp_path, "SEED=0", 0.1, log=log)
    write_run(tmp_path, "SEED=1", 0.1)
    logs = read_study(tmp_path)["log"]
    assert logs["SEED=0"] == log and logs["SEED=1"] is None


def test_the_seed_comes_from_the_configuration_where_it_is_no_axis(tmp_path, write_study):
    assert write_study(tmp_path, {"POOLED_SIZE=3": 0.1})["SEED"].tolist() == [7]


def test_roles_are_told_by_the_results_or_else_known_by_name(tmp_path, write_run):
    write_run(tmp_path, "NUM_GLIMPSES=1,SEED=0", 0.1)
    for policy in ("learned", "candidates", "fixed", "random", "repeat", "mine"):
        write_run(tmp_path, f"NUM_GLIMPSES=2,POLICY={policy},SEED=0", 0.1)
    write_run(tmp_path, "NUM_GLIMPSES=3,POLICY=mine,SEED=0", 0.1, policy_role="rival")
    write_run(tmp_path, "NUM_GLIMPSES=3,POLICY=learned,SEED=0", 0.1, policy_role="ceiling")
    write_run(tmp_path, "NUM_GLIMPSES=1,POLICY=none,SEED=0", 0.1, policy_role=None)
    write_run(tmp_path, "NUM_GLIMPSES=1,POLICY=unused,SEED=0", 0.1, policy_role="learns")
    # Without the axis, the configuration tells.
    write_run(tmp_path, "NUM_GLIMPSES=4,SEED=0", 0.1, configuration={"POLICY": "@random()"})
    roles = read_study(tmp_path)["role"]
    assert roles.loc["NUM_GLIMPSES=4,SEED=0"] == "control"
    assert roles[roles.index.str.startswith("NUM_GLIMPSES=1")].isna().all()
    found = {name.split(",")[1]: role for name, role in roles.items() if name.startswith("NUM_GLIMPSES=2")}
    assert {name.split("=")[1]: role for name, role in found.items() if not pd.isna(role)} == {
        "learned": "learns", "candidates": "learns", "fixed": "control", "random": "control", "repeat": "control"}
    assert roles["NUM_GLIMPSES=3,POLICY=mine,SEED=0"] == "rival"
    assert roles["NUM_GLIMPSES=3,POLICY=learned,SEED=0"] == "ceiling"


def test_errors_by_kind_and_undefined_metrics_are_columns(tmp_path, write_run):
    errors = {"test": {"missed": {"count": 3, "ap_gained": 0.25}}, "validation": {}}
    write_run(tmp_path, "SEED=0", 0.1, errors=errors, metrics={"validation": {MAP: 0.1}, "test": {}})
    runs = read_study(tmp_path)
    assert runs["errors/test/missed/count"].tolist() == [3] and runs["errors/test/missed/ap_gained"].tolist() == [0.25]
    assert runs["test/voc10_map@0.50:0.95"].isna().all() and "validation/voc10_map@0.50:0.95" not in runs


@pytest.mark.parametrize(
    "files, message",
    [
        (None, "is no directory; give the directory of a study"),
        ({}, "holds no finished run .* run the study first"),
        ({"SEED=0/results.json": "{"}, "SEED=0/results.json cannot be read .* run it again"),
        ({"SEED=0/results.json": "[1]"}, "results.json .*its content must be an object"),
        ({"SEED=0/results.json": '{"metrics": {"loss": 1.0}}'}, "metrics.loss must be an object with fields"),
        ({"SEED=0/results.json": "{}"}, "results.json .*it has no metrics"),
        ({"SEED=0/results.json": '{"metrics": {}, "log": {"step": [1], "a": []}}'}, "json .*log must be a table"),
        ({"SEED=0/results.json": '{"metrics": {}, "log": {"reward": [1]}}'}, "results.json .*log must be a table"),
        ({"SEED=0/results.json": '{"metrics": {}, "log": {"step": 1}}'}, "results.json .*log must be a table"),
        ({"SEED=0/results.json": '{"metrics": {}, "log": 1}'}, "results.json .*log must be a table"),
        ({"SEED=0/results.json": '{"metrics": {}, "policy_role": "boss"}'}, "has the policy_role 'boss'"),
        ({"photos/results.json": '{"metrics": {}}'}, "photos is not named by axes"),
        ({f"{name}/results.json": '{"metrics": {}}' for name in ("X=1,SEED=0", "X=1.0,SEED=0")}, "same axes"),
    ],
)
def test_what_is_no_study_is_named_in_one_line(tmp_path, files, message):
    study = tmp_path / "study"
    for name, content in (files or {}).items():
        (study / name).parent.mkdir(parents=True)
        (study / name).write_text(content)
    if files is not None:
        study.mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=message) as error:
        read_study(study)
    assert "\n" not in str(error.value) and str(study) in str(error.value)


@pytest.mark.parametrize("part, place", [
    ({"metrics": {"test": {MAP: 1e308}}}, "metrics.test.voc10_map@0.50 must be a number from -1 to 1, not 1e.308"),
    ({"metrics": {"test": {MAP: float("nan")}}}, "NaN is no number"),
    ({"metrics": {"test": {MAP: True}}}, "must be a number from -1 to 1, not True"),
    ({"seconds": {"train": -1}}, "seconds.train must be a number from 0 on"),
    ({"seconds": [1]}, "seconds must be an object"),
    ({"policy": {"test": {"glimpse 2": {"mean": 0.1}}}}, "policy.test.glimpse 2.mean must be an object"),
    ({"errors": {"test": {"missed": {"count": "3"}}}}, "errors.test.missed.count must be a number from 0 on, not '3'"),
    ({"parameters": "many"}, "parameters must be a number from 0 on, or null"),
    ({"configuration": 3}, "configuration must be an object"),
    ({"log": {"step": [1], "loss": [1e308]}}, "log must be a table"),
    ({"versions": {"keras": 3}}, "versions.keras must be a text"),
    ({"proposal_recall": {"test@0.5": 2}}, "must be a number from 0 to 1, not 2"),
    ({"machine": {"cores": {}}}, "machine.cores must be a text, a number or a list of texts"),
])
def test_results_of_another_shape_and_absurd_numbers_are_named(tmp_path, write_run, part, place):
    write_run(tmp_path, "SEED=0", 0.1, **part)
    with pytest.raises(ValueError, match=f"SEED=0/results.json cannot .*{place}.*; remove the run and") as error:
        read_study(tmp_path)
    assert "\n" not in str(error.value)
