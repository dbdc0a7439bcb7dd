"""How many times longer others take than ours, or one setting than another: bars on a logarithmic axis."""

import numpy as np
from matplotlib.figure import Figure

from glimpse.studies.pictures.lines import LEVEL
from glimpse.visualization.names import as_written

COLOUR = "#0072B2"


def plot_ratios(groups, label):
    """Draws ratios as bars that begin at 1, a panel a group.

    Args:
        groups: {title: {name: ratio above 0}}.
        label: of the axis: what over what.

    Returns:
        matplotlib.figure.Figure.
    """
    rows = [len(ratios) for ratios in groups.values()]
    figure = Figure(figsize=(7.2, 0.9 + sum(0.26 * count + 0.45 for count in rows)), layout="constrained",
                    facecolor="white")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    every = [ratio for ratios in groups.values() for ratio in ratios.values()]
    for axes, (title, ratios) in zip(panels, groups.items()):
        places, values = np.arange(len(ratios)), np.array(list(ratios.values()), float)
        axes.barh(places, values - 1, left=1, color=COLOUR, height=0.65)
        axes.axvline(1, **LEVEL)
        axes.set_yticks(places, [as_written(name) for name in ratios])
        axes.invert_yaxis()
        axes.set_title(as_written(title), fontsize="medium", loc="left")
        for place, value in zip(places, values):
            axes.annotate(f"{value:.2f}", (max(value, 1), place), (4, 0), textcoords="offset points", va="center",
                          fontsize="small")
        axes.set_xscale("log")
        axes.spines[["top", "right"]].set_visible(False)
    low, high = min([*every, 0.9]), max([*every, 1.1])
    panels[-1].set_xlim(low / 1.15, high * 1.3)
    ticks = [each for each in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low / 1.15 <= each <= high * 1.3]
    panels[-1].set_xticks(ticks, [f"{each:g}" for each in ticks])
    panels[-1].set_xlabel(label)
    for axes in panels:
        axes.minorticks_off()
    return figure
