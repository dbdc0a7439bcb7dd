"""Shows what a folder of photographs holds, before anything is trained: python -m experiments.inspect --data=data/mine

Writes one HTML page: counts by split and class, sizes of boxes, defects, how many objects the proposals find, and 24
pictures with their boxes. The folder is read as experiments/photos.gin reads it, unless another configuration is named.
"""

import argparse
import collections
import inspect
import pathlib

import numpy as np

from experiments.launch import exit_on_error, start_tensorflow
from glimpse.errors import GlimpseError, whole_number
from glimpse.files import file_name_of, write_whole

SPLITS = ("train", "validation", "test")
PICTURES, MOST_DEFECTS = 24, 300
CELL = 16  # pixels of the network's input to a cell of the feature map
TITLE = "# Data in "


@exit_on_error
def main(arguments=None):
    flags = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    flags.add_argument("--data", metavar="FOLDER", help="the folder, as DATA_ROOT; else the configuration names it")
    flags.add_argument("--gin_file", default="experiments/photos.gin", help="a configuration (default: photos.gin)")
    flags.add_argument("--gin_param", action="append", default=[], metavar="NAME=VALUE",
                       help="a binding over the file; may be given again")
    flags.add_argument("--images", type=int, default=60, metavar="N",
                       help="measure the proposals on N images of the training split (default: 60)")
    flags.add_argument("--out", type=pathlib.Path, help="the page; inspect_NAME-OF-THE-FOLDER.html unless given")
    flags = flags.parse_args(arguments)
    most = whole_number("--images", flags.images)
    params = [*flags.gin_param, *([f"DATA_ROOT = {flags.data!r}"] if flags.data else [])]
    start_tensorflow()
    import gin

    from glimpse import config
    from glimpse.data.inspection import count, spread
    from glimpse.training.parts import check_built
    with config.configuration(flags.gin_file, params):
        parts = gin.get_bindings("Experiment")
        if "data" not in parts:
            raise GlimpseError("sets no Experiment.data")
        name = str(config.macros().get("DATA_ROOT", pathlib.Path(flags.gin_file).stem))
        out = flags.out or pathlib.Path(f"inspect_{file_name_of(pathlib.Path(name).resolve().name)}.html")
        check_page(out)
        data, missing = opened(parts["data"])
        counts = {split: count(examples, parts.get("framing")) for split, examples in data.items()}
        found = {}
        if "proposals" in parts:
            check_built("Experiment.proposals", parts["proposals"], ["__call__"], "@WindowGrid()")
            found = recalls(parts["proposals"], spread(data["train"], most))
        pictures = spread(data["train"], PICTURES)
        write_whole(out, page_of(name, counts, missing, found, pictures))
    for split, each in counts.items():
        print(f"{split}: {len(each.objects)} images, {len(each.labels)} objects, "
              f"{sum(map(len, each.faults.values()))} defects left out")
    print(f"page: {out}")


def check_page(out):
    """Raises GlimpseError where the page cannot be written, or would replace what is no page of this program."""
    if out.is_dir() or not out.parent.is_dir():
        raise GlimpseError(f"--out={out} must be a file in a directory that is there")
    if out.exists() and TITLE[2:].encode() not in out.read_bytes()[:300]:
        raise GlimpseError(f"--out={out} is there already, and no page of this program; name another file")


def opened(data):
    """The data sets by split, with defects left out, and {split: why it cannot be opened}."""
    skip = {"on_fault": "skip"} if "on_fault" in inspect.signature(data).parameters else {}
    found, missing = {}, {}
    for split in SPLITS:
        try:
            found[split] = data(split=split, **skip)
        except GlimpseError as error:
            if split == "train":
                raise
            missing[split] = str(error).splitlines()[0]  # gin adds where it was called
    return found, missing


def recalls(proposals, examples):
    """What `measured_recall` says of some examples, with their number and the name of the proposals."""
    from tqdm import tqdm

    from glimpse.data.proposals import WindowGrid, measured_recall
    from glimpse.randomness import generator
    images = tqdm(examples, "recall of the proposals", unit="image", leave=False, disable=None)

    def in_order(image, id):
        boxes = proposals(image, id)
        return generator(0, "order of windows").permutation(boxes) if isinstance(proposals, WindowGrid) else boxes

    return {"images": len(examples), "name": type(proposals).__name__, **measured_recall(in_order, images)}


# -- The page, from top to bottom


def page_of(name, counts, missing, found, pictures):
    """The page as text."""
    from glimpse.data.proposals import RECALL_IOUS
    from glimpse.studies.report.page import page
    from glimpse.studies.report.pictures import png
    from glimpse.studies.report.tables import as_text, markdown
    from glimpse.visualization.data_pictures import STYLE, pictures_html, plot_box_sizes, plot_recall
    images = {"sizes.png": png(plot_box_sizes({split: each.sides for split, each in counts.items()},
                                              {split: each.ratios for split, each in counts.items()}))}
    blocks = [TITLE + as_text(pathlib.Path(name).name or name), *notes(counts, missing),
              "## Splits", markdown(table_of_splits(counts)), "## Classes", markdown(table_of_classes(counts)),
              "## Sizes of the boxes", "![Histograms of sides and aspect ratios](sizes.png)"]
    if found:
        images["recall.png"] = png(plot_recall({f"IoU {iou}": (found["numbers"], found["recall"][:, place])
                                                for place, iou in enumerate(RECALL_IOUS)}))
        blocks += ["## Objects that proposals find", text_of_recall(found), "![Recall over the number](recall.png)"]
    blocks += ["## Defects", *defects(counts), f"## {len(pictures)} pictures of the training split"]
    return page("\n\n".join(blocks) + "\n", images, pictures_html(pictures, counts["train"].class_names), STYLE)


def notes(counts, missing):
    """What deserves a look, as one list."""
    from glimpse.studies.report.tables import as_text
    train = counts["train"]
    lines = [f"There is no {split} split: {as_text(why)}." for split, why in missing.items()]
    for label, name in enumerate(train.class_names):
        in_train = int((train.labels[~train.difficult] == label).sum())
        if not in_train:
            lines.append(f"No training image shows {as_text(name)}, so that it cannot be learned.")
        elif in_train < 20:
            lines.append(f"Of {as_text(name)} there are {in_train} objects to learn from.")
    for split, each in counts.items():
        empty, small = int((each.objects == 0).sum()), float(np.mean(each.pixels < CELL)) if len(each.pixels) else 0
        if empty:
            lines.append(f"{empty} of the {len(each.objects)} images of {split} have no object: are they empty, or not "
                         "annotated?")
        if small > 0.1:
            lines.append(f"{100 * small:.0f} % of the objects of {split} are smaller than {CELL} pixels of the "
                         "network's input, which is a cell of its feature map.")
        if each.class_names != train.class_names:
            lines.append(f"The classes of {split} are not those of train: {as_text(', '.join(each.class_names))}.")
    return ["\n".join(f"* {line}" for line in lines)] if lines else []


def table_of_splits(counts):
    import pandas as pd
    rows = []
    for split, each in counts.items():
        sizes = collections.Counter(map(tuple, each.image_sizes.tolist()))
        (height, width), most = sizes.most_common(1)[0]
        rows.append({
            "split": split, "images": len(each.objects), "without objects": int((each.objects == 0).sum()),
            "objects": len(each.labels), "of them difficult": int(each.difficult.sum()),
            "objects an image": f"{np.median(each.objects):.0f} (up to {each.objects.max()})",
            "defects left out": sum(map(len, each.faults.values())),
            "width × height": f"{width} × {height}" + (
                f" ({most} images), {len(sizes) - 1} other size{'s'[:len(sizes) != 2]}" if len(sizes) > 1 else "")})
    return pd.DataFrame(rows)


def table_of_classes(counts):
    import pandas as pd
    train, rows = counts["train"], []
    for label, name in enumerate(train.class_names):
        of_class = train.sides[train.labels == label]
        rows.append({"class": name, **{split: int((each.labels == label).sum()) for split, each in counts.items()},
                     "median side in train, % of the picture's": f"{100 * np.median(of_class):.1f}"
                     if len(of_class) else "-"})
    return pd.DataFrame(rows)


def text_of_recall(found):
    from glimpse.data.proposals import RECALL_IOUS
    shares = " and ".join(f"{100 * found['recall'][-1, place]:.0f} % at IoU {iou}"
                          for place, iou in enumerate(RECALL_IOUS))
    text = (f"{found['name']}, on {found['images']} images of train: {found['mean']:.0f} proposals an image; one of "
            f"them overlaps {shares} of the objects. An object that none overlaps at IoU 0.5 can hardly be found.")
    return text + (" Windows of a grid have no order of merit; here they are in random order. The same page of "
                   "selective search: `--gin_param='Experiment.proposals=@SelectiveSearch()'`."
                   if found["name"] == "WindowGrid" else "")


def defects(counts):
    """A table of what was left out, a defect a line."""
    import pandas as pd

    from glimpse.studies.report.tables import markdown
    rows = [{"split": split, "left out": what, "defect": str(fault)} for split, each in counts.items()
            for what, faults in each.faults.items() for fault in faults]
    if not rows:
        return ["None."]
    more = [f"And {len(rows) - MOST_DEFECTS} more."] if len(rows) > MOST_DEFECTS else []
    cure = ("A training stops at the first of them. With `photographs.on_fault = 'skip'` it leaves them out; an object "
            "that is left out is background.")
    return [cure, markdown(pd.DataFrame(rows[:MOST_DEFECTS])), *more]


if __name__ == "__main__":
    main()
