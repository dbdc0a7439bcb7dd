"""Tables of a study: the runs of its directory, and per cell the mean over seeds with its interval.

A study is a directory of run directories named by their axes, such as `NUM_GLIMPSES=3,POLICY=fixed,SEED=0`.
A run is finished once it holds `results.json`. A cell is what the runs share that differ in SEED alone.
In the tables the columns of the axes, and only they, have UPPER_CASE names.
"""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from glimpse.errors import GlimpseError


def read_study(directory):
    """Reads the finished runs of a study.

    Args:
        directory: path of the study. Directories in it without `results.json` are runs that have not
            finished and are passed over, as are plain files.

    Returns:
        DataFrame with a row a run, indexed by the name "run" of its directory. Columns: the axes (an axis of
        which all values are numbers is numeric; an axis a run does not have is missing there; a study
        without the axis SEED gets it from the configuration), the metrics as "SPLIT/KEY", such as
        "test/voc10_map@0.50:0.95", "policy/SPLIT/GLIMPSE/STATISTIC/DELTA", "proposal_recall/KEY", "seconds/KEY", "versions/KEY", "machine/KEY",
        "parameters" and "milliseconds_per_image".

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
    for axis in axes:
        runs[axis] = _numbers_or_strings(runs[axis])
    twice = runs.index[runs.duplicated(axes)]
    if len(twice):
        raise GlimpseError(f"{directory / twice[0]} has the same axes as another run; remove one of the two")
    return runs.sort_values(axes, na_position="first")[axes + [column for column in runs if column not in axes]]


def axes_of(table):
    """The axes of a table of runs or cells: its UPPER_CASE columns, in their order."""
    return [column for column in table.columns if column.isupper()]


def summarise(runs, metric):
    """Mean over seeds of one metric, and its paired difference to one glimpse, for every cell.

    The difference is taken run by run to the run with NUM_GLIMPSES = 1 that has the same SEED and agrees
    in all other axes the runs with NUM_GLIMPSES = 1 have. Such a run may lack POLICY, for with one glimpse
    there is nothing to choose: it is then the pair of every policy. Intervals are 95 % percentile bootstrap
    intervals of the mean (`scipy.stats.bootstrap`) from a fixed generator, so the same runs give the same
    table. A percentile interval over few seeds is too narrow: it cannot leave the range of the values.

    Args:
        runs: DataFrame of `read_study`.
        metric: name of a column, such as "test/voc10_map@0.50:0.95".

    Returns:
        DataFrame with a row a cell: the axes but SEED; "seeds", their number; "mean", "low" and "high" of
        the metric in its own unit; "difference", "difference_low" and "difference_high" (NaN where there is no
        pair); "pairs", their number; "unpaired", the names of the runs without a pair, a list (runs with one
        glimpse need none); "milliseconds_per_image", the median; "parameters". Intervals of a single
        value are NaN.

    Raises:
        GlimpseError: a run lacks the metric.
    """
    if metric not in runs:
        known = sorted(column for column in runs if column.startswith(metric.split("/")[0] + "/"))
        raise GlimpseError(f"no run has the metric {metric!r}; there are {known}")
    if runs[metric].isna().any():
        raise GlimpseError(f"run {runs.index[runs[metric].isna()][0]} lacks the metric {metric!r} that others have")

    axes = axes_of(runs)
    cell_axes = [axis for axis in axes if axis != "SEED"]
    numbers = [metric, "milliseconds_per_image", "parameters"]
    runs = runs[[*axes, *numbers]].astype(dict.fromkeys(numbers, float))
    runs["difference"] = runs[metric] - one_glimpse_values(runs, metric)
    # A study of seeds alone is one cell.
    cells = runs.groupby(cell_axes, dropna=False, sort=False) if cell_axes else [((), runs)]
    return pd.DataFrame(dict(zip(cell_axes, key)) | _cell(cell, metric) for key, cell in cells).astype(
        {axis: runs[axis].dtype for axis in cell_axes}
    )


def one_glimpse_values(runs, metric):
    """The metric of the run with one glimpse that each run is compared to, NaN where there is none.

    Returns:
        Series of float, indexed like `runs`.
    """
    one_glimpse = runs[runs["NUM_GLIMPSES"] == 1] if "NUM_GLIMPSES" in runs else runs.iloc[:0]
    shared = [axis for axis in axes_of(runs) if axis != "NUM_GLIMPSES" and one_glimpse[axis].notna().any()]
    if not shared:
        return pd.Series(np.nan, index=runs.index)
    pairs = runs[shared].merge(one_glimpse[[*shared, metric]], how="left", on=shared)
    return pd.Series(pairs[metric].to_numpy(float), index=runs.index)


def bootstrap_interval(values):
    """The 95 % percentile bootstrap interval of the mean of values [N]: (low, high), NaN for N < 2."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return math.nan, math.nan
    interval = stats.bootstrap(
        (values,), np.mean, confidence_level=0.95, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _cell(runs, metric):
    """What `summarise` says about the runs of one cell."""
    low, high = bootstrap_interval(runs[metric])
    is_one_glimpse = "NUM_GLIMPSES" in runs and runs["NUM_GLIMPSES"].iloc[0] == 1
    differences = runs["difference"].iloc[:0] if is_one_glimpse else runs["difference"]
    paired = differences.dropna()
    difference_low, difference_high = bootstrap_interval(paired)
    return {
        "seeds": len(runs),
        "mean": runs[metric].mean(),
        "low": low,
        "high": high,
        "difference": paired.mean(),
        "difference_low": difference_low,
        "difference_high": difference_high,
        "pairs": len(paired),
        "unpaired": list(differences.index[differences.isna()]),
        "milliseconds_per_image": runs["milliseconds_per_image"].median(),
        "parameters": runs["parameters"].median(),
    }


def _read_run(path):
    """One row of `read_study` from a `results.json`."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); remove the run and run it again") from None
    splits = results.get("metrics") if isinstance(results, dict) else None
    if not isinstance(splits, dict) or not all(isinstance(metrics, dict) for metrics in splits.values()):
        raise GlimpseError(f"{path} has no metrics of splits; it is not the result of a run")

    axes = _parse_axes(path.parent.name)
    if not axes:
        raise GlimpseError(f"{path.parent} is not named by axes, like NUM_GLIMPSES=3,SEED=0; it is no run of a study")
    row = {"SEED": str(results.get("configuration", {}).get("SEED", 0))} | axes
    for split, metrics in splits.items():
        row |= {f"{split}/{key}": value for key, value in metrics.items()}
    for group in ("proposal_recall", "seconds", "versions", "machine"):
        row |= {f"{group}/{key}": value for key, value in results.get(group, {}).items()}
    for split, glimpses in results.get("policy", {}).items():
        row |= {f"policy/{split}/{glimpse}/{statistic}/{delta}": value for glimpse, statistics in glimpses.items()
                for statistic, deltas in statistics.items() for delta, value in deltas.items()}
    return row | {key: results.get(key) for key in ("parameters", "milliseconds_per_image")}


def _parse_axes(name):
    """{"NUM_GLIMPSES": "3", "SEED": "0"} from "NUM_GLIMPSES=3,SEED=0"; {} where the name is of another kind."""
    parts = re.split(r",(?=[A-Z][A-Z0-9_]*=)", name)  # a value may hold a comma
    axes = dict(part.split("=", 1) for part in parts if re.match(r"[A-Z][A-Z0-9_]*=.", part))
    return axes if len(axes) == len(parts) else {}


def _numbers_or_strings(axis):
    """An axis as numbers if each of its values is a finite one, else as strings; missing stays missing."""
    numbers = pd.to_numeric(axis, errors="coerce")
    all_numbers = np.isfinite(numbers[axis.notna()].to_numpy(float)).all()
    return (numbers if all_numbers else axis).convert_dtypes()
