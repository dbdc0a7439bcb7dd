"""mAP of runs on resampled test images, and what differences between runs are worth on other images."""

import hashlib
from typing import NamedTuple

import numpy as np

from glimpse.evaluation.average_precision import resampled_maps
from glimpse.evaluation.matches import matches_file, read_matches
from glimpse.studies.intervals import seeds_and_images

RESAMPLES = 1000


class Resampled(NamedTuple):
    """mAP 50:95 of one run on resampled test images."""

    maps: np.ndarray  # [RESAMPLES]
    images: str  # tells data sets apart


def resample_images(directory, runs, split):
    """mAP 50:95 on resampled test images, the same ones for all runs, for those that keep their matches.

    Args:
        directory: of the study.
        runs: names of runs.
        split: whose images are resampled.

    Returns:
        dict, run -> Resampled.
    """
    resampled = {}
    for name in dict.fromkeys(runs):
        path = directory / name / matches_file(split)
        if path.is_file():
            matches = read_matches(path)
            number = matches.num_images
            counts = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), size=RESAMPLES)
            objects = np.stack([matches.object_images, matches.object_labels, matches.difficult]).astype("<i8")
            images = hashlib.sha256(objects.tobytes() + str(number).encode()).hexdigest()
            resampled[name] = Resampled(resampled_maps(matches, counts), images)
    return resampled


def over_images(mine, theirs, values, resampled):
    """The interval and p-value of a mean paired difference, over seeds and images.

    Args:
        mine, theirs: names of runs, paired.
        values: Series, run -> metric.
        resampled: dict, run -> Resampled, of this metric, for some of the runs or for none.

    Returns:
        (low, high, p) of `seeds_and_images`; NaN unless all runs are resampled, on the same images.
    """
    runs = [*mine, *theirs]
    if not runs or any(run not in resampled for run in runs) or len({resampled[run].images for run in runs}) > 1:
        return np.nan, np.nan, np.nan
    pairs = list(zip(mine, theirs))
    return seeds_and_images([values[one] - values[other] for one, other in pairs],
                            [resampled[one].maps - resampled[other].maps for one, other in pairs])
