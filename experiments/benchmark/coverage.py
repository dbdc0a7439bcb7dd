"""How often 95 % intervals contain the true mean: over few seeds, and over seeds and test images.

Draws studies whose truth is known, makes each kind of interval of each, and counts. The noise of seeds is normal,
skewed (exponential), the paired difference of two that are skewed, or heavy-tailed (t with 3 degrees of freedom). All
have mean 0 and variance 1. For images, a difference of AP is the sum of an effect of the seed, one of the image and one
of both. All are normal; their sizes are SPREADS.
"""

import numpy as np

from glimpse.studies.intervals import seeds_and_images, t_interval

SEEDS = (2, 3, 5, 10)
NOISE = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "skewed": lambda random, shape: random.exponential(size=shape) - 1,
    "skewed, paired": lambda random, shape: np.subtract(*random.exponential(size=(2, *shape))) / np.sqrt(2),
    "heavy-tailed": lambda random, shape: random.standard_t(3, shape) / np.sqrt(3),
}
# Standard deviations of the mean over images: of a seed, of the images, and of what depends on both.
SPREADS = {"seeds": (1.0, 0.2, 0.2), "seeds and images": (1.0, 1.0, 0.5), "images": (0.2, 1.0, 0.5)}
IMAGES = 100
TAILS = (0.025, 0.975)


def add_flags(parser):
    parser.add_argument("--studies", type=int, default=20_000, help="simulated studies a cell")
    parser.set_defaults(runs=400)
    parser.epilog = "--runs: resamples of a bootstrap (default 400)"


def run(options):
    """Of every kind of interval the fraction that contains the truth, and the median width in true standard errors.

    Returns:
        dict of plain numbers: {"seeds": {noise: {n: {interval: {"covers": 0..1, "width": or None if infinite}}}},
        "images": the same by spread, ...}.
    """
    random = np.random.default_rng(0)
    seeds = {noise: {n: _over_seeds(draw(random, (options.studies, n)), options.runs, random) for n in SEEDS}
             for noise, draw in NOISE.items()}
    images = {spread: {n: _over_images(n, sizes, max(options.studies // 10, 1), options.runs, random) for n in SEEDS}
              for spread, sizes in SPREADS.items()}
    return {"studies": options.studies, "resamples": options.runs, "nominal": 0.95, "seeds": seeds, "images": images}


def table(result):
    """The result as text."""
    lines = ["In brackets the median width, in standard errors of the mean; the best possible is 3.9."]
    for part, head in (("seeds", "over seeds; noise"), ("images", "over seeds and images; noise of")):
        names = list(next(iter(next(iter(result[part].values())).values())))
        lines.append(f"{head:32}{'n':>3}" + "".join(f"{name:>24}" for name in names))
        lines += [f"{noise:32}{n:>3}" + "".join(f"{_shown(found[name]):>24}" for name in names)
                  for noise, by_n in result[part].items() for n, found in by_n.items()]
    return "\n".join(lines)


def _shown(found):
    width = "infinite" if found["width"] is None else f"{found['width']:.1f}"
    return f"{100 * found['covers']:.1f} % ({width})"


def _over_seeds(values, resamples, random):
    """What `run` says of the studies [S, n], whose true mean is 0 and true variance 1."""
    intervals = {"percentile bootstrap": [], "studentised bootstrap": [], "t": [t_interval(study) for study in values]}
    n = values.shape[1]
    for study in values:
        drawn = study[random.integers(n, size=(resamples, n))]
        means, errors = drawn.mean(axis=1), drawn.std(axis=1, ddof=1) / np.sqrt(n)
        intervals["percentile bootstrap"].append(np.quantile(means, TAILS))
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample of one value alone has no spread
            t = np.nan_to_num((means - study.mean()) / errors, nan=0, posinf=np.inf, neginf=-np.inf)
        low, high = np.quantile(t, TAILS, method="nearest")
        error = study.std(ddof=1) / np.sqrt(n)
        intervals["studentised bootstrap"].append((study.mean() - high * error, study.mean() - low * error))
    return _summary(intervals, 1 / np.sqrt(n))


def _over_images(n, sizes, studies, resamples, random):
    """The same where images are drawn as well: `sizes` are the spreads of seeds, of images and of both."""
    of_seed, of_image, of_both = sizes
    intervals = {"t over seeds": [], "two-level percentile": [], "seeds and images": []}
    for _ in range(studies):
        values = of_seed * random.standard_normal((n, 1)) + np.sqrt(IMAGES) * (
            of_image * random.standard_normal((1, IMAGES)) + of_both * random.standard_normal((n, IMAGES)))
        of_seeds = values.mean(axis=1)
        resampled = values @ random.multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), size=resamples).T / IMAGES
        chosen = random.multinomial(n, np.full(n, 1 / n), size=resamples)
        intervals["t over seeds"].append(t_interval(of_seeds))
        intervals["two-level percentile"].append(np.quantile(np.einsum("bn,nb->b", chosen, resampled) / n, TAILS))
        intervals["seeds and images"].append(seeds_and_images(of_seeds, resampled)[:2])
    return _summary(intervals, np.sqrt((of_seed ** 2 + of_both ** 2) / n + of_image ** 2))


def _summary(intervals, error):
    """What `run` says, of {name: list of (low, high)}; `error` is the true standard error of the mean."""
    found = {}
    for name, ends in intervals.items():
        low, high = np.array(ends).T
        width = float(np.median(high - low) / error)
        found[name] = {"covers": float(np.mean((low <= 0) & (0 <= high))),
                       "width": width if np.isfinite(width) else None}
    return found
