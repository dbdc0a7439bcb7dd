"""The sections of a report, as Markdown, in its order."""


import numpy as np
import pandas as pd

from glimpse.json_files import fields, list_of, read_json, text
from glimpse.studies.report.tables import axes_shown, axis_value, intervals, markdown, or_dash, p_value
from glimpse.studies.runs import axes_of, cell_axes_of
from glimpse.studies.tables import cells_of

HOW_TO_READ = """\
* mAP is the mean over classes of the area under the precision-recall curve (PASCAL VOC 2010 and later), in
  percent, at the IoU threshold in the head of the column; 50:95 is the mean over the thresholds 0.50, 0.55, ...,
  0.95. Objects marked difficult are ignored.
* A row is a cell: all its runs differ in the seed alone. Cells stand in the order of their result. "-" stands where a
  cell has no value on an axis, or where a value is not known or undefined.
* Roles: a policy that *learns* where to look; a *control*, which looks without having learned; a *rival*, the best that
  is known otherwise; a *ceiling*, which is told where the objects are, and is no result.
* [low, high] is the 95 % t interval of the mean over seeds. In simulated studies of five seeds it holds the true mean
  in 95 of 100 if the noise of seeds is normal, 88 if skewed (97 for paired differences), 96 if heavy-tailed. The
  percentile bootstrap: 83, 78, 83 (docs/results/coverage.json). With two seeds it is wide, as it must be. With one
  seed there is none: [-].
* It tells of the seeds, on these test images. The interval over *seeds and images* tells of other images as well.
  Images are resampled 1000 times, the same for both policies, and the variances of images and of seeds are added.
* A difference is taken run by run to the run of the same seed, in points of mAP. What the two runs have in common
  cancels. An interval that holds 0 leaves the sign of the effect open. Of many intervals some miss the truth.
* p is two-sided, and corrected by Holm for the number of policies compared to at as many glimpses. Quote that of *seeds
  and images* where it is given, else that of *seeds* (paired t test). *Sign flips* is exact and assumes least. But with
  n seeds it cannot fall below 2 / 2^n before the correction, with five seeds 0.0625: it cannot confirm a result there.
* Milliseconds an image are the median over the runs of a cell. Runs that shared the machine slowed each other, so they
  are not drawn; `python -m experiments.benchmark glimpses` measures time apart.
"""


ERRORS = """\
Points of mAP 50 that a run would gain if all errors of one kind were mended, and in brackets their number. Both are
means over seeds (TIDE, Bolya et al. 2020). Gains do not add up. *Classification*: on an object of another class (IoU
0.5 or more). *Localisation*: beside an object of its class (0.1 to 0.5). *Both*: beside an object of another class.
*Duplicate*: on an object found already. *Background*: on no object (up to 0.1). *Missed*: objects that no detection
finds, nor would with another class or box.
"""


def report(contents, pictures):
    """The whole report as Markdown.

    Args:
        contents: `glimpse.studies.report.contents.Contents`.
        pictures: of `glimpse.studies.report.pictures.draw`.

    Raises:
        GlimpseError: `study.json` is not what it should be.
    """
    runs, split = contents.ranked, contents.split
    blocks = [
        f"# Study `{contents.directory.resolve().name}`",
        _what_was_run(contents.runs, contents.directory),
        f"## Results on the {split} split",
        markdown(_results(contents.results)),
        *_undefined(contents.main, split),
        *_shown(pictures["results"]),
        *_ceilings(contents.ceilings),
        *_rivals(contents),
        *_differences(contents.results),
        *_fewer(contents.fewer),
        *_titled("## Over the IoU threshold", _shown(pictures["iou"])),
        *_errors(contents.errors, pictures["errors"]),
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


def compared(tables, columns):
    """The differences of each of {label: table with differences} as text, beside `columns` of the first."""
    first = next(iter(tables.values()))
    shown = axes_shown(first).assign(**{column: first[column] for column in columns})
    return shown.assign(**{label: intervals(table, "difference") for label, table in tables.items()})


# The sections. One that may have nothing to say is a list of blocks, then empty.


def _what_was_run(runs, directory):
    values = {axis: runs[axis].dropna().drop_duplicates().sort_values() for axis in axes_of(runs)}
    lines = [f"* {axis}: {', '.join(map(axis_value, of_axis))}" for axis, of_axis in values.items()]
    plan = directory / "study.json"
    missing = []
    if plan.exists():
        planned = read_json(plan, fields({"runs": list_of(text)}), "run the study again")["runs"]
        missing = [name for name in planned if name not in runs.index]
    lines.append(f"* finished: {len(runs)} runs" + (f"; **missing: {len(missing)}**" if missing else ""))
    lines += [f"  * missing: `{name}`" for name in missing]
    return "\n".join(lines)


def _results(tables):
    main = next(iter(tables.values()))
    shown = axes_shown(main).assign(role=main["role"].map(axis_value), seeds=main["seeds"])
    for name, table in tables.items():
        shown[name] = intervals(table)
    shown["ms an image"] = main["milliseconds_per_image"].map(or_dash("{:.1f}"))
    shown["parameters"] = main["parameters"].map(or_dash("{:,.0f}"))
    return shown


def _undefined(main, split):
    names = [name for names in main["undefined"] for name in names]
    if not names:
        return []
    listed = ", ".join(f"`{name}`" for name in names[:5]) + (", ..." if len(names) > 5 else "")
    return [f"mAP is undefined for {len(names)} of the runs, since no object of the {split} split counts there: "
            f"{listed}."]


def _ceilings(tables):
    if next(iter(tables.values())).empty:
        return []
    text = "What glimpses could reach that are told where the objects are. These are no results."
    return ["## Ceilings", text, markdown(_results(tables))]


def _rivals(contents):
    """The best learner against each rival and control: intervals and p-values, then the other thresholds."""
    runs, tables, main = contents.ranked, contents.rivals, next(iter(contents.rivals.values()))
    if not runs["role"].eq("learns").any():
        return []
    title = "## Best learner against every rival and control, at equal number of glimpses"
    if main.empty:
        return [title, "No run of a rival or control has as many glimpses and the seed of one that learns, so whether "
                       "learning where to look pays is open."]
    text = f"Compared to: {', '.join(f'`{name}`' for name in dict.fromkeys(main['against']))}. "
    text += "Paired by seed, in points of mAP; above 0 the learner is better. "
    text += (f"At each number of glimpses the learner is the one with the best mean on the {contents.chosen_on} split"
             + (", which favours it." if contents.chosen_on == contents.split and len(_learners(runs)) > 1 else "."))
    label = next(iter(tables))
    shown = compared({f"{label} [seeds]": main}, ["learner", "against", "role", "pairs"])
    if main["images_low"].notna().any():
        shown["[seeds and images]"] = intervals(main, "images")
    for column, name in (("p_seeds", "p, seeds"), ("p_images", "p, seeds and images"), ("p_flips", "p, sign flips")):
        if main[column].notna().any():
            shown[name] = main[column].map(p_value)
    pairs = int(main["pairs"].max())
    notes = [f"With {pairs} seeds the smallest p of sign flips is {2 / 2 ** pairs:.4g}, before it is corrected for the "
             "number of policies."] if main["p_flips"].notna().any() else []
    others = {name: table for name, table in tables.items() if name != label}
    more = [markdown(compared(others, ["learner", "against"]))] if others else []
    return [title, text, markdown(shown), *notes, *more]


def _learners(runs):
    return [key for key, cell in cells_of(runs) if cell["role"].eq("learns").all()]


def _differences(tables):
    main = next(iter(tables.values()))
    if not main["pairs"].any():
        return ["No run is the pair of one with a single glimpse, so there are no differences to show."]
    shown = axes_shown(main).assign(pairs=main["pairs"])
    label, *others = tables
    shown[f"{label} [seeds]"] = intervals(main, "difference")
    if main["images_low"].notna().any():
        shown["[seeds and images]"] = intervals(main, "images")
    for name in others:
        shown[name] = intervals(tables[name], "difference")
    notes = [f"* without a run with one glimpse to compare with: `{name}`" for name in unpaired(main)]
    return ["## Difference to one glimpse, paired by seed", markdown(shown[main["pairs"] > 0]),
            *(["\n".join(notes)] if notes else [])]


def _fewer(tables):
    if next(iter(tables.values())).empty:
        return []
    text = "Paired by seed, in points of mAP: whether the last glimpses added to what fewer had gained."
    return ["## Difference to fewer glimpses", text, markdown(compared(tables, ["fewer", "pairs"]))]


def _errors(errors, pictures):
    if errors.empty:
        return []
    first = errors[errors["kind"] == errors["kind"].iloc[0]]
    shown = axes_shown(first)
    for kind, table in errors.groupby("kind", sort=False):
        shown[kind] = [("-" if np.isnan(gained) else f"{100 * gained:.1f} ({count:,.0f})")
                       for gained, count in table[["mean", "count"]].to_numpy(float)]
    return ["## Errors by kind", ERRORS.strip(), markdown(shown), *_shown(pictures)]


def _classes(by_class, pictures):
    """A column a class: the AP of cells with one glimpse, the paired difference of the others."""
    if by_class.empty or not by_class["pairs"].any():
        return []
    shown = axes_shown(by_class[by_class["class"] == by_class["class"].iloc[0]])
    for name, table in by_class.groupby("class", sort=False):
        shown[name] = [difference if pairs else mean for pairs, difference, mean in
                       zip(table["pairs"], intervals(table, "difference"), intervals(table))]
    text = "AP 50:95 with one glimpse, in percent, and of the others the paired differences to it, in points (signed)."
    return ["## By class", text, markdown(shown), *_shown(pictures)]


def _training(runs, pictures):
    missing = runs["log"].isna().sum()
    text = ("Each point is the mean over the steps since the one before. "
            "P × IoU is that of foreground RoIs after the last glimpse.")
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
                rows.append(
                    [*map(axis_value, key), glimpse, *(f"{mean:+.2f} ({spread:.2f})" for mean, spread in values)])
    text = "Where the glimpses look, as deltas from the proposal (a shift in widths and heights of the proposal, the\n"
    text += "logarithm of the ratio of sizes): mean, and in brackets the spread over the proposals that overlap an "
    text += "object,\n"
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
