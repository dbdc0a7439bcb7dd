import json
import math

import numpy as np
import pandas as pd
import pytest

from glimpse.evaluation.studies import axes_of, bootstrap_interval, read_study, summarise

MAP = "voc10_map@0.50"


def write_run(study, name, value, **more):
    """A finished run with one metric; `more` overrides parts of its results."""
    directory = study / name
    directory.mkdir(parents=True)
    results = {
        "configuration": {"SEED": 7},
        "metrics": {"validation": {MAP: value / 2}, "test": {MAP: value}},
        "proposal_recall": {"test@0.5": 0.9},
        "parameters": 100,
        "milliseconds_per_image": 2.0,
        "seconds": {"train": 1.5},
        "versions": {"keras": "3.12.0"},
        "machine": {"cores": 2},
    }
    (directory / "results.json").write_text(json.dumps(results | more))


def write_study(study, values):
    for name, value in values.items():
        write_run(study, name, value)
    return read_study(study)


def row(table, **axes):
    chosen = np.logical_and.reduce([(table[axis] == value).fillna(False) for axis, value in axes.items()])
    assert chosen.sum() == 1
    return table[chosen].iloc[0]


# --- reading ---------------------------------------------------------------------------------------------


def test_a_row_a_finished_run(tmp_path):
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


def test_axes_are_numbers_only_where_all_values_are(tmp_path):
    runs = write_study(
        tmp_path, {"SIZE=7,RATE=0.5,NAME=a,b,SEED=0": 0.1, "SIZE=full,RATE=1e-3,NAME=7=x,SEED=10": 0.2, "SEED=2": 0.3}
    )
    assert runs["SEED"].tolist() == [2, 0, 10]  # the axes sort before the seeds, what is missing first
    assert runs["SIZE"].dropna().tolist() == ["7", "full"]
    assert runs["RATE"].dropna().tolist() == [0.5, 0.001]
    assert runs["NAME"].dropna().tolist() == ["a,b", "7=x"]


def test_the_seed_comes_from_the_configuration_where_it_is_no_axis(tmp_path):
    assert write_study(tmp_path, {"POOLED_SIZE=3": 0.1})["SEED"].tolist() == [7]


@pytest.mark.parametrize(
    "files, message",
    [
        (None, "is no directory; give the directory of a study"),
        ({}, "holds no finished run .* run the study first"),
        ({"SEED=0/results.json": "{"}, "SEED=0/results.json cannot be read .* run it again"),
        ({"SEED=0/results.json": "[1]"}, "SEED=0/results.json has no metrics"),
        ({"SEED=0/results.json": '{"metrics": {"loss": 1.0}}'}, "SEED=0/results.json has no metrics"),
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


# --- tables ----------------------------------------------------------------------------------------------


def test_means_and_paired_differences_by_hand(tmp_path):
    runs = write_study(
        tmp_path,
        {
            "NUM_GLIMPSES=1,SEED=0": 0.10,
            "NUM_GLIMPSES=1,SEED=1": 0.50,
            "NUM_GLIMPSES=1,SEED=2": 0.30,
            "NUM_GLIMPSES=3,POLICY=fixed,SEED=0": 0.20,
            "NUM_GLIMPSES=3,POLICY=fixed,SEED=1": 0.63,
            "NUM_GLIMPSES=3,POLICY=fixed,SEED=2": 0.42,
            "NUM_GLIMPSES=3,POLICY=random,SEED=1": 0.40,
        },
    )
    table = summarise(runs, f"test/{MAP}")
    assert axes_of(table) == ["NUM_GLIMPSES", "POLICY"]

    one = row(table, NUM_GLIMPSES=1)
    assert (one["seeds"], one["pairs"], one["unpaired"]) == (3, 0, [])
    assert one["mean"] == pytest.approx(0.3)
    # Three values: one resample in 27 repeats the smallest thrice, so the 2.5 % quantile is the smallest.
    assert (one["low"], one["high"]) == pytest.approx((0.1, 0.5))
    assert math.isnan(one["difference"])

    fixed = row(table, POLICY="fixed")
    assert fixed["mean"] == pytest.approx(1.25 / 3)
    assert fixed["difference"] == pytest.approx((0.10 + 0.13 + 0.12) / 3)
    # Far narrower than the interval of the means: what the runs of a seed have in common cancels.
    assert (fixed["difference_low"], fixed["difference_high"]) == pytest.approx((0.10, 0.13))
    assert (fixed["milliseconds_per_image"], fixed["parameters"]) == (2.0, 100)

    random = row(table, POLICY="random")
    assert (random["seeds"], random["pairs"]) == (1, 1)
    assert random["difference"] == pytest.approx(-0.1)
    assert all(math.isnan(random[end]) for end in ("low", "high", "difference_low", "difference_high"))


def test_runs_without_a_pair_are_named(tmp_path):
    runs = write_study(
        tmp_path, {"NUM_GLIMPSES=1,SEED=0": 0.1, "NUM_GLIMPSES=2,SEED=0": 0.2, "NUM_GLIMPSES=2,SEED=1": 0.9}
    )
    two = row(summarise(runs, f"test/{MAP}"), NUM_GLIMPSES=2)
    assert (two["seeds"], two["pairs"], two["unpaired"]) == (2, 1, ["NUM_GLIMPSES=2,SEED=1"])
    assert two["mean"] == pytest.approx(0.55)
    assert two["difference"] == pytest.approx(0.1)


def test_pairs_agree_in_the_axes_that_runs_with_one_glimpse_have(tmp_path):
    runs = write_study(
        tmp_path,
        {
            "NUM_GLIMPSES=1,POOLED_SIZE=3,SEED=0": 0.1,
            "NUM_GLIMPSES=1,POOLED_SIZE=5,SEED=0": 0.2,
            "NUM_GLIMPSES=3,POLICY=fixed,POOLED_SIZE=3,SEED=0": 0.4,
            "NUM_GLIMPSES=3,POLICY=fixed,POOLED_SIZE=5,SEED=0": 0.7,
        },
    )
    table = summarise(runs, f"test/{MAP}")
    assert row(table, NUM_GLIMPSES=3, POOLED_SIZE=3)["difference"] == pytest.approx(0.3)
    assert row(table, NUM_GLIMPSES=3, POOLED_SIZE=5)["difference"] == pytest.approx(0.5)


def test_studies_without_glimpse_counts_have_no_differences(tmp_path):
    table = summarise(write_study(tmp_path, {"POOLED_SIZE=3,SEED=0": 0.1, "POOLED_SIZE=5,SEED=0": 0.2}), f"test/{MAP}")
    assert table["difference"].isna().all() and table["mean"].tolist() == [0.1, 0.2]


def test_a_study_of_seeds_alone_is_one_cell(tmp_path):
    table = summarise(write_study(tmp_path, {"SEED=0": 0.1, "SEED=1": 0.2}), f"test/{MAP}")
    assert len(table) == 1 and table["mean"].iloc[0] == pytest.approx(0.15)


def test_speed_is_the_median_and_may_be_missing(tmp_path):
    for seed, milliseconds in enumerate([1.0, 2.0, 30.0]):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.1, milliseconds_per_image=milliseconds, parameters=None)
    table = summarise(read_study(tmp_path), f"test/{MAP}")
    assert table["milliseconds_per_image"].tolist() == [2.0]
    assert table["parameters"].isna().all()


def test_a_metric_that_is_missing_is_named(tmp_path):
    write_run(tmp_path, "SEED=0", 0.1)
    with pytest.raises(ValueError, match=f"'test/none'; there are .'test/{MAP}'"):
        summarise(read_study(tmp_path), "test/none")
    write_run(tmp_path, "SEED=1", 0.1, metrics={"test": {"other": 0.1}})
    with pytest.raises(ValueError, match="run SEED=1 lacks the metric"):
        summarise(read_study(tmp_path), f"test/{MAP}")


def test_intervals_are_repeatable_and_stay_in_the_range_of_the_values():
    values = np.array([0.1, 0.2, 0.25, 0.4, 0.7])
    low, high = bootstrap_interval(values)
    assert 0.1 <= low < values.mean() < high <= 0.7
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval([0.3, 0.3]) == pytest.approx((0.3, 0.3))
    assert np.isnan(bootstrap_interval([0.3])).all() and np.isnan(bootstrap_interval([])).all()
