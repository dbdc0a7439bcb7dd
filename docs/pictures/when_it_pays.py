"""Draws docs/pictures/when_it_pays.png, and prints its table: python docs/pictures/when_it_pays.py

What three glimpses gain over one, over how well the best proposals fit.
"""

import json
import pathlib

import numpy as np
from matplotlib.figure import Figure

from glimpse.studies.intervals import t_interval
from glimpse.studies.resampling import over_images, resample_images

DOCS = pathlib.Path(__file__).parents[1]
MAP = "voc10_map@0.50:0.95"
REFINED = "NUM_GLIMPSES=3,POLICY=refine,SUPERVISION=every,BOX_REFERENCE=glimpse,FUSION=last,RECURRENCE=no_recurrence"
CASCADE = f"{REFINED},OWN_LAYERS=all,SCORE=mean,RELABEL_IOUS=0.5x0.6x0.7x0.7x0.7"
ONE = "NUM_GLIMPSES=1"
DATA = {  # name -> the directory of its study, the runs of one glimpse, and those of three
    "digits": ("rivals", ONE, CASCADE), "deeppcb": ("deeppcb", ONE, "NUM_GLIMPSES=3"), "bccd": ("bccd", ONE, CASCADE),
    "playing-cards": ("cards", ONE, CASCADE), "aquarium": ("aquarium", ONE, CASCADE),
    "digits, finer grid": ("proposal_fit", "STRIDE=0.2,NUM_GLIMPSES=1", "STRIDE=0.2,NUM_GLIMPSES=3")}


def runs_of(study, cell):
    """{name of the run: results} of one cell of a study."""
    paths = sorted((DOCS / "results" / study).glob(f"{cell},SEED=[0-9]/results.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def main():
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, (study, *cells) in DATA.items():
        runs = [runs_of(study, cell) for cell in cells]
        seeds = sorted(set.intersection(*({name[-1] for name in found} for found in runs)))
        ones, threes = ([f"{cell},SEED={seed}" for seed in seeds] for cell in cells)
        values = {name: result["metrics"]["test"][MAP] for found in runs for name, result in found.items()}
        before, after = ([100 * values[name] for name in names] for names in (ones, threes))
        gains = np.subtract(after, before)
        resampled = resample_images(DOCS / "results" / study, ones + threes, "test")
        intervals = [t_interval(gains), np.multiply(100, over_images(threes, ones, values, resampled)[:2])]
        shown = ["[{:+.1f}, {:+.1f}]".format(*ends) for ends in intervals]
        fit = [100 * runs[0][ones[0]]["proposal_recall"][f"test@{iou}"] for iou in ("0.50", "0.70")]
        print(f"| {name} | {fit[0]:.0f} / {fit[1]:.0f} | {np.mean(before):.1f} | {np.mean(after):.1f} | "
              f"{gains.mean():+.1f} {shown[0]} | {shown[1]} | {len(seeds)} |")
        axes.plot([fit[1]] * len(seeds), gains, "o", color="tab:red", markersize=4, alpha=0.6)
        axes.annotate(name, (fit[1] + 1.2, gains.mean()), va="center", fontsize="small")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="objects that a proposal overlaps by 0.7 or more, in percent",
             ylabel="gain of T = 3 over T = 1,\npoints of mAP 50:95, test", xlim=(0, 100))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "pictures" / "when_it_pays.png", dpi=130)


if __name__ == "__main__":
    main()
