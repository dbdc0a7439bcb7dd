"""The pictures of a report, in the groups that its sections show."""

import io
from typing import NamedTuple

from matplotlib.figure import Figure

from glimpse.studies.pictures.curves import (
    QUANTITIES,
    plot_difference_over_iou,
    plot_learning_curves,
    plot_map_over_iou,
)
from glimpse.studies.pictures.overview import (
    plot_difference_by_class,
    plot_errors_by_kind,
    plot_map_over_glimpses,
)


class Picture(NamedTuple):
    name: str  # of the file
    caption: str
    figure: Figure


def draw(contents):
    """The pictures of a study by group, {"results": [Picture, ...], ...}.

    There are none without an axis to draw over, or without a result.

    Those over the axis are named after it: `map_over_glimpses.png`, `map_over_pooled_size.png`.
    """
    x, label, main = contents.x, next(iter(contents.results)), contents.main
    groups = {"results": [], "iou": [], "errors": [], "classes": [], "training": []}
    if x is None or main["mean"].isna().all():
        return groups
    # A cell without a value of x has no place.
    main, over_iou, errors, by_class, training = (
        table if table.empty else table.dropna(subset=x)
        for table in (main, contents.over_iou, contents.errors, contents.by_class, contents.training))
    name = x.lower().removeprefix("num_")
    groups["results"].append(Picture(
        f"map_over_{name}.png", f"{label} over {x}, with 95 % intervals.", plot_map_over_glimpses(main, x, label)))
    if not over_iou.empty and over_iou["iou"].nunique() > 1:
        groups["iou"].append(Picture(
            "map_over_iou.png", "mAP over the IoU threshold, with 95 % intervals.",
            plot_map_over_iou(over_iou, x)))
        if over_iou["pairs"].any():
            groups["iou"].append(Picture(
                "difference_over_iou.png",
                "Paired difference to one glimpse over the IoU threshold, with 95 % intervals.",
                plot_difference_over_iou(over_iou, x)))
    if not errors.empty:
        groups["errors"].append(Picture(
            "errors_by_kind.png", "mAP 50 to gain by mending the errors of one kind, with 95 % intervals.",
            plot_errors_by_kind(errors, x)))
    if not by_class.empty and by_class["pairs"].any():
        groups["classes"].append(Picture(
            "difference_by_class.png", "Paired difference of AP 50:95 to one glimpse, by class, with 95 % intervals.",
            plot_difference_by_class(by_class, x)))
    for quantity in QUANTITIES:
        values = training.loc[training["quantity"] == quantity, "mean"]
        if values.any():  # a loss part that is not used is 0 throughout
            groups["training"].append(Picture(
                f"{quantity}_over_steps.png",
                f"{quantity} over the steps of the training: mean and range over the seeds.",
                plot_learning_curves(training, quantity, x)))
    return groups


def png(figure):
    """A figure as the bytes of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150)
    return data.getvalue()
