"""What the layouts of a folder of photographs share: names of splits, and folders and files in which they are found."""

import re
from pathlib import Path
from typing import NamedTuple

from glimpse.data.text_files import decoded, read_bytes

# What tools call the splits, in folders and in names of files.
SPLITS = {"train": ("train", "training"), "validation": ("val", "valid", "validation", "dev"),
          "test": ("test", "testing")}
CLASS_FILES = ("classes.txt", "class_names.txt", "obj.names", "data/obj.names", "labels/classes.txt")


class Layout(NamedTuple):
    """What was found in a folder.

    reader: the name of its reader, "VOC", "COCO" or "YOLO". told_by: the file or folder that tells the layout.
    splits: {split: arguments of the reader}, the folder among them.
    """

    reader: str
    told_by: Path
    splits: dict


def folders_of_splits(folder):
    """{split: folder in this one of that name}."""
    names = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else {}
    return {split: names[name] for split, known in SPLITS.items() for name in known[::-1] if name in names}


def split_of(name):
    """The split that a file's name speaks of, such as "instances_val2017"; None where it names none."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    if "test" in words:  # COCO's test-dev
        words.discard("dev")
    return next((split for split, known in SPLITS.items() if words & set(known)), None)


def first_of(paths):
    """The first that exists; None where none does."""
    return next((path for path in paths if path.exists()), None)


def text_of(path):
    """The text of a file, "" where it cannot be read: whoever opens it for good says why."""
    try:
        return decoded(read_bytes(path))
    except (OSError, UnicodeDecodeError):
        try:
            return read_bytes(path).decode("latin-1")
        except OSError:
            return ""
