"""Pictures of a study: mAP, errors and time over an axis such as the number of glimpses, mAP over time, by class.

All take tables of `glimpse.studies.tables`, in which the axes of the study are the columns with UPPER_CASE
names. A line is a combination of all axes but x: usually, a policy.
"""

import numpy as np
from matplotlib.figure import Figure

from glimpse.studies.pictures.lines import (
    LEVEL,
    MANY,
    NO_POLICY,
    axis_label,
    finish,
    lines_over,
    name_at_ends,
    panel_grid,
    positions_of,
    value_label,
    values_and_bars,
)
from glimpse.visualization.names import as_written

SIZE = (7.2, 4.8)  # of a picture with one panel, in inches
INTERVAL = ("mean", "low", "high")


def plot_map_over_glimpses(table, x="NUM_GLIMPSES", metric="mAP"):
    """Draws mAP over an axis of the study, one line a policy, with its interval as error bars.

    A cell that lines share, as the one with one glimpse, in which there is no policy, is drawn once, in black, and
    with a dashed level to compare with where it is the only one; the lines start there. Lines are named in the order of
    the table; from five on at their ends, else in a legend.

    Args:
        table: DataFrame with a row a cell: the axes, and "mean", "low" and "high" of mAP in 0..1 (NaN: no
            interval).
        x: the axis to draw over; numbers, or an ordered category.
        metric: what the means are, as the label of the vertical axis shows it.

    Returns:
        matplotlib.figure.Figure.
    """
    return _plot_over(table, x, INTERVAL, f"{metric} (%)", scale=100)


def plot_difference_by_class(table, x="NUM_GLIMPSES"):
    """Draws the paired difference of each class's AP to one glimpse, one panel a value of x, one mark a policy.

    Classes stand in the order of their mean difference, the largest on top; so do policies in that of the legend.

    Args:
        table: DataFrame with a row a cell and class: the axes, "class", and "difference", "difference_low" and
            "difference_high" of AP in -1..1 (NaN: none; such cells are left out).
        x: the axis whose values are the panels; numbers, or an ordered category.

    Returns:
        matplotlib.figure.Figure.
    """
    table = table.dropna(subset="difference").reset_index(drop=True)
    order = table.groupby("class")["difference"].mean().sort_values().index
    lines, _ = lines_over(table, x)
    height = 0.5 + len(order) * max(0.25, 0.11 * len(lines))
    figure, panels, lowest, _ = panel_grid(len(positions_of(table[x])), height, sharex=True, sharey=True)
    for panel, value in zip(panels, positions_of(table[x])):
        panel.set_title(f"{axis_label(x)}: {value_label(value)}", fontsize="medium")
        panel.axvline(0, **LEVEL)
        for i, line in enumerate(lines):
            cells = line.cells[line.cells[x] == value]
            places = order.get_indexer(cells["class"]) + 0.7 * ((len(lines) - 1) / 2 - i) / len(lines)
            differences, bars = values_and_bars(cells, ("difference", "difference_low", "difference_high"), 100)
            style = line.style | {"linestyle": "none"}
            panel.errorbar(differences, places, xerr=bars, markersize=4, elinewidth=1, label=line.label, **style)
        panel.set_yticks(range(len(order)), [as_written(name) for name in order])
    for panel in lowest:
        panel.set_xlabel("AP difference (points)")
        panel.tick_params(labelbottom=True)
    finish(figure, panels)
    return figure


def plot_errors_by_kind(table, x="NUM_GLIMPSES"):
    """Draws the AP that mending each kind of error would gain over an axis of the study, a panel a kind.

    Args:
        table: DataFrame with a row a cell and kind: the axes, "kind", and "mean", "low" and "high" of AP in 0..1
            (NaN: no interval; none is drawn where lines are many).
        x: the axis to draw over; numbers, or an ordered category.

    Returns:
        matplotlib.figure.Figure.
    """
    table = table.dropna(subset="mean").reset_index(drop=True)
    if len(lines_over(table, x)[0]) >= MANY:  # else one would see bars alone
        table = table.assign(low=np.nan, high=np.nan)
    kinds = list(dict.fromkeys(table["kind"]))
    figure, panels, lowest, leftmost = panel_grid(len(kinds), sharex=True, sharey=True)
    for panel, kind in zip(panels, kinds):
        panel.set_title(kind, fontsize="medium")
        _draw_over(panel, table[table["kind"] == kind].reset_index(drop=True), x, INTERVAL, scale=100)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelbottom=True)
    for panel in lowest:
        panel.set_xlabel(axis_label(x))
    for panel in leftmost:
        panel.set_ylabel("mAP 50 to gain (points)")
    finish(figure, panels)
    return figure


def _plot_over(table, x, columns, ylabel, scale):
    """A figure with the three `columns` (value, low, high) over the axis x, scaled."""
    table = table.dropna(subset=columns[0]).reset_index(drop=True)
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    lines, shared, places = _draw_over(axes, table, x, columns, scale)
    if len(shared) == 1:
        axes.axhline(scale * float(shared[columns[0]].iloc[0]), **LEVEL)
    axes.set_xlabel(axis_label(x))
    axes.set_ylabel(ylabel)
    axes.margins(x=0.08, y=0.1)
    finish(figure, [axes], without=_name_many(axes, lines, places, scale * table[columns[0]].astype(float)))
    return figure


def _name_many(axes, lines, places, values):
    """Names the lines of a single panel at their ends where they are many; returns the names that need no legend."""
    if len(lines) < MANY:
        return ()
    longest = max(len(line.label) for line in lines)
    axes.figure.set_size_inches(SIZE[0] + 0.5 + 0.07 * longest, max(SIZE[1], 0.2 * len(lines) + 1.5))
    name_at_ends(axes, lines, places, values)
    return {line.label for line in lines}


def _draw_over(axes, table, x, columns, scale):
    """Draws a table, indexed from 0, over the axis x; returns its lines, their shared cells, and where each cell is."""
    lines, shared = lines_over(table, x)
    positions = positions_of(table[x])
    places = table[x].map(positions).astype(float)
    spacing = np.diff(list(positions.values())).min() if len(positions) > 1 else 0.0
    spacing *= min(0.05, 0.4 / max(len(lines), 1))
    for i, line in enumerate(lines):  # error bars stand side by side
        places[line.cells.index.difference(shared.index)] += spacing * (i - (len(lines) - 1) / 2)
    _draw(axes, lines, shared, x, places, columns, scale)
    axes.set_xticks(list(positions.values()), [value_label(value) for value in positions])
    return lines, shared, places


def _draw(axes, lines, shared, x, places, columns, scale):
    """Draws lines, and the shared cells that they start from once, in black; `places` is the x of each cell."""
    for line in lines:
        values, bars = values_and_bars(line.cells, columns, scale)
        at, own = places[line.cells.index].to_numpy(), ~line.cells.index.isin(shared.index)
        axes.plot(at, values, linewidth=1.5, **line.style | {"marker": ""})
        _marks(axes, at[own], values[own], bars[:, own], line.label, **line.style)
    if len(shared):
        label = f"{axis_label(x)} = {', '.join(map(value_label, positions_of(shared[x])))}"
        colour, marker = NO_POLICY
        values, bars = values_and_bars(shared, columns, scale)
        _marks(axes, places[shared.index], values, bars, label, color=colour, marker=marker, zorder=3)


def _marks(axes, places, values, bars, label, **style):
    bars = None if np.isnan(bars).all() else bars  # else the legend would show some
    axes.errorbar(places, values, bars, capsize=3, markersize=5, label=label, **style | {"linestyle": "none"})
