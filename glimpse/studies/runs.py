"""The runs of a study as a table.

A study is a directory of run directories named by their axes, such as `NUM_GLIMPSES=3,POLICY=fixed,SEED=0`.
A run is finished once it holds `results.json`. In tables the columns of the axes, and only they, have UPPER_CASE
names.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from glimpse.errors import GlimpseError
from glimpse.training.results_file import read_results_file

# What a policy is in a study: it learns where to look; a control looks without having learned; a rival is the best that
# is known otherwise; a ceiling knows the objects, and is no result.
ROLES = ("learns", "control", "rival", "ceiling")
# Of policies in results that do not tell their role.
ROLES_BY_NAME = {
    "learned": "learns", "candidates": "learns", "fixed": "control", "random": "control", "repeat": "control",
}
MAP = "voc10_map@0.50:0.95"


def read_study(directory):
    """Reads the finished runs of a study.

    Args:
        directory: path of the study. Directories in it without `results.json` are runs that have not
            finished and are passed over, as are plain files.

    Returns:
        DataFrame with a row a run, indexed by the name "run" of its directory. Columns: the axes (an axis of
        which all values are numbers is numeric; one of sizes, such as 5 and 3x7, is an ordered category, by
        number of cells; an axis a run does not have is missing there; a study without the axis SEED gets it
        from the configuration), the metrics as "SPLIT/KEY", such as "test/voc10_map@0.50:0.95",
        "policy/SPLIT/GLIMPSE/STATISTIC/DELTA", "errors/SPLIT/KIND/KEY", "proposal_recall/KEY", "seconds/KEY",
        "versions/KEY", "machine/KEY", "parameters", "milliseconds_per_image", "role", that of the policy, one of ROLES
        (missing with one glimpse, and where it is not known), and "log", the columns of what the training
        logged, {"step": [...], "class_loss": [...]} (None in results that were written without it), and
        "validation_log", the same of the mAP while it trained.
        A metric that is undefined, since no object of its split counts, is missing.

    Raises:
        GlimpseError: the directory is not there, holds no finished run, or holds one that cannot be read.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise GlimpseError(f"{directory} is no directory; give the directory of a study")
    rows = {path.parent.name: _read_run(path) for path in sorted(directory.glob("*/results.json"))}
    if not rows:
        raise GlimpseError(f"{directory} holds no finished run (no */results.json); run the study first")

    runs = pd.DataFrame(rows.values(), index=pd.Index(rows, name="run"))
    axes = sorted(axes_of(runs), key=lambda axis: axis == "SEED")  # the seeds of a cell stand together
    runs["role"] = runs["role"].astype("string")
    for axis in axes:
        runs[axis] = _numbers_sizes_or_strings(runs[axis])
    twice = runs.index[runs.duplicated(axes)]
    if len(twice):
        raise GlimpseError(f"{directory / twice[0]} has the same axes as another run; remove one of the two")
    return runs.sort_values(axes, na_position="first")[axes + [column for column in runs if column not in axes]]


def axes_of(table):
    """The axes of a table of runs or cells: its UPPER_CASE columns, in their order."""
    return [column for column in table.columns if column.isupper()]


def cell_axes_of(table):
    """The axes that tell cells apart: all but SEED."""
    return [axis for axis in axes_of(table) if axis != "SEED"]


def cell_name(axes, values):
    """"learned" or "learned, POOLED_SIZE=3" from the values of a cell: a policy's name speaks for itself."""
    named = [(axis, value) for axis, value in zip(axes, values) if not pd.isna(value)]
    return ", ".join(str(value) if axis == "POLICY" else f"{axis}={value}" for axis, value in named)


def is_ordered(axis):
    """Whether the values of an axis, a column of a table, have an order: numbers, or sizes such as 3x7."""
    return pd.api.types.is_numeric_dtype(axis) or getattr(axis.dtype, "ordered", False)


def _read_run(path):
    """One row of `read_study` from a `results.json`."""
    results = read_results_file(path, "remove the run and run it again", needs_metrics=True)
    splits = results["metrics"]
    axes = axes_in(path.parent.name)
    if not axes:
        raise GlimpseError(f"{path.parent} is not named by axes, like NUM_GLIMPSES=3,SEED=0; it is no run of a study")
    row = {"SEED": str(results.get("configuration", {}).get("SEED", 0))} | axes
    for split, metrics in splits.items():
        undefined = {} if any("_map@" in key for key in metrics) else {MAP: np.nan}
        row |= {f"{split}/{key}": value for key, value in (metrics | undefined).items()}
    for group in ("proposal_recall", "seconds", "versions", "machine"):
        row |= {f"{group}/{key}": value for key, value in results.get(group, {}).items()}
    for split, glimpses in results.get("policy", {}).items():
        row |= {f"policy/{split}/{glimpse}/{statistic}/{delta}": value for glimpse, statistics in glimpses.items()
                for statistic, deltas in statistics.items() for delta, value in deltas.items()}
    for split, kinds in results.get("errors", {}).items():
        row |= {f"errors/{split}/{kind}/{key}": value
                for kind, of_kind in kinds.items() for key, value in of_kind.items()}
    row["role"] = _role(path, results, axes)
    row |= {name: results.get(name) or None for name in ("log", "validation_log")}
    return row | {key: results.get(key) for key in ("parameters", "milliseconds_per_image")}


def _role(path, results, axes):
    """The role that the results tell; in those without it, that of the policy by its name.

    With one glimpse a policy has nothing to do: its configuration names one all the same, which has no role there.
    """
    known = results.get("configuration", {}) | axes
    role = results.get("policy_role")
    if role is not None and role not in ROLES:
        raise GlimpseError(f"{path} has the policy_role {role!r}; it must be one of {', '.join(ROLES)}, or null")
    if str(known.get("NUM_GLIMPSES")) == "1":
        return role if role in ("rival", "ceiling") else None
    return role if "policy_role" in results else ROLES_BY_NAME.get(str(known.get("POLICY")).strip("@()"))


def axes_in(name):
    """The axes that the name of a run tells, {"NUM_GLIMPSES": "3"} of "NUM_GLIMPSES=3"; {} for another kind of name."""
    parts = re.split(r",(?=[A-Z][A-Z0-9_]*=)", name)  # a value may hold a comma
    axes = dict(part.split("=", 1) for part in parts if re.match(r"[A-Z][A-Z0-9_]*=.", part))
    return axes if len(axes) == len(parts) else {}


def _numbers_sizes_or_strings(axis):
    """An axis as numbers if each of its values is a finite one, as sizes if each is one, else as strings."""
    values = axis.dropna()
    numbers = pd.to_numeric(axis, errors="coerce")
    if np.isfinite(numbers[values.index].to_numpy(float)).all():
        return numbers.convert_dtypes()
    if not values.str.fullmatch(r"\d+(x\d+)?").all():
        return axis.convert_dtypes()
    sizes = sorted(values.unique(), key=lambda size: (_number_of_cells(size), size))
    return axis.astype(pd.CategoricalDtype(sizes, ordered=True))


def _number_of_cells(size):
    """Of a grid: 21 for "3x7", 25 for "5", which is 5 x 5."""
    sides = [int(side) for side in size.split("x")]
    return sides[0] * sides[-1]
