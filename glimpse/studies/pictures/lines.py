"""What the pictures of a study have in common: their lines, how each is drawn, and the frame around them.

A picture draws a table over one of its axes, x; a line is a combination of all its other axes, usually a policy. A
policy has the same colour and marker in every picture. Colours are those of Okabe and Ito ("Color Universal Design",
2008), which colour-blind readers can tell apart; the markers differ as well.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

# Colour and marker of what has no policy, as one glimpse, of each policy, and in turn of further ones.
NO_POLICY = ("black", "o")
POLICIES = {
    "learned": ("#D55E00", "s"), "fixed": ("#0072B2", "^"), "random": ("#009E73", "D"), "repeat": ("#CC79A7", "v"),
}
FURTHER = (("#E69F00", "P"), ("#56B4E9", "X"), ("#999999", "<"))
LINE_STYLES = ("-", "--", ":", "-.")
LEVEL = {"color": "black", "linewidth": 0.8, "linestyle": (0, (5, 5))}  # a level to compare with


class Line(NamedTuple):
    """A line of a picture: its name, its cells in ascending x, and how to draw it, as arguments of `Axes.plot`."""

    label: str
    cells: pd.DataFrame
    style: dict


def lines_over(table, x):
    """The lines of a picture over x, and the cells that lines share.

    A cell is shared if it has no value on some axis and agrees on all others with the cells of a line: with
    one glimpse there is no policy.

    Args:
        table: DataFrame with a row a cell; its UPPER_CASE columns are the axes.
        x: the axis to draw over.

    Returns:
        list of Line, with the shared cells among those of each, and a DataFrame of the shared cells.
    """
    others = [column for column in table.columns if column.isupper() and column not in (x, "SEED")]
    values = table[others].astype(object)
    keys = [tuple(key) for key in values.where(values.notna(), None).to_numpy()]
    distinct = list(dict.fromkeys(keys))
    shared = {key for key in distinct if any(_extends(other, key) for other in distinct)}
    own = [key for key in distinct if key not in shared]
    lines = []
    for key, style in zip(own, _styles(others, own)):
        mine = [other == key or _extends(key, other) for other in keys]
        lines.append(Line(_label(others, key), table[mine].sort_values(x), style))
    return lines, table[[key in shared for key in keys]]


def _extends(key, other):
    """Whether `key` is `other` with some of its missing values given."""
    return key != other and all(b is None or a == b for a, b in zip(key, other))


def _label(axes, key):
    """"learned" or "learned, POOLED_SIZE=3": a policy's name speaks for itself."""
    named = [(axis, value) for axis, value in zip(axes, key) if value is not None]
    return ", ".join(str(value) if axis == "POLICY" else f"{axis}={value}" for axis, value in named)


def _styles(axes, keys):
    """How to draw the line of each key: colour and marker tell the policy, dashes the lines of one policy apart.

    Without the axis POLICY each line has a colour of its own.
    """
    names = [key[axes.index("POLICY")] if "POLICY" in axes else _label(axes, key) or None for key in keys]
    further = sorted({name for name in names if name is not None} - set(POLICIES))
    of_name = {None: NO_POLICY} | POLICIES | {name: FURTHER[i % len(FURTHER)] for i, name in enumerate(further)}
    styles = []
    for i, name in enumerate(names):
        colour, marker = of_name[name]
        dashes = LINE_STYLES[names[:i].count(name) % len(LINE_STYLES)]
        styles.append({"color": colour, "marker": marker, "linestyle": dashes})
    return styles


def positions_of(axis):
    """Where the values of an axis stand: numbers where they are, sizes such as 3x7 one after the other.

    Args:
        axis: Series of numbers, or an ordered category.

    Returns:
        {value: position}, in ascending order.
    """
    values = axis.drop_duplicates().sort_values()
    if isinstance(axis.dtype, pd.CategoricalDtype):
        return {value: float(place) for place, value in enumerate(values)}
    return {value: float(value) for value in values}


def value_label(value):
    """"3" for 3 and 3.0, "3x7" for itself."""
    return value if isinstance(value, str) else f"{value:g}"


def axis_label(x):
    if x == "POOLED_SIZE":
        return "pooled size (cells)"
    return "number of glimpses" if x == "NUM_GLIMPSES" else x.lower().replace("_", " ")


def values_and_bars(cells, columns, scale):
    """Values and the lengths of their error bars, scaled; a value without an interval has bars of NaN, not drawn.

    Args:
        cells: DataFrame with N rows.
        columns: names of the columns of the value, the low and the high end.
        scale: factor of all three.

    Returns:
        Two float arrays, [N] and [2, N].
    """
    values, low, high = (scale * cells[column].to_numpy(float) for column in columns)
    # Equal values may differ from their mean in the last bit.
    return values, np.maximum([values - low, high - values], 0)


def panel_grid(count, height=2.6, **sharing):
    """A figure of `count` panels, at most three across, each `height` inches high; two by two where there are four.

    Returns:
        The figure; the panels as an array; those at the bottom of a column, and those at the left of a row.
    """
    across = 2 if count == 4 else min(count, 3)
    down = math.ceil(count / across)
    figure = Figure(figsize=(max(0.8 + 3.2 * across, 5.6), 1.4 + height * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, **sharing).ravel()
    for unused in panels[count:]:
        unused.set_axis_off()
    panels = panels[:count]
    return figure, panels, panels[-across:], panels[::across]


def finish(figure, panels, legend_title=None):
    """A light grid, no box, and one legend below the data."""
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
