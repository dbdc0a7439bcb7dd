"""Draws docs/pictures/pointing.png and prints what share of the dials runs find: python docs/pictures/pointing.py"""

import pathlib

import gin
import numpy as np
from matplotlib.figure import Figure

from glimpse import config
from glimpse.data.digits import REACH, DigitScenes
from glimpse.evaluation.matches import matches_file, read_matches

DOCS = pathlib.Path(__file__).parents[1]
SCORE, IOU = 0.5, 0.5  # from which an object counts as found, by a detection of its class


def dials_of(scene):
    """bool [G]: a round object that is followed by the digit of its class two diameters away."""
    centres, sizes = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2, scene.boxes[:, 2:] - scene.boxes[:, :2]
    away = np.hypot(*(centres[1:] - centres[:-1]).T) / sizes[:-1, 0]
    dials = (scene.labels[1:] == scene.labels[:-1]) & (sizes[:-1, 0] == sizes[:-1, 1]) & (abs(away - REACH) < 0.1)
    return np.append(dials, False)


def main():
    with config.configuration("experiments/pointing.gin"):
        scenes = gin.get_configurable(DigitScenes)(split="test")
    dials = np.concatenate([dials_of(scene) for scene in scenes])
    print(f"{dials.sum()} dials, {(~dials).sum()} digits; found in percent, of dials and of digits:")
    for run in sorted((DOCS / "results" / "pointing").glob("*/results.json")):
        matches = read_matches(run.parent / matches_file("test"))
        good = matches.overlaps >= IOU
        scores = np.zeros(len(dials))
        np.maximum.at(scores, matches.objects[good], matches.scores[good])
        shares = [100 * (scores[kind] >= SCORE).mean() for kind in (dials, ~dials)]
        print(f"{run.parent.name}: {shares[0]:.1f} {shares[1]:.1f}")

    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    for axes, scene in zip(figure.subplots(1, 3), (scenes[index] for index in (1, 3, 7))):
        axes.imshow(scene.image[..., 0], cmap="gray", extent=(0, 96, 96, 0))
        for place, (x1, y1, x2, y2) in enumerate(scene.boxes):
            dial = dials_of(scene)[place]
            axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color="tab:orange" if dial else "tab:blue", lw=1)
            if dial:
                axes.text(x1, y1 - 1, DigitScenes.class_names[scene.labels[place]], color="tab:orange", fontsize=9)
        axes.set_axis_off()
    figure.savefig(DOCS / "pictures" / "pointing.png", dpi=110)


if __name__ == "__main__":
    main()
