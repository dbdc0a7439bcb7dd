"""The sections of a report, as Markdown, in its order."""

import json

import numpy as np
import pandas as pd

from glimpse.studies.report.tables import axes_shown, axis_value, intervals, markdown, or_dash
from glimpse.errors import GlimpseError
from glimpse.studies.runs import axes_of, cell_axes_of
from glimpse.studies.tables import cells_of

HOW_TO_READ = """\
* mAP is the mean over classes of the area under the precision-recall curve (PASCAL VOC 2010 and later), in
  percent, at the IoU threshold in the head of the column; 50:95 is the mean over the thresholds 0.50, 0.55, ...,
  0.95. Objects marked difficult are ignored.
* A row is a cell: all its runs differ in the seed alone. "-" stands where a cell has no value on an axis.
* [low, high] is the 95 % percentile bootstrap interval of the mean over seeds (scipy.stats.bootstrap, fixed
  generator). It tells of the seeds, not of the choice of test images. Over few seeds it is too narrow: it
  cannot leave the range of the values, and with two or three seeds it is that range, which contains the median
  of the distribution in only 50 or 75 of 100 studies, not in 95. With one seed there is none: [-].
* A difference to one glimpse is taken run by run to the run with one glimpse of the same seed, in points of mAP, so
  what the two runs have in common cancels. An interval that holds 0 leaves the sign of the effect open.
* A difference to a control is taken in the same way, to the run of the other policy with the same seed and as many
  glimpses. Each interval speaks for itself alone: of many, some miss by chance.
* Milliseconds an image are the median over the runs of a cell; runs that shared the machine slowed each other.
"""


def report(contents, pictures):
    """The whole report as Markdown.

    Args:
        contents: `glimpse.studies.report.contents.Contents`.
        pictures: of `glimpse.studies.report.pictures.draw`.

    Raises:
        GlimpseError: `study.json` is not what it should be.
    """
    runs, split = contents.runs, contents.split
    blocks = [
        f"# Study `{contents.directory.resolve().name}`",
        _what_was_run(runs, contents.directory),
        f"## Results on the {split} split",
        markdown(_results(contents.results)),
        *_shown(pictures["results"]),
        *_controls(runs, contents.controls),
        *_differences(contents.results),
        *_fewer(contents.fewer),
        *_titled("## Over the IoU threshold", _shown(pictures["iou"])),
        *_titled("## Time", _shown(pictures["time"])),
        *_classes(contents.by_class, pictures["classes"]),
        *_training(runs, pictures["training"]),
        *_policy(runs, split),
        "## How to read it",
        HOW_TO_READ.strip(),
        "## Proposal recall",
        _proposal_recall(runs, split),
        "## Machine and versions",
        _machine_and_versions(runs),
    ]
    return "\n\n".join(blocks) + "\n"


def unpaired(table):
    """The runs that should have a pair, where any has: a study without a single glimpse compares nothing."""
    return [name for names in table["unpaired"] for name in names] if table["pairs"].any() else []


def compared(tables, to="control"):
    """The differences of each of {label: table of `against_controls`, or of `against_fewer` with to="fewer"}, as text."""
    first = next(iter(tables.values()))
    shown = axes_shown(first).assign(against=first[to], pairs=first["pairs"])
    return shown.assign(**{label: intervals(table, "difference") for label, table in tables.items()})


# The sections. One that may have nothing to say is a list of blocks, then empty.


def _what_was_run(runs, directory):
    lines = [f"* {axis}: {', '.join(axis_value(v) for v in runs[axis].dropna().unique())}" for axis in axes_of(runs)]
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
    main = next(iter(tables.values()))
    shown = axes_shown(main).assign(seeds=main["seeds"])
    for name, table in tables.items():
        shown[name] = intervals(table)
    shown["ms an image"] = main["milliseconds_per_image"].map(or_dash("{:.1f}"))
    shown["parameters"] = main["parameters"].map(or_dash("{:,.0f}"))
    return shown


def _controls(runs, tables):
    if "POLICY" not in runs or not (runs["POLICY"] == "learned").any():
        return []
    title = "## Learned against the controls"
    if next(iter(tables.values())).empty:
        return [title, "No run of another policy has as many glimpses and the seed of a learned one, so whether the\n"
                       "learned policy has earned its name is open."]
    text = "The learned policy minus another one with as many glimpses, paired by seed, in points of mAP. It has earned its\n"
    text += "name where the intervals of all three controls, `fixed`, `random` and `repeat`, lie above 0."
    return [title, text, markdown(compared(tables))]


def _differences(tables):
    main = next(iter(tables.values()))
    if not main["pairs"].any():
        return ["No run is the pair of one with a single glimpse, so there are no differences to show."]
    shown = axes_shown(main).assign(pairs=main["pairs"])
    for name, table in tables.items():
        shown[name] = intervals(table, "difference")
    notes = [f"* without a run with one glimpse to compare with: `{name}`" for name in unpaired(main)]
    return ["## Difference to one glimpse, paired by seed", markdown(shown[main["pairs"] > 0]),
            *(["\n".join(notes)] if notes else [])]


def _fewer(tables):
    if next(iter(tables.values())).empty:
        return []
    text = "Paired by seed, in points of mAP: whether the last glimpses added to what fewer had gained."
    return ["## Difference to fewer glimpses", text, markdown(compared(tables, "fewer"))]


def _classes(by_class, pictures):
    """A row a class: the AP of cells with one glimpse, the paired difference of the others."""
    if by_class.empty or not by_class["pairs"].any():
        return []
    shown = pd.DataFrame({"class": by_class["class"].unique()})
    axes = cell_axes_of(by_class)
    for key, cell in cells_of(by_class):
        name = ", ".join(f"{axis}={value}" for axis, value in zip(axes, key) if not pd.isna(value))
        shown[name] = intervals(cell, "difference" if cell["pairs"].any() else "mean")
    text = "AP 50:95 with one glimpse, in percent, and the paired differences to it, in points."
    return ["## By class", text, markdown(shown), *_shown(pictures)]


def _training(runs, pictures):
    missing = runs["log"].isna().sum()
    text = "Each point is the mean over the steps since the one before. P × IoU is that of foreground RoIs after the last glimpse."
    note = f"Without a curve, since their `results.json` holds no log: {missing} of {len(runs)} runs."
    blocks = [*([text] if pictures else []), *([note] if missing else []), *_shown(pictures)]
    return _titled("## Learning curves", blocks)


def _policy(runs, split):
    """Where each glimpse after the first looks, from the proposal: mean of the deltas, and spread over proposals."""
    prefix = f"policy/{split}/"
    columns = [column.removeprefix(prefix).split("/") for column in runs if column.startswith(prefix)]
    glimpses = sorted({glimpse for glimpse, _, _ in columns}, key=lambda name: (len(name), name))  # "glimpse 10" last
    if not glimpses:
        return []
    deltas = list(dict.fromkeys(delta for _, _, delta in columns))
    axes, rows = cell_axes_of(runs), []
    for key, cell in cells_of(runs):
        means = cell[[column for column in runs if column.startswith(prefix)]].astype(float).mean()
        for glimpse in glimpses:
            values = [[means[f"{prefix}{glimpse}/{statistic}/{delta}"] for statistic in ("mean", "spread")]
                      for delta in deltas]
            if not np.isnan(values).any():
                rows.append([*map(axis_value, key), glimpse, *(f"{mean:+.2f} ({spread:.2f})" for mean, spread in values)])
    text = "Where the glimpses look, as deltas from the proposal (a shift in widths and heights of the proposal, the\n"
    text += "logarithm of the ratio of sizes): mean, and in brackets the spread over the proposals that overlap an object,\n"
    text += "means over seeds. A spread near 0 says that the policy looks at the same place whatever it sees."
    return ["## What the policy does", text, markdown(pd.DataFrame(rows, columns=[*axes, "glimpse", *deltas]))]


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
    return f"{text}\n\n{markdown(table)}"


def _machine_and_versions(runs):
    columns = [column for column in runs if column.startswith(("machine/", "versions/"))]
    lines = []
    for column in columns:
        values = sorted({_named(value) for value in runs[column].dropna()})
        differ = " (runs differ)" if len(values) > 1 else ""
        lines.append(f"* {column.split('/', 1)[1]}: {'; '.join(values)}{differ}")
    return "\n".join(lines) or "Not recorded."


def _named(value):
    """A value of the environment as text: a list, as of accelerators, by its items."""
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _titled(title, blocks):
    return [title, *blocks] if blocks else []


def _shown(pictures):
    return [f"![{picture.caption}]({picture.name})\n\n{picture.caption}" for picture in pictures]
