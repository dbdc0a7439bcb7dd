import json
import math
import pathlib

import numpy as np
import pytest
from scipy import stats

from glimpse.studies.intervals import holm, seeds_and_images, sign_flip_test, t_interval, t_test
from glimpse.studies.report.sections import HOW_TO_READ

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"


def test_the_t_interval_and_its_test_by_hand():
    # Mean 3, standard deviation sqrt(2.5), standard error sqrt(0.5); t at 97.5 % and four degrees of freedom: 2.77645.
    reach = 2.77645 * math.sqrt(0.5)
    assert t_interval([1, 2, 3, 4, 5]) == pytest.approx((3 - reach, 3 + reach), abs=1e-5)
    assert t_test([1, 2, 3, 4, 5]) == pytest.approx(stats.ttest_1samp([1, 2, 3, 4, 5], 0).pvalue)
    assert t_interval([0.3, 0.3]) == (0.3, 0.3) and (t_test([0.3, 0.3]), t_test([0, 0])) == (0, 1)
    for few in ([], [0.3]):
        assert np.isnan([*t_interval(few), t_test(few), sign_flip_test(few)]).all()


@pytest.mark.parametrize("differences, share", [
    ([1, 2, 3, 4, 5], 2 / 32), ([-1, -2, -3], 2 / 8), ([1, -1], 1),
    ([3, 2, -1], 4 / 8),  # 4 is reached by 6, 4 and their opposites
    ([0.1, 0.2, 0.3, -0.1], 6 / 16),  # 0.5 is reached by 0.7, twice by 0.5, and by their opposites, roundings or not
])
def test_sign_flips_by_hand(differences, share):
    assert sign_flip_test(differences) == share


def test_sign_flips_are_those_of_scipy():
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.5, 1, 7)
        expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flip_test(values) == pytest.approx(expected)


def test_holm_by_hand():
    # The smallest times four, the next times three, ...; never below one that was smaller, never above 1.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.03]), [0.02, np.nan, 0.03])
    assert len(holm([])) == 0


def test_without_a_spread_over_images_seeds_and_images_is_the_t_test():
    values = np.array([0.1, 0.2, 0.25, 0.4, 0.7])
    low, high, p = seeds_and_images(values, np.repeat(values[:, None], 10, axis=1))
    assert (low, high) == pytest.approx(t_interval(values)) and p == pytest.approx(t_test(values))


def test_without_a_spread_over_seeds_it_is_the_normal_interval_over_images():
    resampled = np.random.default_rng(0).normal(1, 0.1, 1000)
    low, high, p = seeds_and_images([1, 1, 1], np.tile(resampled, (3, 1)))
    assert (low, high) == pytest.approx((1 - 1.96 * resampled.std(ddof=1), 1 + 1.96 * resampled.std(ddof=1)), rel=1e-4)
    assert p < 1e-10 and np.isnan(seeds_and_images([1], resampled[None])).all()


def test_both_spreads_add_up_and_images_shared_by_all_seeds_do_not_average_out():
    values = np.array([0.0, 0.1, 0.2])
    image_effect = np.random.default_rng(0).normal(0, 0.2, 2000)
    low, high, _ = seeds_and_images(values, values[:, None] + image_effect)
    seeds, images = values.var(ddof=1) / 3, image_effect.var(ddof=1)
    freedom = 2 * ((seeds + images) / seeds) ** 2
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(seeds + images))


def test_who_counts_images_too_is_no_surer_than_who_does_not():
    """Images vary as much as seeds: four degrees of freedom (Satterthwaite) would outdo the one of two seeds."""
    values = np.array([0.2, 0.3])
    image_effect = np.random.default_rng(0).normal(0, 0.05, 2000)
    low, high, p = seeds_and_images(values, values[:, None] + image_effect)
    assert (low, high) == pytest.approx(t_interval(values)) and p == t_test(values)


def test_the_coverage_that_reports_quote_was_measured():
    covers = {noise: {name: round(100 * each["covers"]) for name, each in by_n["5"].items()}
              for noise, by_n in json.loads((RESULTS / "coverage.json").read_text())["seeds"].items()}
    noises = ("normal", "skewed", "heavy-tailed")
    text = " ".join(HOW_TO_READ.split())
    t, paired, bootstrap = [covers[noise]["t"] for noise in noises], covers["skewed, paired"]["t"], [
        covers[noise]["percentile bootstrap"] for noise in noises]
    assert f"{t[0]} of 100 if the noise of seeds is normal, {t[1]} if skewed ({paired} for paired differences)" in text
    assert f"{t[2]} if heavy-tailed. The percentile bootstrap: {', '.join(map(str, bootstrap))} " in text
