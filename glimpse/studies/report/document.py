"""Writes the report of a study, and says the most important of it in plain text."""

from glimpse.files import write_whole
from glimpse.studies.report import sections
from glimpse.studies.report.page import page
from glimpse.studies.report.pictures import draw, png
from glimpse.studies.report.tables import axes_shown, intervals, or_dash, p_value, plain


def write_report(contents):
    """Writes `report.md`, its pictures and `report.html` into the directory of a study.

    Pictures need an axis with at least two values that have an order: they are drawn over the one with the most
    values, NUM_GLIMPSES among equals.

    Args:
        contents: of `glimpse.studies.report.contents.read_contents`.

    Returns:
        Path of `report.md`.

    Raises:
        GlimpseError: `study.json` is not what it should be; nothing is written then.
    """
    groups = draw(contents)
    text = sections.report(contents, groups)
    images = {picture.name: png(picture.figure) for group in groups.values() for picture in group}
    for name, image in images.items():
        write_whole(contents.directory / name, image)
    write_whole(contents.directory / "report.html", page(text, images))
    path = contents.directory / "report.md"
    write_whole(path, text)
    return path


def summary_text(contents):
    """The tables of results, and of the best learner against rivals and controls, as plain text for a terminal."""
    first, main = next(iter(contents.results.items()))
    shown = axes_shown(main).assign(seeds=main["seeds"])
    shown[f"{first} [95 %]"] = intervals(main)
    for name, table in list(contents.results.items())[1:]:
        shown[name.replace("mAP ", "@")] = (100 * table["mean"]).map(or_dash("{:.1f}"))
    shown["to T=1 [95 %]"] = intervals(main, "difference")
    shown["ms/image"] = main["milliseconds_per_image"].map(or_dash("{:.1f}"))
    head = f"{contents.split} split, mAP in percent, means over seeds; "
    head += f"to T=1: paired difference of {first} to one glimpse"
    notes = [f"no run with one glimpse to compare with: {name}" for name in sections.unpaired(main)]
    notes += [f"undefined, no object of the {contents.split} split counts: {name}"
              for names in main["undefined"] for name in names]
    text = [head, plain(shown), *notes]
    ceilings, rivals = contents.ceilings[first], contents.rivals[first]
    if len(ceilings):
        text += ["", "ceilings, which are told where the objects are:"]
        text += [plain(axes_shown(ceilings).assign(**{f"{first} [95 %]": intervals(ceilings)}))]
    if len(rivals):
        text += ["", f"best learner minus rival or control, paired by seed, in points of {first}:"]
        compared = sections.compared({f"{first} [95 %]": rivals}, ["learner", "against", "pairs"])
        text += [plain(compared.assign(p=rivals["p_images"].fillna(rivals["p_seeds"]).map(p_value)))]
    return "\n".join(text)
