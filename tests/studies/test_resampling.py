import numpy as np
import pandas as pd
import pytest

from glimpse.evaluation.average_precision import average_precisions
from glimpse.evaluation.matches import Matches, matches_file, write_matches
from glimpse.studies.resampling import RESAMPLES, over_images, resample_images
from glimpse.studies.rivals import against_rivals, pairs_with_rivals
from glimpse.studies.runs import read_study
from glimpse.studies.tables import summarise

MAP = "voc10_map@0.50"
METRIC = f"test/{MAP}"


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


def test_a_gain_over_one_glimpse_is_told_over_images_too(tmp_path, write_matched):
    """By hand: all three seeds gain the same eight objects, so the seeds add nothing to what images vary."""
    for seed in range(3):
        found = np.arange(40) < 24
        write_matched(f"NUM_GLIMPSES=1,SEED={seed}", found)
        write_matched(f"NUM_GLIMPSES=3,SEED={seed}", found | (np.arange(40) >= 32))
    runs = read_study(tmp_path)
    resampled = resample_images(tmp_path, runs.index, "test")
    one, three = summarise(runs, METRIC, resampled).itertuples()
    ones, threes = ([f"NUM_GLIMPSES={count},SEED={seed}" for seed in range(3)] for count in (1, 3))
    gains = resampled[threes[0]].maps - resampled[ones[0]].maps
    assert np.isnan([one.images_low, one.images_high]).all()
    assert three.images_low > 0 and three.difference_low == three.difference_high == pytest.approx(three.difference)
    assert three.images_high - three.images_low == pytest.approx(2 * 1.96 * gains.std(ddof=1), rel=1e-3)
    assert (three.images_low, three.images_high) == over_images(threes, ones, runs[METRIC], resampled)[:2]
    assert summarise(runs, METRIC)[["images_low", "images_high"]].isna().all(axis=None)
