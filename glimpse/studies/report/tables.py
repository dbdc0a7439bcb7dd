"""How tables are shown: cells of text, Markdown, plain text."""

import re

import numpy as np
import pandas as pd

from glimpse.studies.runs import cell_axes_of

# Marks of Markdown, where they would be read as such: not the underscore in a word, nor the bracket of an interval.
MARKS = re.compile(r"[\\`*~|]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])|<(?=[A-Za-z/!?])|&(?=[#\w])|(?<=!)\[")


def axes_shown(table):
    """The columns of the axes but SEED, as text."""
    return table[cell_axes_of(table)].astype(object).map(axis_value)


def axis_value(value):
    return "-" if pd.isna(value) else str(value)


def or_dash(pattern):
    return lambda value: "-" if np.isnan(value) else pattern.format(value)


def p_value(p):
    if np.isnan(p):
        return "-"
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def intervals(table, quantity="mean"):
    """Column of "61.2 [60.1, 62.3]" in percent, signed for differences; "[-]" where there is no interval.

    Args:
        table: DataFrame with the columns of the quantity.
        quantity: "mean", "difference", or "images" for the interval of the difference over seeds and images alone.
    """
    if quantity == "images":
        return ["-" if np.isnan(low) else f"[{100 * low:+.1f}, {100 * high:+.1f}]"
                for low, high in table[["images_low", "images_high"]].to_numpy(float)]
    sign, ends = ("", ("low", "high")) if quantity == "mean" else ("+", ("difference_low", "difference_high"))

    def show(value, low, high):
        if np.isnan(value):
            return "-"
        interval = "-" if np.isnan(low) else f"{100 * low:{sign}.1f}, {100 * high:{sign}.1f}"
        return f"{100 * value:{sign}.1f} [{interval}]"

    return [show(*row) for row in table[[quantity, *ends]].to_numpy(float)]


def markdown(table):
    """A DataFrame as a Markdown table without its index."""
    head, *rows = ([as_text(cell) for cell in row] for row in [table.columns, *table.astype(str).to_numpy().tolist()])
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * table.shape[1], *rows])


def as_text(name):
    """Any text as Markdown that shows it as it is, on one line: what would be read as a mark gets a backslash."""
    text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(name))
    return MARKS.sub(r"\\\g<0>", text)


def plain(table):
    """A DataFrame as plain text for a terminal, without its index; columns beyond the hundredth are wrapped below."""
    return table.to_string(index=False, line_width=100)
