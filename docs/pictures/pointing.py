"""What can be said of pointing scenes without a network, and of the runs on them: python docs/pictures/pointing.py

Draws docs/pictures/pointing.png. Prints the mAP 50:95 of a detector that knows all but the classes of the dials, and
the table of docs/results/pointing.md, with the shares of the dials and of the digits that are found.
"""

import pathlib

import numpy as np
from matplotlib.figure import Figure
from rivals import IOUS, axes_of, cells, described, interval, percent  # beside this file

from glimpse.data.digits import REACH, DigitScenes
from glimpse.evaluation.average_precision import average_precisions
from glimpse.evaluation.matches import match, matches_file, read_matches

DOCS = pathlib.Path(__file__).parents[1]
SIZES = {"validation": 200, "test": 500}
SCENES = dict(pointing=True, digit_heights=(14, 20), most_digits=3, fragments=0)  # as configs/experiments/pointing.gin
SCORE, IOU = 0.5, 0.5  # from which an object counts as found, by a detection of its class


def dials_of(scene):
    """bool [G]: a round object that is followed by the digit of its class two diameters away."""
    centres, sizes = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2, scene.boxes[:, 2:] - scene.boxes[:, :2]
    away = np.hypot(*(centres[1:] - centres[:-1]).T) / sizes[:-1, 0]
    dials = (scene.labels[1:] == scene.labels[:-1]) & (sizes[:-1, 0] == sizes[:-1, 1]) & (abs(away - REACH) < 0.1)
    return np.append(dials, False)


def all_but_the_dials(scenes):
    """mAP 50:95 of perfect boxes, right classes of all digits, and each dial in all ten classes at a score of 0.1."""
    detections, truth = [], []
    for scene in scenes:
        dials, digits = scene.boxes[dials_of(scene)], ~dials_of(scene)
        labels = np.concatenate([scene.labels[digits], np.tile(np.arange(10), len(dials))])
        scores = np.where(np.arange(len(labels)) < digits.sum(), 1.0, 0.1)
        detections.append({"boxes": np.concatenate([scene.boxes[digits], np.repeat(dials, 10, axis=0)]),
                           "scores": scores, "labels": labels})
        truth.append({"boxes": scene.boxes, "labels": scene.labels, "difficult": scene.difficult})
    found = average_precisions(match(detections, truth, 10), DigitScenes.class_names)
    return found["voc10_map@0.50:0.95"]


def shares_found(run, split, dials):
    """Which percentages of the dials and of the digits a run finds."""
    matches = read_matches(run / matches_file(split))
    good = matches.overlaps >= IOU
    scores = np.zeros(len(dials))
    np.maximum.at(scores, matches.objects[good], matches.scores[good])
    return [100 * (scores[kind] >= SCORE).mean() for kind in (dials, ~dials)]


def everywhere(cell):
    """As `described`, of a network that looks at all windows at once."""
    steps = axes_of(cell).get("TRAIN_STEPS")
    policy = "fixed, multi-region, the nine windows of the first row" + (f"; {steps} steps" if steps else "")
    return axes_of(cell)["NUM_GLIMPSES"], policy, "last", "proposal"


def draw(scenes):
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    for axes, scene in zip(figure.subplots(1, len(scenes)), scenes):
        axes.imshow(scene.image[..., 0], cmap="gray", extent=(0, 96, 96, 0))
        for (x1, y1, x2, y2), label, dial in zip(scene.boxes, scene.labels, dials_of(scene)):
            colour = "tab:orange" if dial else "tab:blue"
            axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color=colour, linewidth=1)
            if dial:
                axes.text(x1, y1 - 1, DigitScenes.class_names[label], color=colour, fontsize=9)
        axes.set_axis_off()
    figure.savefig(DOCS / "pictures" / "pointing.png", dpi=110)


def main():
    for split in ("validation", "test"):
        scenes = list(DigitScenes(split, SIZES, **SCENES))
        dials = np.concatenate([dials_of(scene) for scene in scenes])
        print(f"{split}: {dials.sum()} dials, {(~dials).sum()} digits; all known but the classes of the dials: mAP "
              f"50:95 {100 * all_but_the_dials(scenes):.1f}", flush=True)
    rows = []
    for study in ("pointing", "pointing_everywhere"):
        for cell, seeds in cells((DOCS / "results" / study).glob("*/results.json")).items():
            over_all, *at = ([percent(result, iou) for result in seeds.values()] for iou in IOUS)
            found = [shares_found(DOCS / "results" / study / f"{cell},SEED={seed}", split, dials) for seed in seeds]
            rows.append((-np.mean(over_all), [
                *(described if study == "pointing" else everywhere)(cell), len(seeds), interval(over_all),
                *(f"{mean:.1f}" for mean in (*map(np.mean, at), *np.mean(found, axis=0)))]))
    for _, row in sorted(rows):
        print("|", " | ".join(map(str, row)), "|")
    draw(scenes[:3])


if __name__ == "__main__":
    main()
