"""A folder of photographs -> its layout, found out: which reader reads each split, and what that reader is told."""

import logging
from pathlib import Path

import gin

from glimpse.data.coco import COCO
from glimpse.data.coco_layout import coco_layout
from glimpse.data.example import NoSplit, Part
from glimpse.data.fields import Fault, one_line
from glimpse.data.voc import VOC
from glimpse.data.voc_layout import voc_layout
from glimpse.data.yolo import YOLO
from glimpse.data.yolo_layout import yolo_layout
from glimpse.errors import GlimpseError, one_of, path_given, real_number, whole_number
from glimpse.randomness import generator

READERS = {"VOC": VOC, "COCO": COCO, "YOLO": YOLO}
LOOKED_FOR = ("looked for a YAML file with names and train (YOLO), text files of boxes in labels or beside images "
              "(YOLO), a JSON file with images, annotations and categories (COCO) and XML files of <annotation> (VOC), "
              "in it and in train, valid and test; docs/your_data.md shows them")
_LOG = logging.getLogger(__name__)


@gin.register
def photographs(split, root=gin.REQUIRED, layout=None, validation=0.2, seed=0, on_fault="raise"):
    """A folder of photographs in the layout of VOC, COCO or YOLO (see `glimpse.data.example`), whichever it has.

    Where it has no validation split, that is drawn from the training images, which lack it then; the log names both.
    A parameter that the configuration gives the reader itself, such as `YOLO.polygons`, goes before what is found out.

    Args:
        split: "train", "validation" or "test".
        root: the folder.
        layout: "VOC", "COCO" or "YOLO", for a folder that holds more than one.
        validation: the share of the training images that a validation split of our own takes.
        seed: of the draw of that split; the same for all runs of a study.
        on_fault: see `AnnotatedImages`.

    Raises:
        GlimpseError: names the folder and what was looked for, or file, object and reason.
        NoSplit: where the folder has no such split.
    """
    root, seed = path_given("DATA_ROOT", root), whole_number("photographs.seed", seed, minimum=0)
    validation = real_number("photographs.validation", validation, minimum=0.01, maximum=0.9)
    found = find_layout(root, layout)
    drawn = "validation" not in found.splits
    name = "train" if split == "validation" and drawn else split
    if name not in found.splits:
        raise NoSplit(f"{root} has no split {split!r}; there are {', '.join(found.splits)}")
    examples = _read(found, name, on_fault, root)
    if split == "train":
        _LOG.warning("%s: read in the layout of %s (%s); %d classes: %s", root, found.reader, found.told_by,
                     len(examples.class_names), one_line(", ".join(examples.class_names)))
    if drawn and name == "train":
        examples = _without_validation(examples, split, validation, seed, root)
    return examples


def find_layout(root, layout=None):
    """The `glimpse.data.layout_files.Layout` of a folder, or of the one folder in it.

    Raises:
        GlimpseError: where it has none, more than one, or no training images.
    """
    one_of("photographs.layout", layout, (None, *READERS))
    root, top = Path(root), root
    if not root.is_dir():
        raise GlimpseError(f"{root} is no folder; DATA_ROOT names the folder of the photographs")
    for _ in range(4):  # archives often unpack to a folder in a folder
        found = [each for each in (yolo_layout(root), coco_layout(root), voc_layout(root))
                 if each and layout in (None, each.reader)]
        folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] not in "._"]
        if found or len(folders) != 1:
            break
        root = folders[0]
    if not found:
        raise GlimpseError(f"{top} is in no layout that is known here: {LOOKED_FOR}")
    if len(found) > 1:
        told = " and ".join(f"{each.reader} ({each.told_by})" for each in found)
        raise GlimpseError(f"{top} holds {told}: say which is meant, photographs.layout = {found[0].reader!r}")
    return found[0]


def _read(found, split, on_fault, root):
    """The data set of a split; what the configuration says of the reader itself goes before."""
    reader = READERS[found.reader]
    given = gin.get_bindings(reader)
    arguments = {"on_fault": on_fault, **found.splits[split]}
    try:
        return gin.get_configurable(reader)(
            split, **{name: value for name, value in arguments.items() if name not in given})
    except Fault as fault:
        said = str(fault).splitlines()[0]  # gin adds where it was called
        raise GlimpseError(f"{said}; python -m experiments.inspect --data={root} lists all defects, and "
                           "photographs.on_fault = 'skip' leaves them out") from fault


def _without_validation(examples, split, share, seed, root):
    """The training images without those drawn for validation, or the latter."""
    count = round(share * len(examples)) or 1
    if count >= len(examples):
        raise GlimpseError(f"{root} has {len(examples)} image in all; training and validation need one each")
    drawn = set(generator(seed, "validation").permutation(len(examples))[:count].tolist())
    _LOG.warning("%s has no validation split: %d of its %d training images, drawn with photographs.seed = %d, %s", root,
                 count, len(examples), seed, "stand for it" if split == "validation" else "are not trained on")
    return Part(examples, [place for place in range(len(examples)) if (place in drawn) == (split == "validation")])
