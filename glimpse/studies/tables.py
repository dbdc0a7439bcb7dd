"""Tables of a study: per cell the mean over seeds with its interval, differences to fewer glimpses, learning curves.

All are made from the runs that `glimpse.studies.runs.read_study` reads. A cell is what the runs share that differ
in SEED alone.
"""

import numpy as np
import pandas as pd

from glimpse.errors import GlimpseError
from glimpse.studies.intervals import t_interval
from glimpse.studies.resampling import over_images
from glimpse.studies.runs import axes_of, cell_axes_of


def summarise(runs, metric, resampled=None):
    """Mean over seeds of one metric, and its paired difference to one glimpse, for every cell.

    The difference is taken run by run to the run with NUM_GLIMPSES = 1 that has the same SEED and agrees
    in all other axes the runs with NUM_GLIMPSES = 1 have. Such a run may lack POLICY, for with one glimpse
    there is nothing to choose: it is then the pair of every policy. A run with one glimpse and an axis of its own,
    such as POOLING=deformable, is compared to the one without. Intervals are 95 % t intervals of the mean over
    seeds (`glimpse.studies.intervals`).

    Args:
        runs: DataFrame of `read_study`.
        metric: name of a column, such as "test/voc10_map@0.50:0.95".
        resampled: of `glimpse.studies.resampling`, of this metric, for the interval over images as well.

    Returns:
        DataFrame with a row a cell: the axes but SEED; "role" of its policy; "seeds", the number of those with a value;
        "mean", "low" and "high" of the metric in its own unit, NaN where it is undefined; "undefined", the names of the
        runs without a value; "difference", "difference_low" and "difference_high" (NaN where there is no pair);
        "images_low" and "images_high", its interval over seeds and images (NaN: not known); "pairs", their number;
        "unpaired", the names of the runs without a pair, a list (runs with one glimpse need none);
        "milliseconds_per_image", the median; "parameters". Intervals of a single value are NaN.

    Raises:
        GlimpseError: no run has the metric.
    """
    if metric not in runs:
        known = sorted(column for column in runs if column.startswith(metric.split("/")[0] + "/"))
        raise GlimpseError(f"no run has the metric {metric!r}; there are {known}")
    axes, cell_axes = axes_of(runs), cell_axes_of(runs)
    numbers = [metric, "milliseconds_per_image", "parameters"]
    runs = runs[[*axes, "role", *numbers]].astype(dict.fromkeys(numbers, float))
    partners = one_glimpse_partners(runs)
    one_glimpse = runs[_has_one_glimpse(runs)]
    measures = one_glimpse.index[_is_plain(one_glimpse)]
    partners[measures] = np.nan
    cells = [dict(zip(cell_axes, key))
             | _cell(cell, runs[metric], partners, cell.index[0] in measures, resampled or {})
             for key, cell in cells_of(runs)]
    return pd.DataFrame(cells).astype({axis: runs[axis].dtype for axis in cell_axes})


def by_result(runs, metric):
    """The runs, those of the cell with the best mean first, and so the cells in the tables made of them."""
    cells = sorted((cell for _, cell in cells_of(runs)), key=lambda cell: -np.inf if cell[metric].isna().all() else
                   cell[metric].mean(), reverse=True)
    return pd.concat(cells)


def cells_of(runs):
    """The cells of a study: pairs of the values of its axes but SEED, and the runs, in their order."""
    axes = cell_axes_of(runs)
    # A study of seeds alone is one cell.
    return runs.groupby(axes, dropna=False, sort=False, observed=True) if axes else [((), runs)]


def one_glimpse_partners(runs):
    """The run with one glimpse that each run is compared to, NaN where there is none.

    Runs with one glimpse that have an axis more than others with one, such as POOLING=deformable, are compared to
    those others.

    Returns:
        Series of names, indexed like `runs`.
    """
    one_glimpse = runs[_has_one_glimpse(runs)]
    partners = _partners(runs, one_glimpse, "NUM_GLIMPSES")
    plain = one_glimpse[_is_plain(one_glimpse)]
    special = one_glimpse.drop(plain.index)
    partners[special.index] = _partners(special, plain, "NUM_GLIMPSES")
    return partners


def _has_one_glimpse(runs):
    counts = runs.get("NUM_GLIMPSES", pd.Series(np.nan, index=runs.index))
    return (counts == 1).fillna(False)


def _is_plain(one_glimpse):
    """Which runs with one glimpse have only axes on which all of them have values; all of them where none is so."""
    others = [axis for axis in cell_axes_of(one_glimpse) if 0 < one_glimpse[axis].notna().sum() < len(one_glimpse)]
    plain = one_glimpse[others].isna().all(axis=1)
    return plain if plain.any() else ~plain


def against_fewer(runs, metric):
    """What the last glimpses add: the difference to runs with fewer glimpses, the next smaller number above 1 there is.

    Taken run by run to the run of the same SEED and value of all further axes. (What there is to say against one
    glimpse, `summarise` does.)

    Args:
        runs: DataFrame of `read_study`.
        metric: name of a column, such as "test/voc10_map@0.50:0.95".

    Returns:
        DataFrame with a row a cell that has pairs: the axes but SEED; "fewer", the other number of glimpses; "pairs",
        their number; "difference", "difference_low" and "difference_high" of the metric in its own unit (NaN: no
        interval).
    """
    axes, rows = cell_axes_of(runs), []
    if "NUM_GLIMPSES" in axes:
        for key, cell in cells_of(runs):
            counts = runs["NUM_GLIMPSES"]
            smaller = sorted(set(counts[(counts > 1) & (counts < cell["NUM_GLIMPSES"].iloc[0])]), reverse=True)
            for fewer in smaller:
                partners = _partners(cell, runs[counts == fewer], "NUM_GLIMPSES")
                paired = (cell[metric].astype(float) - partners.map(runs[metric]).astype(float)).dropna()
                if len(paired):
                    rows.append([*key, fewer, len(paired), paired.mean(), *t_interval(paired)])
                    break
    columns = [*axes, "fewer", "pairs", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns).astype({axis: runs[axis].dtype for axis in axes})


def learning_curves(runs):
    """What the trainings logged, over the steps: mean and range over the seeds of each cell.

    Args:
        runs: DataFrame of `read_study`; runs without a log are passed over.

    Returns:
        DataFrame with a row a cell, quantity and logged step: the axes but SEED; "quantity", such as
        "class_loss"; "step"; "seeds", their number; "mean", and the "low"est and "high"est seed.
    """
    axes = cell_axes_of(runs)
    logs = {(name, kind): pd.DataFrame(log) for kind in ("log", "validation_log") if kind in runs
            for name, log in runs[kind].dropna().items()}
    if not logs:
        return pd.DataFrame(columns=[*axes, "quantity", "step", "seeds", "mean", "low", "high"])
    logged = pd.concat(logs, names=["run", None, None]).reset_index("run")
    values = logged.melt(["run", "step"], var_name="quantity").dropna().join(runs[axes], on="run")
    cells = values.groupby([*axes, "quantity", "step"], dropna=False, sort=False, observed=True)
    return cells["value"].agg(seeds="count", mean="mean", low="min", high="max").reset_index()


def _partners(runs, others, but):
    """The one of the `others` that has each run's values on all axes it has any on, `but` one.

    Returns:
        Series of names, indexed like `runs`; NaN where a run has no such partner.
    """
    shared = [axis for axis in axes_of(runs) if axis != but and others[axis].notna().any()]
    if not shared:
        return pd.Series(np.nan, index=runs.index, dtype=object)
    pairs = runs[shared].merge(others[shared].assign(partner=others.index), how="left", on=shared)
    return pd.Series(pairs["partner"].to_numpy(object), index=runs.index)


def _cell(runs, values, partners, is_the_measure, resampled):
    """What `summarise` says about the runs of one cell, which may be the one that others are compared to."""
    known = values[runs.index].dropna()
    low, high = t_interval(known)
    differences = known - partners[known.index].map(values).astype(float)
    paired = differences.dropna()
    difference_low, difference_high = t_interval(paired)
    images_low, images_high, _ = over_images(paired.index, partners[paired.index], values, resampled)
    return {
        "role": runs["role"].iloc[0],
        "seeds": len(known),
        "mean": known.mean(),
        "low": low,
        "high": high,
        "difference": paired.mean(),
        "difference_low": difference_low,
        "difference_high": difference_high,
        "images_low": images_low,
        "images_high": images_high,
        "pairs": len(paired),
        "unpaired": [] if is_the_measure else list(known.index.difference(paired.index, sort=False)),
        "undefined": list(runs.index.difference(known.index, sort=False)),
        "milliseconds_per_image": runs["milliseconds_per_image"].median(),
        "parameters": runs["parameters"].median(),
    }
