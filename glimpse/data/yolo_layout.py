"""A folder with a YAML file of YOLO, or with text files of boxes alone -> its Layout."""

import re

import yaml

from glimpse.data.layout_files import CLASS_FILES, SPLITS, Layout, first_of, folders_of_splits, text_of
from glimpse.data.text_files import numbered_lines
from glimpse.data.yolo import SUFFIXES

ROW = re.compile(r"\s*\d+([ \t]+[-+.\deE]+){4,}[ \t\r]*(\n|$)")  # a class and a box or more points


def yolo_layout(root):
    """The Layout of a folder with a YAML file or text files of YOLO, None where it holds neither."""
    return _yaml(root) or _texts(root)


def _yaml(root):
    described = {}
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        try:
            content = yaml.load(text_of(path), yaml.BaseLoader)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError):  # one of names is read again, and told of
            content = {}
        if path.stem == "data" or isinstance(content, dict) and {"names", "train"} <= set(content):
            described[path] = content if isinstance(content, dict) else {}
    path = next((each for each in described if each.stem in ("data", "dataset")), next(iter(described), None))
    if path is None:
        return None
    splits = {split: next((name for name in names if described[path].get(name)), None)
              for split, names in SPLITS.items()}
    return Layout("YOLO", path, {split: {"root": root, "data": path.name, "splits": {split: name or split}}
                                 for split, name in splits.items() if name or split == "train"})


def _texts(root):
    """Images with text files of boxes, without a YAML file."""
    images = root / "images"
    lists = {split: path for split, names in SPLITS.items()
             if (path := first_of(root / folder / f"{name}.txt" for folder in ("", "data") for name in names))}
    named = first_of(root / name for name in CLASS_FILES)
    if named and named.name == "obj.names" and lists:  # as of darknet
        splits = lists
    else:
        folders = folders_of_splits(root)
        splits = {split: folder / "images" if (folder / "images").is_dir() else folder
                  for split, folder in (folders_of_splits(images) or folders).items()}
        splits = {split: folder for split, folder in splits.items() if _rows_of(folder, root)}
        if not splits:
            beside = any(path.suffix.lower() in SUFFIXES for path in root.iterdir())  # and not in a folder in it
            folder = next((each for each, there in ((images, images.is_dir()), (root, beside))
                           if there and _rows_of(each, root)), None)
            splits = {"train": folder} if folder else {}
    if not splits:
        return None
    names = named.relative_to(root).as_posix() if named else _numbers(
        path for folder in splits.values() for path in _texts_of(folder, root))
    return Layout("YOLO", next(iter(splits.values())), {
        split: {"root": root, "data": names, "images": path.relative_to(root).as_posix()}
        for split, path in splits.items()})


def _texts_of(folder, root):
    """The text files that may hold the boxes of the images in a folder."""
    parts = folder.relative_to(root).parts
    labels = root.joinpath(*("labels" if part == "images" else part for part in parts))
    return sorted((labels if labels.is_dir() else folder).rglob("*.txt"))


def _rows_of(folder, root):
    """Whether there are images in a folder, and one of its text files begins with a row of YOLO."""
    return (any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))
            and any(ROW.match(text_of(path)) for path in _texts_of(folder, root)))


def _numbers(paths):
    """The classes of text files that nobody has named: "0", "1" and so on."""
    most = 0
    for path in paths:
        try:
            most = max([most, *(int(row.split()[0]) for _, row in numbered_lines(path))])
        except (OSError, ValueError):  # a row that the reader will name
            continue
    return [str(number) for number in range(min(most, 9999) + 1)]
