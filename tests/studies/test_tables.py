import math

import numpy as np
import pytest

from glimpse.studies.runs import axes_of, read_study
from glimpse.studies.tables import against_controls, against_fewer, bootstrap_interval, learning_curves, summarise

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


def test_runs_without_a_pair_are_named(tmp_path, write_study):
    runs = write_study(
        tmp_path, {"NUM_GLIMPSES=1,SEED=0": 0.1, "NUM_GLIMPSES=2,SEED=0": 0.2, "NUM_GLIMPSES=2,SEED=1": 0.9}
    )
    two = row(summarise(runs, f"test/{MAP}"), NUM_GLIMPSES=2)
    assert (two["seeds"], two["pairs"], two["unpaired"]) == (2, 1, ["NUM_GLIMPSES=2,SEED=1"])
    assert two["mean"] == pytest.approx(0.55)
    assert two["difference"] == pytest.approx(0.1)


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


def test_differences_to_the_controls_by_hand(tmp_path, write_study):
    values = {f"NUM_GLIMPSES=1,SEED={seed}": 0.1 for seed in range(3)}
    for seed, (learned, fixed, random) in enumerate([(0.50, 0.45, 0.20), (0.70, 0.60, 0.75), (0.60, 0.63, 0.30)]):
        values |= {f"NUM_GLIMPSES=3,POLICY=learned,SEED={seed}": learned}
        values |= {f"NUM_GLIMPSES=3,POLICY=fixed,SEED={seed}": fixed}
        values |= {f"NUM_GLIMPSES=3,POLICY=random,SEED={seed}": random} if seed else {}
    values |= {"NUM_GLIMPSES=5,POLICY=learned,SEED=0": 0.8, "NUM_GLIMPSES=5,POLICY=repeat,SEED=0": 0.5}
    values |= {"NUM_GLIMPSES=2,POLICY=learned,SEED=0": 0.8, "NUM_GLIMPSES=2,POLICY=repeat,SEED=1": 0.5}  # no pair
    runs = write_study(tmp_path, values)
    table = against_controls(runs, f"test/{MAP}")
    assert axes_of(table) == ["NUM_GLIMPSES"]
    assert table[["NUM_GLIMPSES", "control", "pairs"]].to_numpy().tolist() == [
        [3, "fixed", 3], [3, "random", 2], [5, "repeat", 1]]
    np.testing.assert_allclose(table["difference"], [(0.05 + 0.10 - 0.03) / 3, (-0.05 + 0.30) / 2, 0.3])
    # With two or three values the interval is their range.
    np.testing.assert_allclose(table["difference_low"], [-0.03, -0.05, np.nan])
    np.testing.assert_allclose(table["difference_high"], [0.10, 0.30, np.nan])

    other_way = against_controls(runs, f"test/{MAP}", policy="fixed")
    assert other_way["control"].tolist() == ["learned", "random"]
    np.testing.assert_allclose(other_way["difference"], [-0.04, (-0.15 + 0.33) / 2])


def test_controls_agree_in_the_axes_that_they_have(tmp_path, write_study):
    runs = write_study(tmp_path, {
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.1,SIZE=3x7,SEED=0": 0.5,
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.1,SIZE=5,SEED=0": 0.6,
        "NUM_GLIMPSES=3,POLICY=fixed,SIZE=3x7,SEED=0": 0.4,  # has no learning rate
        "NUM_GLIMPSES=3,POLICY=fixed,SIZE=5,SEED=0": 0.1,
    })
    table = against_controls(runs, f"test/{MAP}")
    assert row(table, SIZE="3x7")["difference"] == pytest.approx(0.1)
    assert row(table, SIZE="5")["difference"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["NUM_GLIMPSES=1", "NUM_GLIMPSES=2,POLICY=fixed", "NUM_GLIMPSES=2,POLICY=learned"])
def test_without_a_control_there_is_nothing_to_compare(tmp_path, write_study, name):
    assert against_controls(write_study(tmp_path, {f"{name},SEED=0": 0.1}), f"test/{MAP}").empty


def test_differences_to_fewer_glimpses_by_hand(tmp_path, write_study):
    values = {f"NUM_GLIMPSES=1,SEED={seed}": 0.1 for seed in range(2)}
    for seed, (two, three, five) in enumerate([(0.50, 0.52, 0.60), (0.55, 0.51, 0.53)]):
        values |= {f"NUM_GLIMPSES={n},POLICY=learned,SEED={seed}": value for n, value in ((2, two), (3, three), (5, five))}
        values |= {f"NUM_GLIMPSES={n},POLICY=fixed,SEED={seed}": value for n, value in ((2, 0.4), (5, 0.4 + seed / 10))}
    values |= {"NUM_GLIMPSES=3,POLICY=random,SEED=0": 0.9}  # of which there is nothing else
    table = against_fewer(write_study(tmp_path, values), f"test/{MAP}")
    assert table[["NUM_GLIMPSES", "POLICY", "fewer", "pairs"]].to_numpy().tolist() == [
        [3, "learned", 2, 2], [5, "fixed", 2, 2], [5, "learned", 3, 2]]
    np.testing.assert_allclose(table["difference"], [-0.01, 0.05, 0.05])
    np.testing.assert_allclose(table["difference_low"], [-0.04, 0.0, 0.02], atol=1e-12)
    np.testing.assert_allclose(table["difference_high"], [0.02, 0.1, 0.08])


@pytest.mark.parametrize("names", [["SIZE=3"], ["NUM_GLIMPSES=1", "NUM_GLIMPSES=3,POLICY=fixed"]], ids=str)
def test_without_fewer_glimpses_but_one_there_is_nothing_to_compare(tmp_path, write_study, names):
    assert against_fewer(write_study(tmp_path, {f"{name},SEED=0": 0.1 for name in names}), f"test/{MAP}").empty


def test_learning_curves_by_hand(tmp_path, write_run):
    for seed, losses in enumerate([[3.0, 1.0], [2.0, 1.5], [1.0, 0.5]]):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.1, log={"step": [25, 50], "class_loss": losses})
    log = {"step": [25], "class_loss": [9.0], "reward": [0.25]}
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=learned,SEED=0", 0.1, log=log)
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=fixed,SEED=0", 0.1)  # from before there was a log
    table = learning_curves(read_study(tmp_path))
    assert axes_of(table) == ["NUM_GLIMPSES", "POLICY"]
    one = table[table["NUM_GLIMPSES"] == 1]
    columns = ["quantity", "step", "seeds", "mean", "low", "high"]
    assert one[columns].to_numpy().tolist() == [
        ["class_loss", 25, 3, 2.0, 1.0, 3.0], ["class_loss", 50, 3, 1.0, 0.5, 1.5]]
    two = table[table["NUM_GLIMPSES"] == 2]
    assert two["POLICY"].tolist() == ["learned"] * 2
    assert two[columns].to_numpy().tolist() == [["class_loss", 25, 1, 9, 9, 9], ["reward", 25, 1, 0.25, 0.25, 0.25]]


def test_without_any_log_there_are_no_curves(tmp_path, write_study):
    assert learning_curves(write_study(tmp_path, {"NUM_GLIMPSES=1,SEED=0": 0.1})).empty
