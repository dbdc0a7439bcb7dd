"""A folder of photographs -> its layout, found out: which reader reads each split, and what that reader is told."""

import itertools
import json
import logging
import os
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import gin
import yaml

from glimpse.data.coco import COCO
from glimpse.data.example import NoSplit, Part
from glimpse.data.fields import Fault, one_line
from glimpse.data.text_files import decoded, decoded_xml, numbered_lines, read_bytes
from glimpse.data.voc import VOC
from glimpse.data.yolo import SUFFIXES, YOLO
from glimpse.errors import GlimpseError, one_of, path_given, real_number, whole_number
from glimpse.randomness import generator

READERS = {"VOC": VOC, "COCO": COCO, "YOLO": YOLO}
# What tools call the splits, in folders and in names of files.
SPLITS = {"train": ("train", "training"), "validation": ("val", "valid", "validation", "dev"),
          "test": ("test", "testing")}
CLASS_FILES = ("classes.txt", "class_names.txt", "obj.names", "data/obj.names", "labels/classes.txt")
LOOKED_FOR = ("looked for a YAML file with names and train (YOLO), text files of boxes in labels or beside images "
              "(YOLO), a JSON file with images, annotations and categories (COCO) and XML files of <annotation> (VOC), "
              "in it and in train, valid and test; docs/your_data.md shows them")
ROW = re.compile(r"\s*\d+([ \t]+[-+.\deE]+){4,}[ \t\r]*(\n|$)")  # of YOLO: a class and a box or more points
_LOG = logging.getLogger(__name__)


class Layout(NamedTuple):
    """What was found in a folder.

    reader: a name in READERS. told_by: the file or folder that tells the layout. splits: {split: arguments of the
    reader}, the folder among them.
    """

    reader: str
    told_by: Path
    splits: dict


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
    """The Layout of a folder, or of the one folder in it.

    Raises:
        GlimpseError: where it has none, more than one, or no training images.
    """
    one_of("photographs.layout", layout, (None, *READERS))
    root, top = Path(root), root
    if not root.is_dir():
        raise GlimpseError(f"{root} is no folder; DATA_ROOT names the folder of the photographs")
    for _ in range(4):  # archives often unpack to a folder in a folder
        found = [each for each in (_yaml(root) or _texts(root), _coco(root), _voc(root))
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


# -- VOC


def _voc(root):
    parts = {split: _xml_part(folder) for split, folder in _folders_of_splits(root).items()}
    parts = {split: part for split, part in parts.items() if part}
    whole = None if parts else _xml_part(root)
    if not parts and not whole:
        return None
    splits = {split: {"images": images, "annotations": xml, "lists": None} for split, (images, xml) in parts.items()}
    if whole:
        images, xml = whole
        of_folders = {split: {"images": (_folders_of_splits(images)).get(split, images), "annotations": folder,
                              "lists": None} for split, folder in _folders_of_splits(xml).items() if _has_xml(folder)}
        of_lists = {split: {"images": images, "annotations": xml, "lists": path}
                    for split, path in _image_sets(root / "ImageSets" / "Main").items()}
        splits = of_lists or of_folders or {"train": {"images": images, "annotations": xml, "lists": None}}
    file = _first(root / name for name in CLASS_FILES)
    classes = file or _names_in({arguments["annotations"] for arguments in splits.values()})
    told_by = next(iter(splits.values()))["annotations"]
    # Paths are given whole, so that the root has no say.
    return Layout("VOC", told_by, {split: {"root": root, "classes": classes if file is None else file.resolve(),
                                           **{name: path and path.resolve() for name, path in arguments.items()}}
                                   for split, arguments in splits.items()})


def _xml_part(folder):
    """(folder of the images, folder of the XML files) of a folder, None where it holds no annotation of VOC."""
    xml = _first(each for each in (folder / "Annotations", folder / "annotations", folder) if _has_xml(each))
    images = xml and _first([*(folder / name for name in ("JPEGImages", "images", "Images")), folder])
    return xml and ((images, xml) if xml != folder else (folder, folder))


def _has_xml(folder):
    """Whether a folder, or one in an Annotations, holds annotations of VOC."""
    files = folder.glob("*.xml") if folder.name.lower() != "annotations" else folder.rglob("*.xml")
    return any("<annotation" in _text(path) for path, _ in zip(files, range(5)))


def _image_sets(folder):
    """{split: list of its images}. A list of a class, as cat_train, stands for a missing one of the split."""
    files = {path.stem: path for path in sorted(folder.glob("*.txt"), reverse=True)}
    splits = {split: files[name] for split, names in SPLITS.items() for name in names if name in files}
    of_classes = [(split, path) for stem, path in files.items() if (split := _split_of(stem)) and split not in splits]
    for split, path in of_classes:
        other = splits.setdefault(split, path)
        if _listed(path) != _listed(other):
            raise GlimpseError(f"{path} and {other} name different images: write {folder / SPLITS[split][0]}.txt, a "
                               f"list of all images of the split {split!r}")
        splits[split] = path
    if "train" not in splits and "trainval" in files:  # the list of val is in it
        splits = {"train": files["trainval"], **{split: splits[split] for split in ("test",) if split in splits}}
    if not splits and len(files) == 1:  # CVAT's default.txt
        splits = {"train": next(iter(files.values()))}
    return {split: splits[split] for split in SPLITS if split in splits}


def _listed(path):
    """The images that the list of a class names, without its second column."""
    return {re.sub(r"\s+(-1|0|1)$", "", line.strip()) for line in _text(path).splitlines() if line.strip()}


def _names_in(folders):
    """The names of all objects in XML files, in the order of the alphabet; what cannot be read, the reader tells of.

    Of names that differ in the coding of accents alone one is taken.
    """
    names = {}
    for folder in folders:
        for path in folder.rglob("*.xml"):
            try:
                tree = ElementTree.fromstring(decoded_xml(read_bytes(path)))
            except (OSError, ElementTree.ParseError, ValueError, LookupError, RecursionError):
                continue
            for name in ((each.findtext("name") or "").strip() for each in tree.findall("object")):
                names.setdefault(unicodedata.normalize("NFC", name), name)
    return sorted(name for name in names.values() if name)


# -- COCO


def _coco(root):
    places = [root, root / "annotations", root / "Annotations", *_folders_of_splits(root).values()]
    files = [path for place in places for path in sorted(place.glob("*.json")) if _is_coco(path)]
    files = list({path.resolve(): path for path in files}.values())  # a disk may know no capitals
    instances = [path for path in files if path.name.startswith("instances")]
    splits = {}
    for path in instances or files:
        split = _split_of(path.stem) or (path.parent != root and _split_of(path.parent.name)) or "train"
        if split in splits:
            raise GlimpseError(f"{splits[split]} and {path} would both be the split {split!r}: name the files after "
                               "train, val and test, or say COCO.annotations = '...{split}...'")
        splits[split] = path
    if not splits:
        return None
    if "test" not in splits:  # COCO keeps the annotations of its test images to itself
        lists = [path for place in places for path in sorted(place.glob("*.json"))
                 if _split_of(path.stem) == "test" and _is_coco(path, annotated=False)]
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
    text = _text(path)
    return ('"annotations"' in text) == annotated and all(f'"{name}"' in text for name in ("images", "categories"))


def _folder_of_images(path, root, split):
    """The folder that holds one of the first images of a COCO file; that of the file where none does."""
    found = itertools.islice(re.finditer(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)+")', _text(path)), 20)
    names = [json.loads(each[1], strict=False) for each in found]
    stem = path.stem.removeprefix("instances_")
    of_split = [folder for top in (root, root / "images") if top.is_dir()
                for folder in (top / stem, _folders_of_splits(top).get(split), *sorted(top.iterdir()))
                if folder and (folder.name == stem or _split_of(folder.name) == split)]
    return _first(folder for folder in (*of_split, path.parent, root, root / "images", root / "JPEGImages",
                                         root / "data", path.parent / "images")
                   if any(os.path.isfile(folder / each) for name in names for each in (name, name.replace("\\", "/")))
                  ) or path.parent


def _categories_in(path):
    """The names of a file's categories, as far as they can be read."""
    try:
        return [each["name"] for each in json.loads(_text(path))["categories"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _parents(path):
    """The categories of which no object is, and which others name as their parent, as Roboflow adds one."""
    try:
        content = json.loads(_text(path))
        used = {each.get("category_id") for each in content["annotations"]}
        above = [each.get("supercategory") for each in content["categories"]
                 if each["name"] != each.get("supercategory")]
        return [each["name"] for each in content["categories"] if each["name"] in above and each["id"] not in used]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # the reader says what is wrong
        return []


# -- YOLO


def _yaml(root):
    described = {}
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        try:
            content = yaml.load(_text(path), yaml.BaseLoader)
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
             if (path := _first(root / folder / f"{name}.txt" for folder in ("", "data") for name in names))}
    named = _first(root / name for name in CLASS_FILES)
    if named and named.name == "obj.names" and lists:  # as of darknet
        splits = lists
    else:
        folders = _folders_of_splits(root)
        splits = {split: folder / "images" if (folder / "images").is_dir() else folder
                  for split, folder in (_folders_of_splits(images) or folders).items()}
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
            and any(ROW.match(_text(path)) for path in _texts_of(folder, root)))


def _numbers(paths):
    """The classes of text files that nobody has named: "0", "1" and so on."""
    most = 0
    for path in paths:
        try:
            most = max([most, *(int(row.split()[0]) for _, row in numbered_lines(path))])
        except (OSError, ValueError):  # a row that the reader will name
            continue
    return [str(number) for number in range(min(most, 9999) + 1)]


# -- Folders and files


def _folders_of_splits(folder):
    """{split: folder in this one of that name}."""
    names = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else {}
    return {split: names[name] for split, known in SPLITS.items() for name in known[::-1] if name in names}


def _split_of(name):
    """The split that a file's name speaks of, such as "instances_val2017"; None where it names none."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    if "test" in words:  # COCO's test-dev
        words.discard("dev")
    return next((split for split, known in SPLITS.items() if words & set(known)), None)


def _first(paths):
    return next((path for path in paths if path.exists()), None)


def _text(path):
    """The text of a file, "" where it cannot be read: whoever opens it for good says why."""
    try:
        return decoded(read_bytes(path))
    except (OSError, UnicodeDecodeError):
        try:
            return read_bytes(path).decode("latin-1")
        except OSError:
            return ""
