"""Prints the tables of docs/results/rivals.md from the runs in docs/results: python docs/pictures/rivals.py"""

import json
import pathlib
from collections import defaultdict

import numpy as np

from glimpse.studies.intervals import t_interval

RESULTS = pathlib.Path(__file__).parents[1] / "results"
IOUS = "0.50:0.95", "0.50", "0.70", "0.80"


def percent(result, iou="0.50:0.95"):
    """mAP on test scenes, in percent."""
    return 100 * result["metrics"]["voc10_map@" + iou]


def cells(paths):
    """{cell: {seed: result, with the metrics on test scenes}} of files named after runs, or in directories so named."""
    found = defaultdict(dict)
    for path in sorted(paths):
        name = path.parent.name if path.name == "results.json" else path.stem
        result = json.loads(path.read_text())
        result["metrics"] = result["metrics"].get("test", result["metrics"])
        cell, _, seed = name.rpartition(",SEED=")
        found[cell][seed] = result
    return found


def axes_of(cell):
    return dict(part.split("=", 1) for part in cell.split(","))


def described(cell, left_out={}):
    """(T, policy, after which glimpses the heads learn, what boxes are coded from) of a run's name; `left_out` are the
    axes that its experiment sets.
    """
    axes = left_out | axes_of(cell)
    policy = axes.get("POLICY", "none").replace("_", " ").replace("oracle", "*oracle: the true box*")
    if axes.get("OWN_LAYERS", "none") != "none":
        own = "layers" if axes["OWN_LAYERS"] == "all" else "heads"
        more = [f"own {own} for each glimpse", "no memory", "labels anew", "mean score"]
        policy = f"cascade: {policy}"
    else:
        more = ["deformable"] * ("POOLING" in axes) + ["multi-region"] * ("CONTROLLER" in axes)
        more += ['fusion "last"'] * ("FUSION" in axes and "CONTROLLER" not in axes)
        more += ["no memory"] * (axes.get("RECURRENCE") == "no_recurrence")
    again = axes.get("N")
    policy += f"; starts again {again} time{'s'[:again != '1']}" if again else ""
    heads = axes.get("SUPERVISION", "last" if "POLICY" in axes else "")
    coded = "last glimpse" if axes.get("BOX_REFERENCE") == "glimpse" else "proposal"
    return axes.get("NUM_GLIMPSES", "1"), ", ".join([policy, *more]), heads, coded


def interval(values):
    return f"{np.mean(values):.1f}" + ("" if len(values) < 2 else " [{:.1f}, {:.1f}]".format(*t_interval(values)))


def printed(rows):
    """The rows of a table, given with what they are sorted by."""
    for *_, row in sorted(rows):
        print("|", " | ".join(map(str, row)), "|")


def by_result(cell, seeds):
    """What sorts a table: by mAP; the oracle is a ceiling and comes last."""
    return "oracle" in cell, -np.mean([percent(result) for result in seeds.values()])


def results(runs):
    rows = []
    for cell, seeds in runs.items():
        over_all, *at = ([percent(result, iou) for result in seeds.values()] for iou in IOUS)
        rows.append((*by_result(cell, seeds), [
            *described(cell), len(seeds), interval(over_all), *(f"{np.mean(values):.1f}" for values in at)]))
    return rows


def stopped_early(runs):
    rows = []
    for cell, seeds in cells(RESULTS.glob("stopping/*.json")).items():
        both = sorted({*seeds} & {*runs[cell]})
        whole, early = ([percent(of[seed]) for seed in both] for of in (runs[cell], seeds))
        glimpses = np.mean([seeds[seed]["glimpses_per_proposal"] for seed in both])
        rows.append((*by_result(cell, {seed: runs[cell][seed] for seed in both}), [
            *described(cell), len(both), f"{np.mean(whole):.1f}", f"{np.mean(early):.1f}", f"{glimpses:.2f}"]))
    return rows


def costs(runs):
    measured = json.loads((RESULTS / "speed" / "rivals.json").read_text())["rows"]
    one = next(cost for cost in measured if cost["row"] == "NUM_GLIMPSES=1")
    rows = []
    for cost in measured:
        cell = cost["row"]
        times = [figure for key in ("step_ms", "image_ms")
                 for figure in (f"{cost[key]:.1f}", f"{cost[key] / one[key]:.2f}")]
        rows.append((*by_result(cell, runs[cell]), [*described(cell), f"{cost['parameters'] / 1e6:.2f}", *times]))
    return rows


def main():
    runs = cells(RESULTS.glob("rivals/*/results.json"))
    for rows in results(runs | cells(RESULTS.glob("iterated/*.json"))), stopped_early(runs), costs(runs):
        printed(rows)


if __name__ == "__main__":
    main()
