"""Draws docs/pictures/zoom.png, and prints the table of docs/results/zoom.md: python docs/pictures/zoom.py

mAP over the time of an image, of glimpses of a shared map, and of a first one of a coarse map and crops of the picture.
"""

import json
import pathlib

import numpy as np
from matplotlib.figure import Figure
from rivals import cells, interval, percent  # beside this file

DOCS = pathlib.Path(__file__).parents[1]
PICTURE = 640  # pixels a side
COLOURS = {640: "tab:red", 320: "tab:orange", 160: "tab:gray"}  # by the side of what is pooled from first


def described(cell):
    """(side of what the first glimpse is pooled from, whether further ones are cut from the picture, T) of a run."""
    axes = dict(part.split("=", 1) for part in cell.split(","))
    cut = axes["POOLING"] == "zoom"
    return PICTURE // int(axes["ZOOM"]) if cut else int(axes["SHORT_SIDE"]), cut, int(axes["NUM_GLIMPSES"])


def main():
    runs = cells((DOCS / "results" / "zoom").glob("*/results.json"))
    timed = json.loads((DOCS / "results" / "zoom" / "glimpses.json").read_text())["detection"]
    milliseconds = {row["run"].rpartition(",SEED=")[0]: row["ms"] for row in timed}
    points = {}
    for cell, seeds in sorted(runs.items(), key=lambda each: described(each[0])):
        side, cut, glimpses = described(cell)
        over_all, half, high = ([percent(result, iou) for result in seeds.values()]
                                for iou in ("0.50:0.95", "0.50", "0.80"))
        taken = np.mean([result["glimpses_per_proposal"]["test"] for result in seeds.values()])
        further = "" if glimpses == 1 else f"cut from the picture, {PICTURE}" if cut else f"the same map, {side}"
        time = f"{milliseconds[cell]:.0f}" if cell in milliseconds else ""
        print(f"| {side} | {further} | {glimpses} | {interval(over_all)} | {np.mean(half):.1f} | {np.mean(high):.1f} | "
              f"{taken:.2f} | {time} | {len(seeds)} |")
        if cell in milliseconds:
            points[side, cut, glimpses] = milliseconds[cell], np.mean(over_all)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for side, colour in COLOURS.items():
        for cut in (False, True):
            # Of one glimpse, both are the same network.
            line = {glimpses: points.get((side, cut and glimpses > 1, glimpses)) for glimpses in (1, 2, 3)}
            line = {glimpses: point for glimpses, point in line.items() if point}
            if not any((side, cut, glimpses) in points for glimpses in line):
                continue
            axes.plot(*zip(*line.values()), "--o" if cut else "-o", color=colour, markersize=4)
            for glimpses, point in line.items():
                axes.annotate(f"T = {glimpses}", point, (5, -3), textcoords="offset points", fontsize="small",
                              color=colour)
            last = line[max(line)]
            axes.annotate(f"map of {side}" + (", then cut from the picture" if cut else ""), last, (5, 7),
                          textcoords="offset points", fontsize="small", color=colour)
    axes.set(xlabel="milliseconds an image", ylabel="mAP 50:95 in percent, test", xlim=(0, 1.6 * axes.get_xlim()[1]))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "pictures" / "zoom.png", dpi=130)


if __name__ == "__main__":
    main()
