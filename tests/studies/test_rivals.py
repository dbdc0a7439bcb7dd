import numpy as np
import pandas as pd
import pytest
from scipy import stats

from glimpse.evaluation.average_precision import average_precisions
from glimpse.evaluation.matches import Matches, matches_file, write_matches
from glimpse.studies.rivals import RESAMPLES, against_rivals, pairs_with_rivals, resample_images
from glimpse.studies.runs import axes_of, read_study
from glimpse.studies.tables import by_result

MAP = "voc10_map@0.50"
METRIC = f"test/{MAP}"


def compared(runs, by=METRIC):
    return against_rivals(pairs_with_rivals(runs, by), runs[METRIC])


def test_the_best_learner_against_each_rival_by_hand(tmp_path, write_run):
    values = [(0.50, 0.6, 0.45, 0.2), (0.70, 0.8, 0.60, 0.3), (0.60, 0.7, 0.63, 0.1)]
    for seed, (learned, every, refine, fixed) in enumerate(values):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.1)
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=learned,SEED={seed}", learned)
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=learned,SUPERVISION=every,SEED={seed}", every)
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=refine,SUPERVISION=last,SEED={seed}", refine, policy_role="rival")
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=oracle,SEED={seed}", 0.99, policy_role="ceiling")
        if seed:
            write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=fixed,SEED={seed}", fixed)
    write_run(tmp_path, "NUM_GLIMPSES=5,POLICY=learned,SEED=0", 0.8)
    write_run(tmp_path, "NUM_GLIMPSES=5,POLICY=repeat,SEED=0", 0.5)
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=learned,SEED=0", 0.8)
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=repeat,SEED=1", 0.5)  # no pair
    table = compared(by_result(read_study(tmp_path), METRIC))
    assert axes_of(table) == ["NUM_GLIMPSES"]
    assert table[["NUM_GLIMPSES", "learner", "against", "role", "pairs"]].to_numpy().tolist() == [
        [3, "learned, SUPERVISION=every", "refine, SUPERVISION=last", "rival", 3],
        [3, "learned, SUPERVISION=every", "fixed", "control", 2], [5, "learned", "repeat", "control", 1]]
    np.testing.assert_allclose(table["difference"], [(0.15 + 0.2 + 0.07) / 3, (0.5 + 0.6) / 2, 0.3])
    three = stats.ttest_1samp([0.15, 0.2, 0.07], 0)
    np.testing.assert_allclose(table.loc[0, ["difference_low", "difference_high"]].to_numpy(float),
                               three.confidence_interval())
    # Two are compared at three glimpses: Holm doubles the smaller p of both, and the other is no smaller.
    two = stats.ttest_1samp([0.5, 0.6], 0).pvalue
    smaller, larger = sorted([three.pvalue, two])
    assert sorted(table["p_seeds"][:2]) == pytest.approx([2 * smaller, max(2 * smaller, larger)])
    assert table["p_flips"][:2].tolist() == [0.5, 0.5]  # 2/8 doubled, 2/4
    assert np.isnan(table["p_seeds"][2]) and table[["images_low", "p_images"]].isna().all(axis=None)


def test_the_learner_is_chosen_on_another_split(tmp_path, write_run):
    cells = ("a", "learns", 0.9, 0.5), ("b", "learns", 0.1, 0.8), ("c", "rival", 0.2, 0.6)
    for name, role, validation, test in cells:
        write_run(tmp_path, f"POLICY={name},SEED=0", 0.1, policy_role=role,
                  metrics={"validation": {MAP: validation}, "test": {MAP: test}})
    runs = read_study(tmp_path)
    chosen = compared(runs, f"validation/{MAP}")
    assert chosen[["learner", "against"]].to_numpy().tolist() == [["a", "c"]]
    assert chosen["difference"].tolist() == pytest.approx([-0.1])
    assert compared(runs)["learner"].tolist() == ["b"]


def test_what_every_run_has_a_value_of_must_agree(tmp_path, write_study):
    """A pooled size is of the whole network; a learning rate that the rival has not is of the policy."""
    runs = write_study(tmp_path, {
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.1,SIZE=3x7,SEED=0": 0.5,
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.2,SIZE=3x7,SEED=0": 0.3,
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.2,SIZE=5,SEED=0": 0.6,
        "NUM_GLIMPSES=3,POLICY=fixed,SIZE=3x7,SEED=0": 0.4,
        "NUM_GLIMPSES=3,POLICY=fixed,SIZE=5,SEED=0": 0.1,
    })
    table = compared(runs)
    assert table["SIZE"].tolist() == ["3x7", "5"]
    assert table["learner"].tolist() == ["learned, RATE=0.1", "learned, RATE=0.2"]
    np.testing.assert_allclose(table["difference"], [0.1, 0.5])


@pytest.mark.parametrize("names", [
    ["NUM_GLIMPSES=1"], ["NUM_GLIMPSES=2,POLICY=fixed"], ["NUM_GLIMPSES=2,POLICY=learned"],
    ["NUM_GLIMPSES=2,POLICY=learned", "NUM_GLIMPSES=3,POLICY=fixed"],
    ["NUM_GLIMPSES=2,POLICY=learned", "NUM_GLIMPSES=2,POLICY=unknown"]], ids=str)
def test_without_a_rival_there_is_nothing_to_compare(tmp_path, write_study, names):
    assert compared(write_study(tmp_path, {f"{name},SEED=0": 0.1 for name in names})).empty


def test_a_run_without_a_value_has_no_pair(tmp_path, write_run):
    for seed in range(2):
        write_run(tmp_path, f"POLICY=learned,SEED={seed}", 0.5)
        write_run(tmp_path, f"POLICY=fixed,SEED={seed}", 0.3, **({"metrics": {"test": {}}} if seed else {}))
    table = compared(read_study(tmp_path))
    assert table["pairs"].tolist() == [1] and table["difference"].tolist() == pytest.approx([0.2])


def matches_of(found, images=40):
    """One object an image, and one detection of it, on it where `found`, [images] bool, and beside it elsewhere."""
    order = np.random.default_rng(1).permutation(images)
    zeros = np.zeros(images, int)
    return Matches(order, np.linspace(1, 0.5, images), zeros, np.where(found[order], 1.0, 0.2), order,
                   np.arange(images), zeros, np.zeros(images, bool), images, 1)


@pytest.fixture
def write_matched(tmp_path, write_run):
    def write(name, found, **more):
        matches = matches_of(found)
        write_run(tmp_path, name, average_precisions(matches, ["it"])[MAP], **more)
        write_matches(tmp_path / name / matches_file("test"), matches)
    return write


def test_images_are_resampled_for_both_alike(tmp_path, write_matched):
    random = np.random.default_rng(0)
    for seed in range(3):
        found = random.random(40) < 0.6
        write_matched(f"POLICY=learned,SEED={seed}", found)
        write_matched(f"POLICY=refine,SEED={seed}", found & (random.random(40) < 0.8), policy_role="rival")
    runs = read_study(tmp_path)
    pairs = pairs_with_rivals(runs, METRIC)
    resampled = resample_images(tmp_path, runs.index, "test")
    table = against_rivals(pairs, runs[METRIC], resampled)
    row = table.iloc[0]
    # By another way: variances of the mean difference over seeds, and over images of the mean over seeds.
    names = [(f"POLICY=learned,SEED={seed}", f"POLICY=refine,SEED={seed}") for seed in range(3)]
    differences = np.array([runs[METRIC][a] - runs[METRIC][b] for a, b in names])
    by_image = np.mean([resampled[a].maps - resampled[b].maps for a, b in names], axis=0)
    assert len(by_image) == RESAMPLES and row["difference"] == pytest.approx(differences.mean())
    low, high = row["images_low"], row["images_high"]
    assert (low + high) / 2 == pytest.approx(differences.mean())
    assert high - low > 2 * 1.96 * np.sqrt(by_image.var() + differences.var(ddof=1) / 3)
    alone = np.std([resampled[names[0][0]].maps, resampled[names[0][1]].maps], axis=1)
    assert by_image.std() < np.sqrt((alone ** 2).sum())  # what both have in common cancels
    again = resample_images(tmp_path, runs.index, "test")
    assert all((again[name].maps == resampled[name].maps).all() for name in runs.index)


def test_equal_runs_have_no_difference_on_any_images(tmp_path, write_matched):
    found = np.arange(40) % 3 > 0
    for seed in range(2):
        write_matched(f"POLICY=learned,SEED={seed}", found)
        write_matched(f"POLICY=fixed,SEED={seed}", found)
    runs = read_study(tmp_path)
    table = against_rivals(pairs_with_rivals(runs, METRIC), runs[METRIC], resample_images(tmp_path, runs.index, "test"))
    assert table[["difference", "images_low", "images_high"]].to_numpy().tolist() == [[0, 0, 0]]
    assert table[["p_seeds", "p_images", "p_flips"]].to_numpy().tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("fault", ["a file is missing", "other images"])
def test_without_matches_of_the_same_images_there_is_no_interval_over_them(tmp_path, write_matched, fault):
    for seed in range(2):
        for policy in ("learned", "fixed"):
            write_matched(f"POLICY={policy},SEED={seed}", np.random.default_rng(seed).random(40) < 0.5)
    path = tmp_path / "POLICY=fixed,SEED=1" / matches_file("test")
    if fault == "other images":
        write_matches(path, matches_of(np.ones(30, bool), 30))
    else:
        path.unlink()
    runs = read_study(tmp_path)
    table = against_rivals(pairs_with_rivals(runs, METRIC), runs[METRIC], resample_images(tmp_path, runs.index, "test"))
    assert table[["images_low", "images_high", "p_images"]].isna().all(axis=None) and pd.notna(table["p_seeds"][0])
