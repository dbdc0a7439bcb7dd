"""Intervals and p-values over the seeds of a study, and over its test images as well.

How often each kind of interval contains the true mean is measured by `python -m experiments.benchmark coverage`
(docs/results/coverage.json). At five seeds the t interval does in 95 to 97 of 100 studies where the noise is normal or
heavy-tailed, and for paired differences of skewed noise; for means of skewed noise in 88. The percentile bootstrap does
in 78 to 83. The studentised bootstrap does in 93 to 95, but is a third wider, and infinite at two or three seeds.
"""

import math

import numpy as np
from scipy import stats

LEVEL = 0.95


def t_interval(values):
    """The 95 % t interval of the mean ("Student", Biometrika 1908); of differences, the paired one.

    Args:
        values: [n] float, one a seed.

    Returns:
        (low, high); NaN for n < 2.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return math.nan, math.nan
    reach = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - reach), float(values.mean() + reach)


def t_test(differences):
    """The two-sided p-value of the paired t test: how often so large a mean would arise by chance were the true one 0.

    It belongs to `t_interval`, which excludes 0 where p < 0.05, and can be small with few seeds, which no test by
    exchanges can. Its price is the assumption that differences are nearly normal; what that costs is measured, see
    above. Colas, Sigaud and Oudeyer ("A Hitchhiker's Guide to Statistical Comparisons of Reinforcement Learning
    Algorithms", 2019) compare the usual tests at few seeds by simulation, and recommend the t test (that of Welch, as
    theirs are not paired).

    Args:
        differences: [n] float, one a seed.

    Returns:
        float in 0..1; NaN for n < 2.
    """
    differences = np.asarray(differences, float)
    if len(differences) < 2:
        return math.nan
    return _p_value(differences.mean(), stats.sem(differences), len(differences) - 1)


def sign_flip_test(differences):
    """The two-sided p-value of the exact sign-flip test (Fisher, "The Design of Experiments", 1935, section 21).

    Were both policies equal, each difference might as well have had the other sign. So p is the share of the 2^n
    choices of signs whose mean is as far out. It assumes nothing else, but cannot fall below 2 / 2^n: 0.0625 with five
    seeds.

    Args:
        differences: [n] float, one a seed, n at most 20.

    Returns:
        float in 0..1; NaN for n < 2.
    """
    differences = np.asarray(differences, float)
    if len(differences) < 2:
        return math.nan
    signs = 1 - 2 * (np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1)
    sums = np.abs(signs @ differences)  # the first with the signs that were observed
    return float(np.mean(sums >= sums[0] * (1 - 1e-9)))  # roundings must not lose what is equal


def holm(p_values):
    """Corrects p-values for their number (Holm, "A simple sequentially rejective multiple test procedure", 1979).

    The chance that any of the true null hypotheses is rejected at p < 0.05 stays below 5 %, however they depend.

    Args:
        p_values: [m] float; NaN, for a test that could not be made, is none of the m.

    Returns:
        [m] float in 0..1, NaN where it was NaN.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)[:np.isfinite(p_values).sum()]
    corrected = np.full(len(p_values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)), 1)
    return corrected


def seeds_and_images(values, resampled):
    """The 95 % interval and p-value of a mean where seeds and test images both are samples.

    The choice of data varies results markedly (Bouthillier et al., "Accounting for Variance in Machine Learning
    Benchmarks", 2021), and more seeds do not lessen that.

    The variance of the mean has two parts, which are added: that of seeds, s^2 / n, and that of images, the variance of
    the mean over seeds when images are resampled (Efron, "Bootstrap methods", 1979). What depends on both at once is in
    both. So the interval is a little too wide rather than too narrow, as in Owen, "The pigeonhole bootstrap", 2007.
    Degrees of freedom are those of Satterthwaite ("An approximate distribution of estimates of variance components",
    1946). They are too many where the few seeds vary little by chance, so the interval is never narrower than that over
    seeds, nor p smaller. Percentiles of means for which seeds are resampled as well are too narrow with five seeds
    where seeds vary more than images: they contain the truth in 87 of 100 studies (`experiments.benchmark coverage`),
    this in 94.

    Args:
        values: [n] float, the metric or its paired difference for each seed, on the images as they are.
        resampled: [n, B] float, the same on B resampled sets of images, which all seeds share; NaN where undefined.

    Returns:
        (low, high, p), p two-sided against 0; NaN for n < 2.
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return math.nan, math.nan, math.nan
    seeds, images = values.var(ddof=1) / n, np.nanvar(np.mean(resampled, axis=0), ddof=1)
    total = seeds + images
    # Images are many: theirs count as known.
    freedom = (n - 1) * (total / seeds) ** 2 if seeds > 0 else math.inf
    mean, alone = float(values.mean()), t_interval(values)
    reach = max(stats.t.ppf((1 + LEVEL) / 2, freedom) * math.sqrt(total), (alone[1] - alone[0]) / 2)
    return mean - reach, mean + reach, max(_p_value(mean, math.sqrt(total), freedom), t_test(values))


def _p_value(mean, error, freedom):
    if error == 0:  # all differences are equal
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, freedom))
