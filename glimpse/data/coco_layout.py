"""A folder with JSON files of COCO -> its Layout: which file tells of which split, and where its images lie."""

import itertools
import json
import logging
import os
import re

from glimpse.data.layout_files import Layout, first_of, folders_of_splits, split_of, text_of
from glimpse.errors import GlimpseError

_LOG = logging.getLogger(__name__)


def coco_layout(root):
    """The Layout of a folder with JSON files of COCO, None where it holds none.

    Raises:
        GlimpseError: where two files would be of one split.
    """
    places = [root, root / "annotations", root / "Annotations", *folders_of_splits(root).values()]
    files = [path for place in places for path in sorted(place.glob("*.json")) if _is_coco(path)]
    files = list({path.resolve(): path for path in files}.values())  # a disk may know no capitals
    instances = [path for path in files if path.name.startswith("instances")]
    splits = {}
    for path in instances or files:
        split = split_of(path.stem) or (path.parent != root and split_of(path.parent.name)) or "train"
        if split in splits:
            raise GlimpseError(f"{splits[split]} and {path} would both be the split {split!r}: name the files after "
                               "train, val and test, or say COCO.annotations = '...{split}...'")
        splits[split] = path
    if not splits:
        return None
    if "test" not in splits:  # COCO keeps the annotations of its test images to itself
        lists = [path for place in places for path in sorted(place.glob("*.json"))
                 if split_of(path.stem) == "test" and _is_coco(path, annotated=False)]
        if len(lists) > 1:
            _LOG.warning("%s and %s are lists of images without annotations, of which none is read: give one as "
                         "COCO.annotations", *lists[:2])
        elif lists:
            splits["test"] = lists[0]
    parents = _parents(splits.get("train", path))
    return Layout("COCO", next(iter(splits.values())), {
        split: {"root": root, "annotations": path.resolve(), "images": _folder_of_images(path, root, split).resolve(),
                "leave_out": [name for name in parents if name in _categories_in(path)]}
        for split, path in splits.items()})


def _is_coco(path, annotated=True):
    text = text_of(path)
    return ('"annotations"' in text) == annotated and all(f'"{name}"' in text for name in ("images", "categories"))


def _folder_of_images(path, root, split):
    """The folder that holds one of the first images of a COCO file; that of the file where none does."""
    found = itertools.islice(re.finditer(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)+")', text_of(path)), 20)
    names = [json.loads(each[1], strict=False) for each in found]
    stem = path.stem.removeprefix("instances_")
    of_split = [folder for top in (root, root / "images") if top.is_dir()
                for folder in (top / stem, folders_of_splits(top).get(split), *sorted(top.iterdir()))
                if folder and (folder.name == stem or split_of(folder.name) == split)]
    return first_of(folder for folder in (*of_split, path.parent, root, root / "images", root / "JPEGImages",
                                         root / "data", path.parent / "images")
                   if any(os.path.isfile(folder / each) for name in names for each in (name, name.replace("\\", "/")))
                  ) or path.parent


def _categories_in(path):
    """The names of a file's categories, as far as they can be read."""
    try:
        return [each["name"] for each in json.loads(text_of(path))["categories"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _parents(path):
    """The categories of which no object is, and which others name as their parent, as Roboflow adds one."""
    try:
        content = json.loads(text_of(path))
        used = {each.get("category_id") for each in content["annotations"]}
        above = [each.get("supercategory") for each in content["categories"]
                 if each["name"] != each.get("supercategory")]
        return [each["name"] for each in content["categories"] if each["name"] in above and each["id"] not in used]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # the reader says what is wrong
        return []
