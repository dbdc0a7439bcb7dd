"""What was explored -> one HTML file that holds all it shows, and a table of the objects.

The page is put together of `page.html`, `page.css` and the scripts, which stand beside this file. It fetches nothing.
Its data are JSON, in `<script type="application/json">`: the block "objects", one record an object and run, can be
read by `pandas.read_json`; "images" has what is drawn of each image, "about" the runs.
"""

import html
import importlib.resources
import json
import re

import pandas as pd

SCRIPTS = ("data.js", "filters.js", "table.js", "picture.js", "detail.js", "dialogs.js", "page.js")  # as data flow
# Of a record, what a table with one number or text to a cell takes; those after each glimpse follow.
COLUMNS = ("run", "image", "object", "class", "difficult", "proposal_iou", "missed", "outcome", "detected", "score")


def page(split, runs, settings):
    """The page as text.

    Args:
        split: its name.
        runs: one Explored, or two of the same data, of which `glimpse.explorer.explored.compare` knows.
        settings: for each of them {name: text}, of its configuration.
    """
    about = {"split": split, "runs": [{**each.about, "settings": chosen} for each, chosen in zip(runs, settings)]}
    images = [{name: value for name, value in image.items() if name != "detections"} |
              {"detections": [each.images[place]["detections"] for each in runs]}
              for place, image in enumerate(runs[0].images)]
    return put_together(about, images, [record for each in runs for record in each.objects])


def put_together(about, images, objects):
    """The page of its three blocks of data, as `page` makes them."""
    parts = {
        # ASCII alone here and in JSON: a directory's name may hold what UTF-8 has no letters for.
        "title": html.escape(" against ".join(each["name"] for each in about["runs"])).encode(
            "ascii", "xmlcharrefreplace").decode(),
        "style": _file("page.css"),
        "script": "\n".join(map(_file, SCRIPTS)),
        "about": _json(about), "images": _json(images), "objects": _json(objects)}
    # In one pass: what has been put in is not looked at again.
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _file("page.html"))


def table(runs):
    """The records of all runs as a DataFrame: COLUMNS, probability_1 .. T, iou_1 .. T, gain, difference."""
    most = max(each.about["num_glimpses"] for each in runs)
    rows = []
    for record in (record for each in runs for record in each.objects):
        row = {name: record[name] for name in COLUMNS}
        for name in ("probability", "iou"):
            row |= {f"{name}_{step + 1}": value for step, value in enumerate(record[name])}
        rows.append(row | {name: record[name] for name in ("gain", "difference") if name in record})
    columns = [*COLUMNS, *(f"{name}_{step + 1}" for name in ("probability", "iou") for step in range(most)), "gain",
               *(["difference"] if len(runs) > 1 else [])]
    return pd.DataFrame(rows, columns=columns)


def _json(value):
    """JSON that no text in it can end: in a script element, "</script" and "<!--" would."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _file(name):
    return importlib.resources.files("glimpse.explorer").joinpath(name).read_text(encoding="utf-8")
