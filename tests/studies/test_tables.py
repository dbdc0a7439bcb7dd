import math

import numpy as np
import pytest

from glimpse.studies.runs import axes_of, read_study
from glimpse.studies.tables import against_fewer, by_result, learning_curves, summarise

MAP = "voc10_map@0.50"


def row(table, **axes):
    chosen = np.logical_and.reduce([(table[axis] == value).fillna(False) for axis, value in axes.items()])
    assert chosen.sum() == 1
    return table[chosen].iloc[0]


def test_means_and_paired_differences_by_hand(tmp_path, write_study):
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
    # Standard error 0.2 / sqrt(3); the table of t has 4.3027 at 97.5 % and two degrees of freedom.
    assert (one["low"], one["high"]) == pytest.approx((0.3 - 0.49683, 0.3 + 0.49683), abs=1e-5)
    assert math.isnan(one["difference"])

    fixed = row(table, POLICY="fixed")
    assert fixed["mean"] == pytest.approx(1.25 / 3)
    assert fixed["difference"] == pytest.approx((0.10 + 0.13 + 0.12) / 3)
    # Far narrower than the interval of the means: what the runs of a seed have in common cancels.
    reach = 4.30265 * 0.0152753 / math.sqrt(3)
    assert fixed["difference_low"] == pytest.approx(0.35 / 3 - reach, abs=1e-6)
    assert fixed["difference_high"] == pytest.approx(0.35 / 3 + reach, abs=1e-6)
    assert fixed["role"] == "control"
    assert (fixed["milliseconds_per_image"], fixed["parameters"]) == (2.0, 100)

    random = row(table, POLICY="random")
    assert (random["seeds"], random["pairs"]) == (1, 1)
    assert random["difference"] == pytest.approx(-0.1)
    assert all(math.isnan(random[end]) for end in ("low", "high", "difference_low", "difference_high"))


def test_runs_without_a_pair_are_named(tmp_path, write_study):
    runs = write_study(
        tmp_path, {"NUM_GLIMPSES=1,SEED=0": 0.1, "NUM_GLIMPSES=2,SEED=0": 0.2, "NUM_GLIMPSES=2,SEED=1": 0.9}
    )
    two = row(summarise(runs, f"test/{MAP}"), NUM_GLIMPSES=2)
    assert (two["seeds"], two["pairs"], two["unpaired"]) == (2, 1, ["NUM_GLIMPSES=2,SEED=1"])
    assert two["mean"] == pytest.approx(0.55)
    assert two["difference"] == pytest.approx(0.1)


def test_one_glimpse_with_an_axis_of_its_own_is_compared_to_the_one_without(tmp_path, write_study):
    runs = write_study(
        tmp_path,
        {
            "NUM_GLIMPSES=1,SEED=0": 0.1,
            "NUM_GLIMPSES=1,POOLING=deformable,SEED=0": 0.25,
            "NUM_GLIMPSES=1,POOLING=deformable,SEED=1": 0.5,
            "NUM_GLIMPSES=3,POLICY=fixed,SEED=0": 0.4,
            "NUM_GLIMPSES=3,POLICY=fixed,POOLING=deformable,SEED=0": 0.7,
        },
    )
    table = summarise(runs, f"test/{MAP}")
    bent, plain = row(table[table["NUM_GLIMPSES"] == 1], POOLING="deformable"), table[table["POOLING"].isna()]
    assert (bent["difference"], bent["unpaired"]) == (pytest.approx(0.15), ["NUM_GLIMPSES=1,POOLING=deformable,SEED=1"])
    assert math.isnan(row(plain, NUM_GLIMPSES=1)["difference"]) and row(plain, NUM_GLIMPSES=1)["unpaired"] == []
    assert row(plain, NUM_GLIMPSES=3)["difference"] == pytest.approx(0.3)
    assert row(table, NUM_GLIMPSES=3, POOLING="deformable")["difference"] == pytest.approx(0.45)


def test_pairs_agree_in_the_axes_that_runs_with_one_glimpse_have(tmp_path, write_study):
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


def test_studies_without_glimpse_counts_have_no_differences(tmp_path, write_study):
    table = summarise(write_study(tmp_path, {"POOLED_SIZE=3,SEED=0": 0.1, "POOLED_SIZE=5,SEED=0": 0.2}), f"test/{MAP}")
    assert table["difference"].isna().all() and table["mean"].tolist() == [0.1, 0.2]


def test_a_study_of_seeds_alone_is_one_cell(tmp_path, write_study):
    table = summarise(write_study(tmp_path, {"SEED=0": 0.1, "SEED=1": 0.2}), f"test/{MAP}")
    assert len(table) == 1 and table["mean"].iloc[0] == pytest.approx(0.15)


def test_speed_is_the_median_and_may_be_missing(tmp_path, write_run):
    for seed, milliseconds in enumerate([1.0, 2.0, 30.0]):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.1, milliseconds_per_image=milliseconds, parameters=None)
    table = summarise(read_study(tmp_path), f"test/{MAP}")
    assert table["milliseconds_per_image"].tolist() == [2.0]
    assert table["parameters"].isna().all()


def test_a_metric_that_is_missing_is_named(tmp_path, write_run):
    write_run(tmp_path, "SEED=0", 0.1)
    with pytest.raises(ValueError, match=f"'test/none'; there are .'test/{MAP}'"):
        summarise(read_study(tmp_path), "test/none")


def test_what_is_undefined_is_left_out_and_named(tmp_path, write_run):
    write_run(tmp_path, "NUM_GLIMPSES=1,SEED=0", 0.1)
    write_run(tmp_path, "NUM_GLIMPSES=2,SEED=0", 0.4)
    write_run(tmp_path, "NUM_GLIMPSES=2,SEED=1", 0.1, metrics={"test": {}})  # no object counts
    write_run(tmp_path, "NUM_GLIMPSES=3,SEED=1", 0.1, metrics={"test": {}})
    table = summarise(read_study(tmp_path), f"test/{MAP}")
    two, three = (row(table, NUM_GLIMPSES=number) for number in (2, 3))
    assert (two["seeds"], two["mean"], two["undefined"]) == (1, 0.4, ["NUM_GLIMPSES=2,SEED=1"])
    assert two["unpaired"] == [] and two["difference"] == pytest.approx(0.3)
    assert (three["seeds"], three["undefined"]) == (0, ["NUM_GLIMPSES=3,SEED=1"]) and math.isnan(three["mean"])


def test_the_best_cell_comes_first_and_what_is_undefined_last(tmp_path, write_run):
    values = {"A=1,SEED=0": 0.1, "A=1,SEED=1": 0.5, "A=2,SEED=0": 0.2, "A=2,SEED=1": 0.2, "A=3,SEED=0": 0.4}
    for name, value in values.items():
        write_run(tmp_path, name, value)
    write_run(tmp_path, "A=0,SEED=0", 0.1, metrics={"test": {}})
    runs = by_result(read_study(tmp_path), f"test/{MAP}")
    assert list(runs.index) == ["A=3,SEED=0", "A=1,SEED=0", "A=1,SEED=1", "A=2,SEED=0", "A=2,SEED=1", "A=0,SEED=0"]
    assert summarise(runs, f"test/{MAP}")["A"].tolist() == [3, 1, 2, 0]


def test_differences_to_fewer_glimpses_by_hand(tmp_path, write_study):
    values = {f"NUM_GLIMPSES=1,SEED={seed}": 0.1 for seed in range(2)}
    for seed, (two, three, five) in enumerate([(0.50, 0.52, 0.60), (0.55, 0.51, 0.53)]):
        values |= {f"NUM_GLIMPSES={n},POLICY=learned,SEED={seed}": value
                   for n, value in ((2, two), (3, three), (5, five))}
        values |= {f"NUM_GLIMPSES={n},POLICY=fixed,SEED={seed}": value for n, value in ((2, 0.4), (5, 0.4 + seed / 10))}
    values |= {"NUM_GLIMPSES=3,POLICY=random,SEED=0": 0.9}  # of which there is nothing else
    table = against_fewer(write_study(tmp_path, values), f"test/{MAP}")
    assert table[["NUM_GLIMPSES", "POLICY", "fewer", "pairs"]].to_numpy().tolist() == [
        [3, "learned", 2, 2], [5, "fixed", 2, 2], [5, "learned", 3, 2]]
    np.testing.assert_allclose(table["difference"], [-0.01, 0.05, 0.05])
    # Two values apart by 2 d have the standard error d; t is 12.7062 at one degree of freedom.
    reach = 12.7062 * np.array([0.03, 0.05, 0.03])
    np.testing.assert_allclose(table["difference_low"], table["difference"] - reach, rtol=1e-5)
    np.testing.assert_allclose(table["difference_high"], table["difference"] + reach, rtol=1e-5)


@pytest.mark.parametrize("names", [["SIZE=3"], ["NUM_GLIMPSES=1", "NUM_GLIMPSES=3,POLICY=fixed"]], ids=str)
def test_without_fewer_glimpses_but_one_there_is_nothing_to_compare(tmp_path, write_study, names):
    assert against_fewer(write_study(tmp_path, {f"{name},SEED=0": 0.1 for name in names}), f"test/{MAP}").empty


def test_learning_curves_by_hand(tmp_path, write_run):
    for seed, losses in enumerate([[3.0, 1.0], [2.0, 1.5], [1.0, 0.5]]):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.1, log={"step": [25, 50], "class_loss": losses})
    log = {"step": [25], "class_loss": [9.0], "reward": [0.25]}
    validated = {"step": [50], "validation_map": [0.5]}
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=learned,SEED=0", 0.1, log=log, validation_log=validated)
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=fixed,SEED=0", 0.1)  # from before there was a log
    table = learning_curves(read_study(tmp_path))
    assert axes_of(table) == ["NUM_GLIMPSES", "POLICY"]
    one = table[table["NUM_GLIMPSES"] == 1]
    columns = ["quantity", "step", "seeds", "mean", "low", "high"]
    assert one[columns].to_numpy().tolist() == [
        ["class_loss", 25, 3, 2.0, 1.0, 3.0], ["class_loss", 50, 3, 1.0, 0.5, 1.5]]
    two = table[table["NUM_GLIMPSES"] == 2]
    assert two["POLICY"].tolist() == ["learned"] * 3
    assert two[columns].to_numpy().tolist() == [
        ["class_loss", 25, 1, 9, 9, 9], ["reward", 25, 1, 0.25, 0.25, 0.25], ["validation_map", 50, 1, 0.5, 0.5, 0.5]]


def test_without_any_log_there_are_no_curves(tmp_path, write_study):
    assert learning_curves(write_study(tmp_path, {"NUM_GLIMPSES=1,SEED=0": 0.1})).empty
