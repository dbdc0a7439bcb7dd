"""Draws docs/pictures/when_it_pays.png, and prints its table: python docs/pictures/when_it_pays.py

What three glimpses gain over one, over how well the best proposals fit, and over how many cells an object covers.
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
TWICE = "SHORT_SIDE=960,LONGEST_SIDE=1280"
# name -> median side of a test object (square root of its area) in cells of the feature map, the directory of the
# study, the runs of one glimpse, and those of three
DATA = {
    "digits": (5.6, "rivals", ONE, CASCADE), "deeppcb": (4.3, "deeppcb", ONE, "NUM_GLIMPSES=3"),
    "bccd": (6.4, "bccd", ONE, CASCADE), "playing-cards": (10.0, "cards", ONE, CASCADE),
    "aquarium": (2.9, "aquarium", ONE, CASCADE),
    "digits, finer grid": (5.6, "proposal_fit", "STRIDE=0.2,NUM_GLIMPSES=1", "STRIDE=0.2,NUM_GLIMPSES=3"),
    "bccd, half size": (3.2, "object_size", "SHORT_SIDE=240,NUM_GLIMPSES=1", "SHORT_SIDE=240,NUM_GLIMPSES=3"),
    "bccd, third": (2.1, "object_size", "SHORT_SIDE=160,NUM_GLIMPSES=1", "SHORT_SIDE=160,NUM_GLIMPSES=3"),
    "aquarium, twice the size": (5.8, "enlarged", f"{TWICE},NUM_GLIMPSES=1", f"{TWICE},NUM_GLIMPSES=3")}

LABELLED_LEFT = "bccd, third", "digits, finer grid"  # whose labels would lie on others


def runs_of(study, cell):
    """{seed: results, with the name of their "run"} of one cell of a study."""
    paths = sorted((DOCS / "results" / study).glob(f"{cell},SEED=[0-9]/results.json"))
    return {path.parent.name[-1]: {**json.loads(path.read_text()), "run": path.parent.name} for path in paths}


def gain(study, mine, theirs):
    """Gains of runs of `runs_of` over others, paired by seed, on test images; then as texts their intervals over seeds,
    and over seeds and images ("" of one seed).
    """
    pairs = [(mine[seed], theirs[seed]) for seed in sorted({*mine} & {*theirs})]
    values = {result["run"]: result["metrics"]["test"][MAP] for pair in pairs for result in pair}
    runs = [[result["run"] for result in side] for side in zip(*pairs)]
    gains = [100 * (values[one] - values[other]) for one, other in zip(*runs)]
    if len(gains) < 2:
        return gains, "", ""
    both = over_images(*runs, values, resample_images(DOCS / "results" / study, sum(runs, []), "test"))[:2]
    intervals = t_interval(gains), np.multiply(100, both)
    return gains, *("[{:+.1f}, {:+.1f}]".format(*ends) for ends in intervals)


def main():
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for name, (cells, study, *both) in DATA.items():
        one, three = (runs_of(study, cell) for cell in both)
        gains, *shown = gain(study, three, one)
        before, after = ([100 * found[seed]["metrics"]["test"][MAP] for seed in sorted({*one} & {*three})]
                         for found in (one, three))
        fit = [100 * one[min(one)]["proposal_recall"][f"test@{iou}"] for iou in ("0.50", "0.70")]
        print(f"| {name} | {fit[0]:.0f} / {fit[1]:.0f} | {cells} | {np.mean(before):.1f} | {np.mean(after):.1f} | "
              f"{np.mean(gains):+.1f} {shown[0]} | {shown[1]} | {len(gains)} |")
        for axes, x, shift in zip(panels, (fit[1], cells), (1.5, 0.15)):
            axes.plot([x] * len(gains), gains, "o", color="tab:red", markersize=4, alpha=0.6)
            left = name in LABELLED_LEFT
            axes.annotate(name, (x - shift if left else x + shift, np.mean(gains)), va="center", fontsize="small",
                          ha="right" if left else "left")
    panels[0].set(xlabel="objects that a proposal overlaps by 0.7 or more, in percent",
                  ylabel="gain of T = 3 over T = 1,\npoints of mAP 50:95, test", xlim=(0, 100))
    panels[1].set(xlabel="median side of an object, in cells of the feature map", xlim=(0, 12))
    for axes in panels:
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "pictures" / "when_it_pays.png", dpi=130)


if __name__ == "__main__":
    main()
