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

from glimpse.studies.runs import cell_name
from glimpse.visualization.names import as_written

# Colour and marker of what has no policy, as one glimpse, of each policy, and in turn of further ones.
NO_POLICY = ("black", "o")
POLICIES = {
    "learned": ("#D55E00", "s"), "fixed": ("#0072B2", "^"), "random": ("#009E73", "D"), "repeat": ("#CC79A7", "v"),
}
FURTHER = (
    ("#E69F00", "P"), ("#56B4E9", "X"), ("#999999", "<"), ("#882255", "*"), ("#117733", ">"), ("#332288", "p"),
    ("#8C6D31", "h"), ("#44AA99", "d"), ("#AA4499", "8"), ("#555555", "H"),
)
# Of lines of one policy, in turn: dashes, and how the marker is filled.
LINE_STYLES = (("-", "full"), ("--", "none"), (":", "left"), ("-.", "bottom"))
MANY = 5  # from so many lines on, each is named at its end rather than in a legend, where there is one panel
LEVEL = {"color": "black", "linewidth": 0.8, "linestyle": (0, (5, 5))}  # a level to compare with


class Line(NamedTuple):
    """A line of a picture: its name, its cells in ascending x, and how to draw it, as arguments of `Axes.plot`."""

    label: str
    cells: pd.DataFrame
    style: dict


def lines_over(table, x):
    """The lines of a picture over x, in the order of the table, and the cells that lines share.

    A cell is shared if it has no value on some axis and agrees on all others with the cells of a line, none of which
    stands at its x: with one glimpse there is no policy.

    Args:
        table: DataFrame with a row a cell; its UPPER_CASE columns are the axes.
        x: the axis to draw over.

    Returns:
        list of Line, with the shared cells among those of each, and a DataFrame of the shared cells.
    """
    others = [column for column in table.columns if column.isupper() and column not in (x, "SEED")]
    values = table[others].astype(object)
    keys = [tuple(key) for key in values.where(values.notna(), None).to_numpy()]
    places = {}  # key -> where its cells stand
    for key, place in zip(keys, table[x]):
        places.setdefault(key, set()).add(place)

    def starts(key, other):  # whether the cells of `key` are among those of the line of `other`
        return _extends(other, key) and not places[key] & places[other]

    shared = {key for key in places if any(starts(key, other) for other in places)}
    own = [key for key in places if key not in shared]
    lines = []
    for key, style in zip(own, _styles(others, own)):
        mine = [other == key or starts(other, key) for other in keys]
        lines.append(Line(as_written(cell_name(others, key)), table[mine].sort_values(x), style))
    return lines, table[[key in shared for key in keys]]


def _extends(key, other):
    """Whether `key` is `other` with some of its missing values given."""
    return key != other and all(b is None or a == b for a, b in zip(key, other))


def _styles(axes, keys):
    """How to draw the line of each key: colour and marker tell the policy, dashes and filling its lines apart.

    Without the axis POLICY, and of a policy with more lines than can be told apart so, each has a colour of its own.
    """
    names = [key[axes.index("POLICY")] if "POLICY" in axes else cell_name(axes, key) or None for key in keys]
    names = [name if names.count(name) <= len(LINE_STYLES) else cell_name(axes, key) for name, key in zip(names, keys)]
    further = sorted({name for name in names if name is not None} - set(POLICIES))
    of_name = {None: NO_POLICY} | POLICIES | {name: _further(place) for place, name in enumerate(further)}
    # In the order of the keys, whatever that of the lines is, so that dashes mean the same in all pictures.
    places = sorted(range(len(keys)), key=lambda place: [str(value) for value in keys[place]])
    styles, used = {}, {}
    for place in places:
        colour, marker = of_name[names[place]]
        dashes, filled = LINE_STYLES[used.setdefault(names[place], 0) % len(LINE_STYLES)]
        used[names[place]] += 1
        styles[place] = {"color": colour, "marker": marker, "linestyle": dashes, "fillstyle": filled}
    return [styles[place] for place in range(len(keys))]


def _further(place):
    """Colour and marker of a further policy; those after the tenth have the colours again with other markers."""
    turn, number = place // len(FURTHER), len(FURTHER)
    return FURTHER[place % number][0], FURTHER[(place + turn) % number][1]


def name_at_ends(axes, lines, places, values):
    """Writes the name of each line beside its end, at the right of a panel, where the names do not cover each other.

    Args:
        axes: the panel, its lines drawn and its limits set.
        lines: list of Line.
        places, values: Series, cell -> where it is drawn.
    """
    figure = axes.figure
    low, high = axes.get_ylim()
    height = figure.get_figheight() * 72 * 0.8 / 10.5  # how many names fit one above the other, of 9 points each
    apart = (high - low) / height
    ends = [line.cells.index[-1] for line in lines]
    order = sorted(range(len(lines)), key=lambda i: (values[ends[i]], -i))  # among equals the first on top
    heights = _apart([values[ends[i]] for i in order], apart)
    for i, at in zip(order, heights):
        colour = lines[i].style["color"]
        axes.annotate(
            lines[i].label, (places[ends[i]], values[ends[i]]), (1.06, (at - low) / (high - low)), xycoords="data",
            textcoords="axes fraction", va="center", fontsize=9, color=colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "alpha": 0.7, "shrinkA": 1, "shrinkB": 4,
                        "relpos": (0, 0.5)})


def _apart(values, least):
    """Ascending values, moved as little as makes neighbours differ by `least`; those that collide keep their mean."""
    groups = [[value, 1] for value in values]  # middle and number
    merged = []
    for group in groups:
        merged.append(group)
        while len(merged) > 1:
            (below, m), (above, n) = merged[-2:]
            if above - below >= least * (m + n) / 2:
                break
            merged[-2:] = [[(m * below + n * above) / (m + n), m + n]]
    return [middle + least * (k - (n - 1) / 2) for middle, n in merged for k in range(n)]


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
    return as_written(value) if isinstance(value, str) else f"{value:g}"


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


def finish(figure, panels, legend_title=None, without=()):
    """A light grid, no box, and one legend below the data, of all labels but those `without`."""
    for panel in panels:
        panel.grid(color="0.9", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    handles = {label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels())
               if label not in without}
    if handles:
        widths = [len(label) + 6 for label in handles]  # in characters; a mark takes as much as six
        room = int(11 * figure.get_figwidth())
        columns = len(handles) if sum(widths) <= room else max(1, room // max(widths))
        place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
        figure.legend(handles.values(), handles.keys(), title=legend_title, **place)
