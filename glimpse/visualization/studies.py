"""Pictures of a study: mAP over the number of glimpses and over the IoU threshold.

All take the tables of `glimpse.evaluation.studies.summarise`, in which the axes of the study are the columns
with UPPER_CASE names. A line, or a panel, is a combination of all axes but x: usually, a policy. Colours of
policies are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind readers can tell
apart; the markers differ as well.
"""

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def plot_map_over_glimpses(table, x="NUM_GLIMPSES", metric="mAP"):
    """Draws mAP over an axis of the study, one line a policy, with its interval as error bars.

    A single cell that the lines share, as the one with one glimpse, in which there is no policy, is drawn once,
    in black, with a dashed level to compare with; the lines start there.

    Args:
        table: DataFrame with a row a cell: the axes, and "mean", "low" and "high" of mAP in 0..1 (NaN: no
            interval).
        x: the axis to draw over; numeric.
        metric: what the means are, as the label of the vertical axis shows it.

    Returns:
        matplotlib.figure.Figure.
    """
    table = table.reset_index(drop=True)
    lines, shared = _lines_and_shared(table, x)
    reference = shared if len(shared) == 1 else shared.iloc[:0]
    values = np.unique(table[x].to_numpy(float))
    spacing = 0.05 * np.diff(values).min() if len(values) > 1 else 0.0

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    for i, (label, cells) in enumerate(lines.items()):
        offset = spacing * (i - (len(lines) - 1) / 2)  # so that error bars stand side by side
        own = ~cells.index.isin(reference.index)
        positions = cells[x].to_numpy(float) + offset * own
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(positions, 100 * cells["mean"], color=colour, linewidth=1.5)
        _error_bars(axes, positions[own], cells[own], color=colour, marker=MARKERS[i % len(MARKERS)], label=label)
    for value, mean in zip(reference[x].to_numpy(float), 100 * reference["mean"]):
        label = f"{_axis_label(x)} = {value:g}"
        _error_bars(axes, np.array([value]), reference, color="black", marker="o", label=label, zorder=3)
        axes.axhline(mean, color="black", linewidth=0.8, linestyle=(0, (5, 5)))

    axes.set_xlabel(_axis_label(x))
    axes.set_ylabel(f"{metric} (%)")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.margins(x=0.08, y=0.1)
    _finish(figure, [axes])
    return figure


def plot_map_over_iou(curves, x="NUM_GLIMPSES"):
    """Draws mAP over the IoU threshold, one panel a policy and in it one line a value of x.

    A cell that policies share, as the one with one glimpse, is drawn in black in the panel of each.

    Args:
        curves: DataFrame with a row a cell and threshold: the axes, "iou" in 0..1, and "mean", "low" and
            "high" of mAP in 0..1 (NaN: no interval, which is otherwise drawn as a band).
        x: the axis whose values are the lines; numeric.

    Returns:
        matplotlib.figure.Figure.
    """
    figure, panels = _panels_over_iou(curves, x, ("mean", "low", "high"), "mAP (%)")
    panels[0].set_ylim(bottom=0)
    return figure


def plot_difference_over_iou(curves, x="NUM_GLIMPSES"):
    """Draws the paired difference to one glimpse over the IoU threshold, laid out as `plot_map_over_iou`.

    Args:
        curves: DataFrame with a row a cell and threshold: the axes, "iou" in 0..1, and "difference",
            "difference_low" and "difference_high" in -1..1 (NaN: none; such lines are left out).
        x: the axis whose values are the lines; numeric.

    Returns:
        matplotlib.figure.Figure.
    """
    columns = ("difference", "difference_low", "difference_high")
    figure, panels = _panels_over_iou(curves, x, columns, "mAP difference (points)")
    for panel in panels:
        panel.axhline(0, color="black", linewidth=0.8, linestyle=(0, (5, 5)))
    return figure


def _panels_over_iou(curves, x, columns, ylabel):
    """A figure and its panels, with the three `columns` (value, low, high) of the curves in percent."""
    values = np.unique(curves[x].to_numpy(float))
    curves = curves.dropna(subset=columns[0]).reset_index(drop=True)
    lines, shared = _lines_and_shared(curves, x)
    across = 2 if len(lines) == 4 else min(len(lines), 3)
    down = math.ceil(len(lines) / across)
    figure = Figure(figsize=(max(0.8 + 3.2 * across, 5.6), 1.4 + 2.6 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for unused in panels[len(lines) :]:
        unused.set_axis_off()
    panels = panels[: len(lines)]

    # From dark to light, without the palest end, which is hard to see on white.
    colours = dict(zip(values, colormaps["viridis"](np.linspace(0.15, 0.85, len(values)))))
    markers = dict(zip(values, MARKERS * math.ceil(len(values) / len(MARKERS))))
    for panel, (title, cells) in zip(panels, lines.items()):
        panel.set_title(title, fontsize="medium")
        for value, curve in cells.groupby(x):
            curve = curve.sort_values("iou")
            colour = "black" if curve.index.isin(shared.index).all() else colours[value]
            middle, low, high = (100 * curve[column].to_numpy(float) for column in columns)
            panel.plot(curve["iou"], middle, color=colour, marker=markers[value], markersize=3.5, label=f"{value:g}")
            panel.fill_between(curve["iou"], low, high, color=colour, alpha=0.2, linewidth=0)
    for panel in panels[-across:]:
        panel.set_xlabel("IoU threshold")
        panel.tick_params(labelbottom=True)  # also where a row above is the last of its column
    for panel in panels[::across]:
        panel.set_ylabel(ylabel)
    _finish(figure, panels, legend_title=_axis_label(x))
    return figure, panels


def _lines_and_shared(table, x):
    """The lines of a picture over x, and the cells that lines share.

    A cell is shared if it has no value on some axis and agrees on all others with the cells of a line: with
    one glimpse there is no policy.

    Returns:
        {label: the cells of a line in ascending x, the shared ones among them}, and the shared cells.
    """
    others = [column for column in table.columns if column.isupper() and column not in (x, "SEED")]
    values = table[others].astype(object)
    keys = [tuple(key) for key in values.where(values.notna(), None).to_numpy()]
    shared = [any(_extends(other, key) for other in keys) for key in keys]
    lines = {}
    for line in dict.fromkeys(key for key, is_shared in zip(keys, shared) if not is_shared):
        mine = [key == line or _extends(line, key) for key in keys]
        lines[_line_label(others, line)] = table[mine].sort_values(x)
    return lines, table[shared]


def _extends(key, other):
    """Whether `key` is `other` with some of its missing values given."""
    return key != other and all(b is None or a == b for a, b in zip(key, other))


def _line_label(axes, key):
    """"learned" or "learned, POOLED_SIZE=3": a policy's name speaks for itself."""
    named = [(axis, value) for axis, value in zip(axes, key) if value is not None]
    return ", ".join(str(value) if axis == "POLICY" else f"{axis}={value}" for axis, value in named)


def _axis_label(x):
    return "number of glimpses" if x == "NUM_GLIMPSES" else x.lower().replace("_", " ")


def _error_bars(axes, positions, cells, **style):
    """Points with their intervals, in percent; a point that has no interval stands alone."""
    means, low, high = (100 * cells[column].to_numpy(float) for column in ("mean", "low", "high"))
    bars = np.maximum([means - low, high - means], 0)  # equal values may differ from their mean in the last bit
    axes.errorbar(positions, means, bars, linestyle="none", capsize=3, markersize=5, **style)


def _finish(figure, panels, legend_title=None):
    """What the pictures have in common: a light grid, no box, and one legend below the data."""
    for panel in panels:
        panel.grid(color="0.9", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    handles = {label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels())}
    if handles:
        widths = [len(label) + 6 for label in handles]  # in characters; a mark takes as much as six
        room = int(11 * figure.get_figwidth())
        columns = len(handles) if sum(widths) <= room else max(1, room // max(widths))
        place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
        figure.legend(handles.values(), handles.keys(), title=legend_title, **place)
