"""What a report is about: the runs of a study and the tables made from them."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from glimpse.errors import GlimpseError
from glimpse.evaluation.average_precision import IOU_THRESHOLDS
from glimpse.evaluation.errors_by_kind import KINDS
from glimpse.studies.resampling import resample_images
from glimpse.studies.rivals import against_rivals, pairs_with_rivals
from glimpse.studies.runs import MAP, cell_axes_of, is_ordered, read_study
from glimpse.studies.tables import against_fewer, by_result, learning_curves, summarise

# What the tables show, the first of them also in the pictures.
METRICS = {
    "mAP 50:95": MAP,
    "mAP 50": "voc10_map@0.50",
    "mAP 70": "voc10_map@0.70",
    "mAP 80": "voc10_map@0.80",
}
MAIN = next(iter(METRICS))  # the one whose images are resampled
CLASSES = "voc10_ap@0.50:0.95/"


class Contents(NamedTuple):
    """The tables of a study, the cells in each with the best result first, those of ceilings apart.

    Those of results, ceilings, rivals and fewer glimpses are by label, for those of METRICS that there are.
    """

    directory: Path  # of the study
    runs: pd.DataFrame  # of `read_study`, those of the best cell first
    split: str  # whose metrics the tables hold
    x: str | None  # the axis that pictures are drawn over; without one there are none
    results: dict  # label -> `summarise`
    ceilings: dict  # label -> `summarise`
    rivals: dict  # label -> `against_rivals`; the first with intervals over images, where runs keep their matches
    chosen_on: str  # the split on which the best learner was chosen
    fewer: dict  # label -> `against_fewer`
    over_iou: pd.DataFrame  # `summarise` a threshold, with the column "iou"
    errors: pd.DataFrame  # `summarise` of the AP gained by mending a kind of error, with the columns "kind" and "count"
    by_class: pd.DataFrame  # `summarise` of the AP 50:95 of a class, with the column "class"
    training: pd.DataFrame  # `learning_curves`

    @property
    def ranked(self):
        """The runs without those of ceilings, which all tables but one are made of."""
        return _without_ceilings(self.runs)

    @property
    def main(self):
        """The table of the first metric."""
        return next(iter(self.results.values()))


def read_contents(directory, split="test"):
    """Reads a study and makes its tables.

    Args:
        directory: with the runs, and `study.json`, {"runs": [names]}, if runs that are missing shall be named.
        split: the split whose metrics are reported.

    Returns:
        Contents.

    Raises:
        GlimpseError: the directory holds no finished run, a run cannot be read, or there is no such split.
    """
    runs = read_study(directory)
    metrics = {label: f"{split}/{key}" for label, key in METRICS.items() if f"{split}/{key}" in runs}
    if not metrics:
        splits = sorted({column.split("/")[0] for column in runs if "/voc10_map@" in column})
        raise GlimpseError(f"--split={split}: {directory} has no mAP of that split; there are {splits}")
    main = next(iter(metrics.values()))
    runs = by_result(runs, main)
    resampled = resample_images(Path(directory), runs.index, split)
    tables = {label: summarise(runs, metric, resampled if label == MAIN else None) for label, metric in metrics.items()}
    is_ceiling = next(iter(tables.values()))["role"].eq("ceiling").fillna(False)
    everything, runs = runs, _without_ceilings(runs)
    pairs, chosen_on = _pairs(runs, main, split)
    thresholds = {iou: f"{split}/voc10_map@{iou:.2f}" for iou in IOU_THRESHOLDS}
    classes = {column.removeprefix(f"{split}/{CLASSES}"): column for column in runs if f"{split}/{CLASSES}" in column}
    return Contents(
        Path(directory),
        everything,
        split,
        horizontal_axis(runs),
        results={label: table[~is_ceiling].reset_index(drop=True) for label, table in tables.items()},
        ceilings={label: table[is_ceiling].reset_index(drop=True) for label, table in tables.items()},
        rivals={label: against_rivals(pairs, runs[metric], resampled if label == MAIN else None)
                for label, metric in metrics.items()},
        chosen_on=chosen_on,
        fewer={label: against_fewer(runs, metric) for label, metric in metrics.items()},
        over_iou=_stacked(runs, thresholds, "iou"),
        errors=_errors(runs, split),
        by_class=_stacked(runs, classes, "class"),
        training=learning_curves(runs),
    )


def _without_ceilings(runs):
    return runs[~runs["role"].eq("ceiling").fillna(False)]


def _pairs(runs, metric, split):
    """The runs to compare, and the split on which the best learner was chosen: validation, where all runs have it."""
    validation = f"validation/{MAP}"
    if split != "validation" and validation in runs and runs[validation].notna().all():
        return pairs_with_rivals(runs, validation), "validation"
    return pairs_with_rivals(runs, metric), split


def _errors(runs, split):
    gained, count = ({kind: f"errors/{split}/{kind}/{key}" for kind in KINDS} for key in ("ap_gained", "count"))
    table = _stacked(runs, gained, "kind")
    return table if table.empty else table.assign(count=_stacked(runs, count, "kind")["mean"])


def horizontal_axis(runs):
    """The axis with the most values, at least two, that have an order, NUM_GLIMPSES among equals; None without one."""
    axes = [axis for axis in cell_axes_of(runs) if is_ordered(runs[axis]) and runs[axis].nunique() > 1]
    return max(axes, key=lambda axis: (runs[axis].nunique(), axis == "NUM_GLIMPSES"), default=None)


def _stacked(runs, metrics, name):
    """`summarise` of each of {value: metric} that there is, one below the other, with the values as a column."""
    tables = [summarise(runs, metric).assign(**{name: value}) for value, metric in metrics.items() if metric in runs]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
