"""Draws docs/pictures/budget.png, and prints the table of docs/results/budget.md: python docs/pictures/budget.py

What one glimpse and three reach with more weights and with more training.
"""

import pathlib

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from rivals import cells, interval, percent  # beside this file

from glimpse.studies.intervals import t_interval

DOCS = pathlib.Path(__file__).parents[1]
REFINED = "NUM_GLIMPSES=3,POLICY=refine,SUPERVISION=every,BOX_REFERENCE=glimpse,FUSION=last"
CASCADE = f"{REFINED},RECURRENCE=no_recurrence,OWN_LAYERS=all,SCORE=mean,RELABEL_IOUS=0.5x0.6x0.7x0.7x0.7"
MEMORY = "RECURRENCE=relu,OWN_LAYERS=none,SCORE=last,RELABEL_IOUS=None"
ONE = "T = 1"
# data -> its usual number of steps, and network -> runs of that many, runs of others without TRAIN_STEPS=..., colour
DATA = {
    "digits": (1500, {
        ONE: ("rivals/NUM_GLIMPSES=1", "budget/NUM_GLIMPSES=1", "tab:gray"),
        "T = 1, wide": (None, "budget/NUM_GLIMPSES=1,UNITS=640x640", "black"),
        "T = 1, wide, starts again": (None, "budget_iterated/N=1,UNITS=640x640", "tab:brown"),
        "T = 3, cascade": (f"rivals/{CASCADE}", "budget/NUM_GLIMPSES=3", "tab:red"),
        "T = 3, refine": (f"rivals/{REFINED},RECURRENCE=relu", f"budget/NUM_GLIMPSES=3,{MEMORY}", "tab:purple"),
        "T = 3, learned": (
            "rivals/NUM_GLIMPSES=3,POLICY=learned,SUPERVISION=last",
            f"budget/NUM_GLIMPSES=3,POLICY=learned,SUPERVISION=last,FUSION=max,BOX_REFERENCE=proposal,{MEMORY}",
            "tab:blue")}),
    "bccd": (1000, {
        ONE: ("bccd/NUM_GLIMPSES=1", "budget_photographs/NUM_GLIMPSES=1", "tab:gray"),
        "T = 1, wide": (None, "budget_photographs/NUM_GLIMPSES=1,UNITS=1256x1256", "black"),
        "T = 1, wide, starts again": (None, "budget_iterated/N=1,UNITS=1256x1256", "tab:brown"),
        "T = 3, cascade": (f"bccd/{CASCADE}", "budget_photographs/NUM_GLIMPSES=3", "tab:red")})}


def runs_of(usual_steps, usual, others):
    """{steps: {seed: result}} of one network; steps of which there is no run yet are left out."""
    found = {}
    for times in (1, 3, 9):
        steps = times * usual_steps
        cell = usual if usual and times == 1 else f"{others},TRAIN_STEPS={steps}"
        paths = [path for file in ("/results.json", ".json")
                 for path in (DOCS / "results").glob(f"{cell},SEED=?{file}")]
        if paths:
            found[steps] = next(iter(cells(paths).values()))
    return found


def main():
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    for axes, (data, (usual_steps, networks)) in zip(figure.subplots(1, len(DATA)), DATA.items()):
        one, weights = {}, 0
        for name, (usual, others, colour) in networks.items():
            found = runs_of(usual_steps, usual, others)
            one = one or found
            for steps, seeds in found.items():
                test = [percent(result) for result in seeds.values()]
                both = sorted(seeds.keys() & one[steps].keys())
                gains = [percent(seeds[seed]) - percent(one[steps][seed]) for seed in both]
                gain = "" if name == ONE else f"{np.mean(gains):+.1f}"
                gain += " [{:.1f}, {:.1f}]".format(*t_interval(gains)) if gain and len(gains) > 1 else ""
                weights = next(iter(seeds.values())).get("parameters", weights)  # starting again needs no more
                print(f"| {data} | {name} | {weights / 1e6:.2f} | {steps} | {len(seeds)} | {interval(test)} | {gain} |")
                axes.plot([steps] * len(test), test, "o", color=colour, markersize=4, alpha=0.6)
            if not found:
                continue  # its runs are still to come
            means = [np.mean([percent(result) for result in seeds.values()]) for seeds in found.values()]
            axes.plot(list(found), means, color=colour, linewidth=1.2)
            axes.annotate(name, (max(found), means[-1]), (6, 0), textcoords="offset points", color=colour, va="center",
                          fontsize="small")
        axes.set(xscale="log", xlabel="training steps", title=data,
                 xlim=(0.8 * usual_steps, 5 * max(one)))  # with room for the names
        axes.set_xticks(list(one), list(map(str, one)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("mAP 50:95 in percent, test")
    figure.savefig(DOCS / "pictures" / "budget.png", dpi=130)


if __name__ == "__main__":
    main()
