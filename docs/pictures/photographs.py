"""Prints the table of docs/results/photographs.md from the runs in docs/results: python docs/pictures/photographs.py"""

import pathlib

import numpy as np
from rivals import axes_of, cells, described, interval, percent  # beside this file
from when_it_pays import CASCADE

from glimpse.studies.intervals import t_interval
from glimpse.studies.resampling import over_images, resample_images

RESULTS = pathlib.Path(__file__).parents[1] / "results"
ONE = "NUM_GLIMPSES=1"
# data -> the directory of its study, and the axes that its experiment sets
DATA = {"deeppcb": ("deeppcb", axes_of(CASCADE)), "bccd": ("bccd", {}), "playing-cards": ("cards", {}),
        "aquarium": ("aquarium", {})}


def gain(study, cell, of):
    """How much more a cell of a study has than T = 1: the mean, the interval over seeds, and over seeds and images."""
    runs = [[f"{each},SEED={seed}" for seed in sorted({*of[cell]} & {*of[ONE]})] for each in (cell, ONE)]
    values = {f"{each},SEED={seed}": percent(result) for each in (cell, ONE) for seed, result in of[each].items()}
    gains = [values[mine] - values[theirs] for mine, theirs in zip(*runs)]
    shown = f"{np.mean(gains):+.1f}"
    if len(gains) < 2:
        return shown, ""
    points = {name: value / 100 for name, value in values.items()}
    both = 100 * np.array(over_images(*runs, points, resample_images(RESULTS / study, sum(runs, []), "test"))[:2])
    return "{} [{:+.1f}, {:+.1f}]".format(shown, *t_interval(gains)), "[{:+.1f}, {:+.1f}]".format(*both)


def main():
    for data, (study, left_out) in DATA.items():
        runs = cells(RESULTS.glob(f"{study}/*/results.json"))
        rows = []
        for cell, seeds in runs.items():
            results = seeds.values()
            over_all, *at = ([percent(result, iou) for result in results] for iou in ("0.50:0.95", "0.50", "0.80"))
            gained = ("", "") if cell == ONE else gain(study, cell, runs)
            weights = next(iter(results))["parameters"] / 1e6
            rows.append((-np.mean(over_all), [
                data, *described(cell, {} if cell == ONE else left_out), f"{weights:.2f}", len(seeds),
                interval(over_all), *gained, *(f"{np.mean(values):.1f}" for values in at)]))
        for _, row in sorted(rows):
            print("|", " | ".join(map(str, row)), "|")


if __name__ == "__main__":
    main()
