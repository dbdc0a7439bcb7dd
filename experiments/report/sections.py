"""Writes the report of a study: `python -m experiments.report --study=runs/glimpse_count_quick [--split=test]`.

Into the directory of the study go `report.md` and its pictures; the table is printed as well.
"""

import argparse
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.launch import exit_on_error
from glimpse.errors import GlimpseError
from glimpse.evaluation.average_precision import IOU_THRESHOLDS
from glimpse.evaluation.studies import axes_of, read_study, summarise
from glimpse.files import write_whole
from glimpse.visualization.studies import plot_difference_over_iou, plot_map_over_glimpses, plot_map_over_iou

# What the tables show, the first of them also in the picture over the number of glimpses.
METRICS = {
    "mAP 50:95": "voc10_map@0.50:0.95",
    "mAP 50": "voc10_map@0.50",
    "mAP 70": "voc10_map@0.70",
    "mAP 80": "voc10_map@0.80",
}

HOW_TO_READ = """\
* mAP is the mean over classes of the area under the precision-recall curve (PASCAL VOC 2010 and later), in
  percent, at the IoU threshold in the head of the column; 50:95 is the mean over the thresholds 0.50, 0.55, ...,
  0.95. Objects marked difficult are ignored.
* A row is a cell: all its runs differ in the seed alone. "-" stands where a cell has no value on an axis.
* [low, high] is the 95 % percentile bootstrap interval of the mean over seeds (scipy.stats.bootstrap, fixed
  generator). It tells of the seeds, not of the choice of test images. Over few seeds it is too narrow: it
  cannot leave the range of the values, and with two or three seeds it is that range, which contains the median
  of the distribution in only 50 or 75 of 100 studies, not in 95. With one seed there is none: [-].
* A difference is taken run by run to the run with one glimpse of the same seed, in points of mAP, so what the two
  runs have in common cancels. An interval that holds 0 leaves the sign of the effect open.
* A learned policy has earned its name where it beats `fixed`, `random` and `repeat` at an equal number of glimpses.
* Milliseconds an image are the median over the runs of a cell; runs that shared the machine slowed each other.
"""


@exit_on_error
def main(arguments=None):
    flags = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    flags.add_argument("--study", required=True, type=Path, help="directory of the study")
    flags.add_argument("--split", default="test", help="split whose metrics are reported (default: test)")
    flags = flags.parse_args(arguments)
    path = write_report(flags.study, flags.split)
    print(summary_text(flags.study, flags.split))
    print(f"\nreport: {path}")


def write_report(study_directory, split="test"):
    """Writes `report.md` and its pictures into the directory of a study.

    Pictures need an axis with at least two numbers: they are drawn over NUM_GLIMPSES or, if that has only one
    value, over the first other axis that has several, and named after it (`map_over_glimpses.png`).

    Args:
        study_directory: directory with the runs, and `study.json`, {"runs": [names]}, if runs that are missing
            shall be named.
        split: the split whose metrics are reported.

    Returns:
        Path of `report.md`.

    Raises:
        GlimpseError: the directory holds no finished run, a run cannot be read, or there is no such split.
    """
    directory = Path(study_directory)
    runs, tables = _runs_and_tables(directory, split)
    text = [
        f"# Study `{directory.resolve().name}`",
        _what_was_run(runs, directory),
        f"## Results on the {split} split",
        _markdown(_results(tables)),
        *_differences_section(tables),
        *_write_pictures(directory, runs, tables, split),
        *_policy_section(runs, split),
        "## How to read it",
        HOW_TO_READ.strip(),
        "## Proposal recall",
        _proposal_recall(runs, split),
        "## Machine and versions",
        _machine_and_versions(runs),
    ]
    path = directory / "report.md"
    write_whole(path, "\n\n".join(text) + "\n")
    return path


def summary_text(study_directory, split="test"):
    """The table of a study as plain text for a terminal; columns beyond the hundredth are wrapped below.

    Arguments and errors are those of `write_report`.
    """
    _, tables = _runs_and_tables(Path(study_directory), split)
    first, main_table = next(iter(tables.items()))
    shown = main_table[_cell_axes(main_table)].map(_axis_value).assign(seeds=main_table["seeds"])
    shown[f"{first} [95 %]"] = _intervals(main_table)
    for name, table in list(tables.items())[1:]:
        shown[name.replace("mAP ", "@")] = (100 * table["mean"]).map("{:.1f}".format)
    shown["to T=1 [95 %]"] = _intervals(main_table, "difference")
    shown["ms/image"] = main_table["milliseconds_per_image"].map(_or_dash("{:.1f}"))
    head = f"{split} split, mAP in percent, means over seeds; to T=1: paired difference of {first} to one glimpse"
    notes = [f"no run with one glimpse to compare with: {name}" for name in _unpaired(main_table)]
    return "\n".join([head, shown.to_string(index=False, line_width=100), *notes])


def _runs_and_tables(directory, split):
    """The runs of a study and {label: table of its cells}, for those of METRICS that there are."""
    runs = read_study(directory)
    metrics = {label: f"{split}/{key}" for label, key in METRICS.items() if f"{split}/{key}" in runs}
    if not metrics:
        splits = sorted({column.split("/")[0] for column in runs if "/voc10_map@" in column})
        raise GlimpseError(f"--split={split}: {directory} has no mAP of that split; there are {splits}")
    return runs, {label: summarise(runs, metric) for label, metric in metrics.items()}


# The sections, in the order of the report.


def _what_was_run(runs, directory):
    lines = [f"* {axis}: {', '.join(_axis_value(v) for v in runs[axis].dropna().unique())}" for axis in axes_of(runs)]
    plan = directory / "study.json"
    missing = []
    if plan.exists():
        try:
            missing = [name for name in json.loads(plan.read_text(encoding="utf-8"))["runs"] if name not in runs.index]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GlimpseError(f'{plan} must hold {{"runs": [names]}} ({error!r}); run the study again') from None
    lines.append(f"* finished: {len(runs)} runs" + (f"; **missing: {len(missing)}**" if missing else ""))
    lines += [f"  * missing: `{name}`" for name in missing]
    return "\n".join(lines)


def _results(tables):
    main_table = next(iter(tables.values()))
    shown = main_table[_cell_axes(main_table)].map(_axis_value).assign(seeds=main_table["seeds"])
    for name, table in tables.items():
        shown[name] = _intervals(table)
    shown["ms an image"] = main_table["milliseconds_per_image"].map(_or_dash("{:.1f}"))
    shown["parameters"] = main_table["parameters"].map(_or_dash("{:,.0f}"))
    return shown


def _differences_section(tables):
    main_table = next(iter(tables.values()))
    if not main_table["pairs"].any():
        return ["No run is the pair of one with a single glimpse, so there are no differences to show."]
    shown = main_table[_cell_axes(main_table)].map(_axis_value).assign(pairs=main_table["pairs"])
    for name, table in tables.items():
        shown[name] = _intervals(table, "difference")
    shown = shown[main_table["pairs"] > 0]
    notes = [f"* without a run with one glimpse to compare with: `{name}`" for name in _unpaired(main_table)]
    return ["### Difference to one glimpse, paired by seed", _markdown(shown), *(["\n".join(notes)] if notes else [])]


def _policy_section(runs, split):
    """Where each glimpse after the first looks, relative to the proposal: mean of the deltas, and spread over proposals."""
    prefix = f"policy/{split}/"
    columns = [column.removeprefix(prefix).split("/") for column in runs if column.startswith(prefix)]
    glimpses = sorted({glimpse for glimpse, _, _ in columns})
    if not glimpses:
        return []
    deltas = list(dict.fromkeys(delta for _, _, delta in columns))
    axes, rows = _cell_axes(runs), []
    for key, cell in runs.groupby(axes, dropna=False, sort=False) if axes else [((), runs)]:
        means = cell[[column for column in runs if column.startswith(prefix)]].astype(float).mean()
        for glimpse in glimpses:
            values = [[means[f"{prefix}{glimpse}/{statistic}/{delta}"] for statistic in ("mean", "spread")] for delta in deltas]
            if not np.isnan(values).any():
                rows.append([*map(_axis_value, key), glimpse, *(f"{mean:+.2f} ({spread:.2f})" for mean, spread in values)])
    text = "Where the glimpses look, as deltas from the proposal (a shift in widths and heights of the proposal, the logarithm\n"
    text += "of the ratio of sizes): mean, and in brackets the spread over the proposals that overlap an object, means over seeds.\n"
    text += "A spread near 0 says that the policy looks at the same place whatever it sees."
    return ["## What the policy does", text, _markdown(pd.DataFrame(rows, columns=[*axes, "glimpse", *deltas]))]


def _write_pictures(directory, runs, tables, split):
    """Draws the pictures, writes them, and returns the section that shows them."""
    x = _horizontal_axis(runs)
    if x is None:
        return []
    name, label = x.lower().removeprefix("num_"), next(iter(tables))
    pictures = {f"map_over_{name}.png": plot_map_over_glimpses(tables[label], x, label)}
    keys = {threshold: f"{split}/voc10_map@{threshold:.2f}" for threshold in IOU_THRESHOLDS}
    curves = [summarise(runs, key).assign(iou=threshold) for threshold, key in keys.items() if key in runs]
    if len(curves) > 1:
        curves = pd.concat(curves)
        pictures["map_over_iou.png"] = plot_map_over_iou(curves, x)
        if curves["pairs"].any():
            pictures["difference_over_iou.png"] = plot_difference_over_iou(curves, x)
    captions = {
        f"map_over_{name}.png": f"{label} over {x}, with 95 % intervals",
        "map_over_iou.png": "mAP over the IoU threshold, with 95 % intervals",
        "difference_over_iou.png": "Paired difference to one glimpse over the IoU threshold, with 95 % intervals",
    }
    for file_name, figure in pictures.items():
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=150)
        write_whole(directory / file_name, png.getvalue())
    return ["## Pictures", *(f"![{captions[name]}]({name})\n\n{captions[name]}." for name in pictures)]


def _proposal_recall(runs, split):
    prefix = "proposal_recall/"
    columns = [column for column in runs if column.startswith(f"{prefix}{split}@")]
    if not columns:
        return "Not measured."
    recalls = 100 * runs[columns].astype(float)
    table = pd.DataFrame(
        {
            "split@IoU": [column.removeprefix(prefix) for column in columns],
            "mean": recalls.mean().map("{:.1f}".format).to_numpy(),
            "lowest": recalls.min().map("{:.1f}".format).to_numpy(),
            "highest": recalls.max().map("{:.1f}".format).to_numpy(),
        }
    )
    text = "The share of objects, in percent, that some proposal overlaps at the IoU named, over all runs. An object\n"
    text += "that no proposal is near can hardly be found: this bounds what any number of glimpses can reach."
    return f"{text}\n\n{_markdown(table)}"


def _machine_and_versions(runs):
    columns = [column for column in runs if column.startswith(("machine/", "versions/"))]
    lines = []
    for column in columns:
        values = sorted({_named(value) for value in runs[column].dropna()})
        differ = " (runs differ)" if len(values) > 1 else ""
        lines.append(f"* {column.split('/', 1)[1]}: {'; '.join(values)}{differ}")
    return "\n".join(lines) or "Not recorded."


# Small helpers.


def _cell_axes(table):
    return [axis for axis in axes_of(table) if axis != "SEED"]


def _horizontal_axis(runs):
    """NUM_GLIMPSES if it has several values, else the first other numeric axis that has, else None."""
    axes = sorted((axis for axis in axes_of(runs) if axis != "SEED"), key=lambda axis: axis != "NUM_GLIMPSES")
    several = (axis for axis in axes if pd.api.types.is_numeric_dtype(runs[axis]) and runs[axis].nunique() > 1)
    return next(several, None)


def _unpaired(table):
    """The runs that should have a pair, where any has: a study without a single glimpse compares nothing."""
    return [name for names in table["unpaired"] for name in names] if table["pairs"].any() else []


def _axis_value(value):
    return "-" if pd.isna(value) else str(value)


def _named(value):
    """A value of the environment as text: a list, as of accelerators, by its items."""
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _or_dash(pattern):
    return lambda value: "-" if np.isnan(value) else pattern.format(value)


def _intervals(table, quantity="mean"):
    """Column of "61.2 [60.1, 62.3]" in percent, signed for differences; "[-]" where there is no interval."""
    sign, ends = ("", ("low", "high")) if quantity == "mean" else ("+", ("difference_low", "difference_high"))

    def show(value, low, high):
        if np.isnan(value):
            return "-"
        interval = "-" if np.isnan(low) else f"{100 * low:{sign}.1f}, {100 * high:{sign}.1f}"
        return f"{100 * value:{sign}.1f} [{interval}]"

    return [show(*row) for row in table[[quantity, *ends]].to_numpy(float)]


def _markdown(table):
    """A DataFrame as a Markdown table without its index."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    main()
