"""Prints the table of docs/results/photographs.md from the runs in docs/results: python docs/pictures/photographs.py"""

import pathlib

import numpy as np
from rivals import axes_of, cells, described, interval, percent  # beside this file
from when_it_pays import CASCADE, ONE, gain, runs_of

RESULTS = pathlib.Path(__file__).parents[1] / "results"
# data -> the directory of its study, and the axes that its experiment sets
DATA = {"deeppcb": ("deeppcb", axes_of(CASCADE)), "bccd": ("bccd", {}), "playing-cards": ("cards", {}),
        "aquarium": ("aquarium", {})}


def main():
    for data, (study, left_out) in DATA.items():
        runs = cells(RESULTS.glob(f"{study}/*/results.json"))
        rows = []
        for cell, seeds in runs.items():
            results = seeds.values()
            over_all, *at = ([percent(result, iou) for result in results] for iou in ("0.50:0.95", "0.50", "0.80"))
            gained = "", ""
            if cell != ONE:
                gains, over_seeds, over_both = gain(study, runs_of(study, cell), runs_of(study, ONE))
                gained = f"{np.mean(gains):+.1f} {over_seeds}".strip(), over_both
            weights = next(iter(results))["parameters"] / 1e6
            rows.append((-np.mean(over_all), [
                data, *described(cell, {} if cell == ONE else left_out), f"{weights:.2f}", len(seeds),
                interval(over_all), *gained, *(f"{np.mean(values):.1f}" for values in at)]))
        for _, row in sorted(rows):
            print("|", " | ".join(map(str, row)), "|")


if __name__ == "__main__":
    main()
