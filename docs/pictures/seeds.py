"""Draws docs/pictures/glimpse_count.png, runs of the study `rivals` as dots: python docs/pictures/seeds.py"""

import json
import pathlib

from matplotlib.figure import Figure

DOCS = pathlib.Path(__file__).parents[1]
CODED = "SUPERVISION=every,BOX_REFERENCE=glimpse,FUSION=last"
CASCADE = "RECURRENCE=no_recurrence,OWN_LAYERS=all,SCORE=mean,RELABEL_IOUS=0.5x0.6x0.7x0.7x0.7"
SERIES = {  # name -> the axes of its runs beside T and the seed, the glimpse counts, and how it is drawn
    "cascade": (f"POLICY=refine,{CODED},{CASCADE}", (2, 3, 5), "tab:red", "v"),
    "refine": (f"POLICY=refine,{CODED},RECURRENCE=relu", (2, 3, 5), "tab:purple", "D"),
    "learned": ("POLICY=learned,SUPERVISION=last", (2, 3, 5), "tab:blue", "o"),
    "learned constant": ("POLICY=learned_constant,SUPERVISION=every", (3,), "tab:olive", "P"),
    "fixed": ("POLICY=fixed,SUPERVISION=last", (3,), "tab:orange", "s"),
    "repeat": ("POLICY=repeat,SUPERVISION=every", (3,), "tab:green", "^"),
}


def values_of(axes):
    """mAP 50:95 in percent on the test split, of every seed."""
    paths = sorted((DOCS / "results" / "rivals").glob(f"{axes},SEED=*/results.json"))
    results = [json.loads(path.read_text()) for path in paths]
    return [100 * each["metrics"]["test"]["voc10_map@0.50:0.95"] for each in results]


def main():
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    one = values_of("NUM_GLIMPSES=1")
    for place, (name, (cell, counts, colour, marker)) in enumerate(SERIES.items()):
        # A mean over fewer seeds than the others' would bend the line.
        runs = {1: one} | {count: found for count in counts
                           if len(found := values_of(f"NUM_GLIMPSES={count},{cell}")) == len(one)}
        if len(runs) == 1:
            continue
        places = [count + 0.06 * (place - 2) for count in runs]
        means = [sum(each) / len(each) for each in runs.values()]
        axes.plot(places, means, color=colour, linewidth=1.2)
        for x, each in zip(places, runs.values()):
            axes.plot([x] * len(each), each, marker, color=colour, markersize=4, alpha=0.6)
        beside = {"fixed": "bottom", "learned constant": "top"}.get(name, "center")  # these two lie at one place
        axes.annotate(name, (places[-1] + 0.15, means[-1]), color=colour, va=beside, fontsize="small")
    axes.set(xlabel="T, glimpses of each proposal", ylabel="mAP 50:95 in percent, test", xticks=[1, 2, 3, 5],
             xlim=(0.7, 6.6))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "pictures" / "glimpse_count.png", dpi=130)


if __name__ == "__main__":
    main()
