"""Curves of a study over the IoU threshold and over the steps of the training.

A panel is a policy, a line in it a value of the axis x of the study, usually of the number of glimpses.
A cell that policies share, as the one with one glimpse, is drawn in black in the panel of each.
"""

import math

import numpy as np
from matplotlib import colormaps

from glimpse.studies.pictures.lines import (
    LEVEL,
    axis_label,
    finish,
    lines_over,
    panel_grid,
    positions_of,
    value_label,
)

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Labels of what the trainer logs.
QUANTITIES = {
    "class_loss": "class loss (nats a RoI)",
    "box_loss": "box loss (smooth L1, a RoI)",
    "decay_loss": "weight decay",
    "policy_loss": "policy loss (surrogate)",
    "reward": "P × IoU (0 to 1)",
    "validation_map": "validation mAP 50:95 (0 to 1)",
}


def plot_map_over_iou(curves, x="NUM_GLIMPSES"):
    """Draws mAP over the IoU threshold.

    Args:
        curves: DataFrame with a row a cell and threshold: the axes, "iou" in 0..1, and "mean", "low" and
            "high" of mAP in 0..1 (NaN: no interval, which is otherwise drawn as a band).
        x: the axis whose values are the lines; numbers, or an ordered category.

    Returns:
        matplotlib.figure.Figure.
    """
    figure, panels = _curves(curves, x, "iou", "IoU threshold", ("mean", "low", "high"), "mAP (%)")
    # The t interval over two seeds reaches beyond what mAP can be; the axis, which the panels share, does not.
    panels[0].set_ylim(bottom=0, top=min(100, panels[0].get_ylim()[1]))
    return figure


def plot_difference_over_iou(curves, x="NUM_GLIMPSES"):
    """Draws the paired difference to one glimpse over the IoU threshold.

    Args:
        curves: DataFrame with a row a cell and threshold: the axes, "iou" in 0..1, and "difference",
            "difference_low" and "difference_high" in -1..1 (NaN: none; such lines are left out).
        x: the axis whose values are the lines; numbers, or an ordered category.

    Returns:
        matplotlib.figure.Figure.
    """
    columns = ("difference", "difference_low", "difference_high")
    figure, panels = _curves(curves, x, "iou", "IoU threshold", columns, "mAP difference (points)")
    for panel in panels:
        panel.axhline(0, **LEVEL)
    return figure


def plot_learning_curves(curves, quantity, x="NUM_GLIMPSES"):
    """Draws one logged quantity over the steps of the training, with the range over the seeds as a band.

    Args:
        curves: DataFrame with a row a cell, quantity and logged step: the axes, "quantity", "step", "mean", "low"
            and "high" in the quantity's unit.
        quantity: which, such as "class_loss" or "reward".
        x: the axis whose values are the lines; numbers, or an ordered category.

    Returns:
        matplotlib.figure.Figure.
    """
    label = QUANTITIES.get(quantity, quantity.replace("_", " "))
    # The other quantities stay, as missing, so that a value of x has the same colour in the pictures of all.
    curves = curves.assign(mean=curves["mean"].where(curves["quantity"] == quantity))
    return _curves(curves, x, "step", "training step", ("mean", "low", "high"), label, scale=1, marks=False)[0]


def _curves(curves, x, over, xlabel, columns, ylabel, scale=100, marks=True):
    """A figure and its panels, with the three `columns` (value, low, high) of the curves drawn over a fourth."""
    values = list(positions_of(curves[x]))
    curves = curves.dropna(subset=columns[0]).reset_index(drop=True)
    lines, shared = lines_over(curves, x)
    figure, panels, lowest, leftmost = panel_grid(len(lines), sharex=True, sharey=True)
    # From dark to light, without the palest end, which is hard to see on white.
    colours = dict(zip(values, colormaps["viridis"](np.linspace(0.15, 0.85, len(values)))))
    markers = dict(zip(values, MARKERS * math.ceil(len(values) / len(MARKERS))))
    for panel, line in zip(panels, lines):
        panel.set_title(line.label, fontsize="medium")
        for value, curve in line.cells.groupby(x, observed=True):
            curve = curve.sort_values(over)
            colour = "black" if curve.index.isin(shared.index).all() else colours[value]
            middle, low, high = (scale * curve[column].to_numpy(float) for column in columns)
            mark = {"marker": markers[value], "markersize": 3.5} if marks else {}
            panel.plot(curve[over], middle, color=colour, label=value_label(value), **mark)
            panel.fill_between(curve[over], low, high, color=colour, alpha=0.2, linewidth=0)
    for panel in lowest:
        panel.set_xlabel(xlabel)
        panel.tick_params(labelbottom=True)  # also where a row above is the last of its column
    for panel in leftmost:
        panel.set_ylabel(ylabel)
    finish(figure, panels, legend_title=axis_label(x))
    return figure, panels
