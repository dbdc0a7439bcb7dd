"""Tables of a study: per cell the mean over seeds with its interval, paired differences, learning curves.

All are made from the runs that `glimpse.studies.runs.read_study` reads. A cell is what the runs share that differ
in SEED alone.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

from glimpse.errors import GlimpseError
from glimpse.studies.runs import axes_of, cell_axes_of


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

    axes, cell_axes = axes_of(runs), cell_axes_of(runs)
    numbers = [metric, "milliseconds_per_image", "parameters"]
    runs = runs[[*axes, *numbers]].astype(dict.fromkeys(numbers, float))
    runs["difference"] = runs[metric] - one_glimpse_values(runs, metric)
    return pd.DataFrame(dict(zip(cell_axes, key)) | _cell(cell, metric) for key, cell in cells_of(runs)).astype(
        {axis: runs[axis].dtype for axis in cell_axes}
    )


def cells_of(runs):
    """The cells of a study: pairs of the values of its axes but SEED, and the runs, in their order."""
    axes = cell_axes_of(runs)
    # A study of seeds alone is one cell.
    return runs.groupby(axes, dropna=False, sort=False, observed=True) if axes else [((), runs)]


def one_glimpse_values(runs, metric):
    """The metric of the run with one glimpse that each run is compared to, NaN where there is none.

    Returns:
        Series of float, indexed like `runs`.
    """
    one_glimpse = runs[runs["NUM_GLIMPSES"] == 1] if "NUM_GLIMPSES" in runs else runs.iloc[:0]
    return _partner_values(runs, one_glimpse, metric, "NUM_GLIMPSES")


def against_controls(runs, metric, policy="learned"):
    """What a policy gains over each other policy with as many glimpses, paired by seed.

    The difference is taken run by run to the run of the other policy that has the same SEED, NUM_GLIMPSES and
    value of all further axes that the runs of the other policy have. Intervals are those of `summarise`.

    Args:
        runs: DataFrame of `read_study`.
        metric: name of a column, such as "test/voc10_map@0.50:0.95".
        policy: the policy that is compared to the others.

    Returns:
        DataFrame with a row a cell of the policy and other policy it has pairs with: the axes but SEED and
        POLICY; "control", the other policy; "pairs", their number; "difference", "difference_low" and
        "difference_high" of the metric in its own unit (NaN: no interval). Without rows where nothing can be
        compared.
    """
    policies = runs["POLICY"] if "POLICY" in runs else pd.Series(index=runs.index, dtype="string")
    mine = runs[(policies == policy).fillna(False)].drop(columns="POLICY", errors="ignore")
    axes, rows = cell_axes_of(mine), []
    for key, cell in cells_of(mine):
        for control in sorted(set(policies.dropna()) - {policy}):
            partners = runs[(policies == control).fillna(False)]
            paired = (cell[metric].astype(float) - _partner_values(cell, partners, metric, "POLICY")).dropna()
            if len(paired):
                rows.append([*key, control, *_difference(paired)])
    return _differences(rows, axes, "control", runs)


def against_fewer(runs, metric):
    """What the last glimpses add: the difference to runs with fewer glimpses, the next smaller number above 1 there is.

    Taken run by run to the run of the same SEED and value of all further axes. (What there is to say against one
    glimpse, `summarise` does.)

    Args:
        runs: DataFrame of `read_study`.
        metric: name of a column, such as "test/voc10_map@0.50:0.95".

    Returns:
        DataFrame with a row a cell that has pairs: the axes but SEED; "fewer", the other number of glimpses; the further
        columns of `against_controls`.
    """
    axes, rows = cell_axes_of(runs), []
    if "NUM_GLIMPSES" in axes:
        for key, cell in cells_of(runs):
            counts = runs["NUM_GLIMPSES"]
            smaller = sorted(set(counts[(counts > 1) & (counts < cell["NUM_GLIMPSES"].iloc[0])]), reverse=True)
            for fewer in smaller:
                paired = (cell[metric].astype(float)
                          - _partner_values(cell, runs[counts == fewer], metric, "NUM_GLIMPSES")).dropna()
                if len(paired):
                    rows.append([*key, fewer, *_difference(paired)])
                    break
    return _differences(rows, axes, "fewer", runs)


def learning_curves(runs):
    """What the trainings logged, over the steps: mean and range over the seeds of each cell.

    Args:
        runs: DataFrame of `read_study`; runs without a log are passed over.

    Returns:
        DataFrame with a row a cell, quantity and logged step: the axes but SEED; "quantity", such as
        "class_loss"; "step"; "seeds", their number; "mean", and the "low"est and "high"est seed.
    """
    axes = cell_axes_of(runs)
    logs = {name: pd.DataFrame(log) for name, log in runs["log"].dropna().items()}
    if not logs:
        return pd.DataFrame(columns=[*axes, "quantity", "step", "seeds", "mean", "low", "high"])
    logged = pd.concat(logs, names=["run", None]).reset_index("run")
    values = logged.melt(["run", "step"], var_name="quantity").dropna().join(runs[axes], on="run")
    cells = values.groupby([*axes, "quantity", "step"], dropna=False, sort=False, observed=True)
    return cells["value"].agg(seeds="count", mean="mean", low="min", high="max").reset_index()


def bootstrap_interval(values):
    """The 95 % percentile bootstrap interval of the mean of values [N]: (low, high), NaN for N < 2."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return math.nan, math.nan
    interval = stats.bootstrap(
        (values,), np.mean, confidence_level=0.95, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _difference(paired):
    """Number, mean and interval of paired differences."""
    return len(paired), paired.mean(), *bootstrap_interval(paired)


def _differences(rows, axes, to, runs):
    """Rows of the values of the axes, of what a cell is compared `to`, and of `_difference`, as a table."""
    columns = [*axes, to, "pairs", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns).astype({axis: runs[axis].dtype for axis in axes})


def _partner_values(runs, others, metric, but):
    """The metric of the one of the `others` that has each run's values on all axes it has any on, `but` one.

    Returns:
        Series of float, indexed like `runs`; NaN where a run has no such partner.
    """
    shared = [axis for axis in axes_of(runs) if axis != but and others[axis].notna().any()]
    if not shared:
        return pd.Series(np.nan, index=runs.index)
    pairs = runs[shared].merge(others[[*shared, metric]], how="left", on=shared)
    return pd.Series(pairs[metric].to_numpy(float), index=runs.index)


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
