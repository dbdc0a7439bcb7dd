"""YOLO: a text file of boxes for each image, and a file of classes, as Ultralytics and annotation tools have them."""

import logging
import os
from pathlib import Path

import gin
import yaml

from glimpse.data.annotated_images import AnnotatedImages, Annotation, Object
from glimpse.data.fields import Fault, fields, names_given, number_of_text, one_line, shown, split_name, unique
from glimpse.data.image_files import MOST_PIXELS
from glimpse.data.text_files import decoded, lines, numbered_lines, on_disk, read_bytes
from glimpse.errors import GlimpseError, one_of, path_given

# What is taken for an image in a folder. Those that are neither JPEG nor PNG are refused by name, not passed over.
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".heic", ".dng", ".mpo")
_LOG = logging.getLogger(__name__)


@gin.register
class YOLO(AnnotatedImages):
    """Reader of images with a text file each: a row "class x y width height" an object.

    The class is a number from 0, x and y are the box's centre; all four are fractions of the image's width and height.
    The text of images/train/a.jpg is labels/train/a.txt where there is a folder labels, else a.txt beside the image.
    An image without one has no objects, as Ultralytics has it; the log says how many there are.

    An example's id is the path of its file without suffix, in the split's folder, or in `root` where the split is no
    one folder.

    Args:
        split: "train", "validation" or "test", or what stands for {split} below.
        root: the folder that holds all files; what leads outside it is not read.
        data: the file of classes, relative to `root`: a YAML file as of Ultralytics, with `names`, and `train`, `val`
            and `test` for the images; or a text file of one class a line, such as classes.txt or obj.names. Or a list
            of the classes themselves.
        images: of a split, a folder or a text file that lists them, relative to `root`; {split} in it stands for the
            split's name. None: as the YAML file says.
        splits: split -> its name in the YAML file and in `images`; a split that is not in it stands for itself.
        polygons: whether rows of a class and three or more points, as data for segmentation have them, are read as the
            boxes around the points; else they are defects.
        on_fault, frame, most_pixels, channels: see `AnnotatedImages`. Ultralytics turns images upright before it looks
            at boxes.

    Raises:
        GlimpseError: names file, line and reason.
    """

    def __init__(self, split, root=gin.REQUIRED, data="data.yaml", images=None, splits={"validation": "val"},
                 polygons=False, on_fault="raise", frame="upright", most_pixels=MOST_PIXELS,
                 channels=3):
        root = Path(os.path.abspath(path_given("YOLO.root", root)))
        name = split_name("YOLO.splits", splits, split)
        named = names_given("YOLO.data", data) if isinstance(data, (list, tuple)) else None
        data = root if named else root / path_given("YOLO.data", data)
        one_of("YOLO.polygons", polygons, (True, False))
        if not named and data.suffix.lower() in (".yaml", ".yml"):
            names, folders, places = _described(data, root, name, needs_images=images is None)
        else:
            names = named or _class_lines(data)
            folders, places = [root], []
            if images is None:
                raise GlimpseError(
                    f"YOLO.images must say where the images of a split lie, for {data} only names classes")
        if images is not None:
            places = [str(path_given("YOLO.images", images)).replace("{split}", name)]
        files = [file for place in places
                 for file in _files(place, folders, root, f"{data}, split {name!r}", len(places) == 1)]
        annotations = [file if isinstance(file, Fault) else _read(*file, _label_file(file[1], root), names, polygons)
                       for file in files]
        _tell_of_missing([file[1] for file in files if not isinstance(file, Fault)], root, split)
        super().__init__(f"YOLO {data} {name}", names, annotations, on_fault, frame, most_pixels, channels=channels)


def _class_lines(path):
    """The classes of a text file, whose numbers are those of their lines."""
    names = lines(path, "; YOLO.data names the file of classes")
    for number, (place, name) in enumerate(numbered_lines(path), start=1):
        if place != number:
            raise Fault("an empty line before a class, whose number is in doubt", f"{path}, line {place}", shown(name))
    return names


class _Loader(yaml.BaseLoader):
    """Reads every value as the text that it is: `no` is the name of a class, not a Boolean."""

    def construct_mapping(self, node, deep=False):
        return unique([(self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                       for key, value in node.value])

    def construct_scalar(self, node):
        return None if node.style is None and node.value in ("", "~", "null", "Null", "NULL") else node.value


def _described(path, root, split, needs_images):
    """What a YAML file has of a split: classes, folders that paths may be relative to, and paths of the images."""
    try:
        content = yaml.load(decoded(read_bytes(path)), _Loader)
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise GlimpseError(f"{path} cannot be read ({one_line(' '.join(str(error).split()))})") from error
    names, = fields(content, path, "names")
    if isinstance(names, dict):
        fields(names, f"{path}, names")
        try:
            names = [names[str(place)] for place in range(len(names))]
        except KeyError as error:
            raise Fault("names must be numbered 0, 1, 2 and so on", path, f"number {error} is missing") from error
    if not isinstance(names, list) or content.get("nc") not in (None, str(len(names))):
        raise Fault("names must be a list, nc its length", path,
                    f"nc is {shown(content.get('nc'))}, names are {shown(names)}")
    places = content.get(split)
    places = places if isinstance(places, list) else [] if places is None else [places]
    base = content.get("path")
    base = "." if base is None else base
    if not all(isinstance(place, str) and place for place in [base, *places]):
        raise Fault("paths must be texts", path, f"path is {shown(base)}, {split} {shown(places)}")
    if not places and needs_images:
        raise GlimpseError(f"{path} has no {split!r}: name its images there, or in YOLO.images, "
                           "or another split in YOLO.splits")
    return names, [path.parent / base, path.parent, root], places


def _files(place, folders, root, where, alone):
    """(id, path) of each image of a folder, or of a list of images; a Fault in place of one that is not in `root`."""
    found = _found(place, folders, root)
    if found is None:
        raise GlimpseError(f"{where}: no {place!r} in {root}")
    if found.is_dir():
        paths = sorted(path for path in found.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
        top = found if alone else root
    else:
        paths = [_found(line, [found.parent, *folders], root) or Fault("no such image file", f"{found}, line {line!r}")
                 for line in lines(found)]
        top = root
    return [path if isinstance(path, Fault) else (path.relative_to(top).with_suffix("").as_posix(), path)
            for path in paths]


def _found(place, folders, root):
    """What a path of a data set stands for, below `root`; None where nothing is there.

    Some paths are not as they should be: Roboflow writes ../train/images for train/images, CVAT data/a.jpg for a.jpg.
    """
    place = place.replace("\\", "/") if not os.path.exists(os.path.join(root, place)) else place
    for written in (place, place.removeprefix("../"), place.removeprefix("data/")):
        for folder in folders:
            path = Path(os.path.abspath(on_disk(folder, written)))
            if path.is_relative_to(root) and os.path.exists(path):
                return path
    return None


def _label_file(image, root):
    """The file of an image's boxes, which need not be there."""
    parts = image.relative_to(root).parts
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        folder = root.joinpath(*parts[:places[-1]], "labels")
        if folder.is_dir():
            return on_disk(folder, Path(*parts[places[-1] + 1:]).with_suffix(".txt").as_posix())
    return on_disk(image.parent, image.with_suffix(".txt").name)


def _read(id, image, path, names, polygons):
    """The Annotation of an image, or the Fault that keeps it from being read."""
    try:
        rows = numbered_lines(path) if os.path.lexists(path) else []
    except (OSError, UnicodeDecodeError) as error:
        return Fault("labels cannot be read", path, error)
    objects = [_object(row, f"{path}, line {place}", names, polygons) for place, row in rows]
    return Annotation(id, image, None, objects, relative=True)


def _object(row, where, names, polygons):
    """An Object, its box in fractions of the image's sides, or the Fault that keeps it from being read."""
    try:
        label, *values = [number_of_text(value, f"column {place}", where)
                          for place, value in enumerate(row.split(), start=1)]
        if len(values) == 4:
            x, y, width, height = values
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        elif polygons and len(values) >= 6 and len(values) % 2 == 0:
            box = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
        else:
            raise Fault("a row that is not class, x, y, width, height", where, f"it has {1 + len(values)} numbers; "
                        "YOLO.polygons = True reads a class and points as the box around them")
        if label not in range(len(names)):
            return Object(where, f"{label:g}", None, box, False)
        return Object(where, names[int(label)], int(label), box, False)
    except Fault as fault:
        return fault


def _tell_of_missing(images, root, split):
    """Logs how many images have no file of boxes; raises GlimpseError where none of a split for training has one."""
    files = [_label_file(image, root) for image in images]
    missing = [file for file in files if not os.path.lexists(file)]
    if missing and len(missing) == len(files) and split == "train":
        raise GlimpseError(f"YOLO {root}: no image of split {split!r} has a file of boxes, such as {missing[0]}")
    if missing:
        _LOG.warning("YOLO %s: %d of %d images have no file of boxes and are read as images without objects; "
                     "the first: %s", root, len(missing), len(files), missing[0])
