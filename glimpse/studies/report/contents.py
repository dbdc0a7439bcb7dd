"""What a report is about: the runs of a study and the tables made from them."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from glimpse.errors import GlimpseError
from glimpse.evaluation.average_precision import IOU_THRESHOLDS
from glimpse.studies.runs import cell_axes_of, is_ordered, read_study
from glimpse.studies.tables import against_controls, against_fewer, learning_curves, summarise

# What the tables show, the first of them also in the pictures.
METRICS = {
    "mAP 50:95": "voc10_map@0.50:0.95",
    "mAP 50": "voc10_map@0.50",
    "mAP 70": "voc10_map@0.70",
    "mAP 80": "voc10_map@0.80",
}
CLASSES = "voc10_ap@0.50:0.95/"


class Contents(NamedTuple):
    """The tables of a study; those of results, controls and fewer glimpses by label, for those of METRICS that there are."""

    directory: Path  # of the study
    runs: pd.DataFrame  # of `read_study`
    split: str  # whose metrics the tables hold
    x: str | None  # the axis that pictures are drawn over; without one there are none
    results: dict  # label -> `summarise`
    controls: dict  # label -> `against_controls`
    fewer: dict  # label -> `against_fewer`
    over_iou: pd.DataFrame  # `summarise` a threshold, with the column "iou"
    by_class: pd.DataFrame  # `summarise` of the AP 50:95 of a class, with the column "class"
    training: pd.DataFrame  # `learning_curves`

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
    thresholds = {iou: f"{split}/voc10_map@{iou:.2f}" for iou in IOU_THRESHOLDS}
    classes = {column.removeprefix(f"{split}/{CLASSES}"): column for column in runs if f"{split}/{CLASSES}" in column}
    return Contents(
        Path(directory),
        runs,
        split,
        horizontal_axis(runs),
        results={label: summarise(runs, metric) for label, metric in metrics.items()},
        controls={label: against_controls(runs, metric) for label, metric in metrics.items()},
        fewer={label: against_fewer(runs, metric) for label, metric in metrics.items()},
        over_iou=_stacked(runs, thresholds, "iou"),
        by_class=_stacked(runs, classes, "class"),
        training=learning_curves(runs),
    )


def horizontal_axis(runs):
    """The axis with the most values, at least two, that have an order, NUM_GLIMPSES among equals; None without one."""
    axes = [axis for axis in cell_axes_of(runs) if is_ordered(runs[axis]) and runs[axis].nunique() > 1]
    return max(axes, key=lambda axis: (runs[axis].nunique(), axis == "NUM_GLIMPSES"), default=None)


def _stacked(runs, metrics, name):
    """`summarise` of each of {value: metric} that there is, one below the other, with the values as a column."""
    tables = [summarise(runs, metric).assign(**{name: value}) for value, metric in metrics.items() if metric in runs]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
