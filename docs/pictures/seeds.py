"""Draws docs/pictures/glimpse_count.png, every run of the study as a dot: python docs/pictures/seeds.py"""

import collections
import json
import pathlib

from matplotlib.figure import Figure

DOCS = pathlib.Path(__file__).parents[1]
STYLES = {"learned": ("tab:blue", "o"), "fixed": ("tab:orange", "s"), "repeat": ("tab:green", "^"),
          "random": ("tab:red", "v")}


def values_of(study, metric="voc10_map@0.50:0.95", split="test"):
    """(policy, T) -> mAP in percent of each seed; the policy of T = 1 is None."""
    values = collections.defaultdict(list)
    for path in sorted((DOCS / "results" / study).glob("*/results.json")):
        axes = dict(axis.split("=") for axis in path.parent.name.split(","))
        results = json.loads(path.read_text())
        values[axes.get("POLICY"), int(axes["NUM_GLIMPSES"])].append(100 * results["metrics"][split][metric])
    return values


def main():
    values = values_of("glimpse_count")
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, (policy, (colour, marker)) in enumerate(STYLES.items()):
        shift = 0.06 * (place - 1.5)
        runs = {1: values[None, 1]} | {t: values[policy, t] for t in (2, 3, 5)}
        means = [sum(each) / len(each) for each in runs.values()]
        axes.plot([t + shift for t in runs], means, color=colour, linewidth=1.2)
        for t, each in runs.items():
            axes.plot([t + shift] * len(each), each, marker, color=colour, markersize=4, alpha=0.6)
        axes.annotate(policy, (5.2, means[-1]), color=colour, va="center")
    axes.set(xlabel="T, glimpses of each proposal", ylabel="mAP 50:95 in percent, test", xticks=[1, 2, 3, 5],
             xlim=(0.7, 5.9))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "pictures" / "glimpse_count.png", dpi=130)


if __name__ == "__main__":
    main()
