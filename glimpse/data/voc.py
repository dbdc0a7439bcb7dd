"""PASCAL VOC: a folder with JPEGImages, Annotations and ImageSets/Main, as the development kits have it."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import gin

from glimpse.data.image_files import Fault
from glimpse.data.annotated_images import Annotation, Object, AnnotatedImages
from glimpse.errors import GlimpseError, path_given

CLASSES = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
           "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
SUFFIXES = (".jpg", ".jpeg", ".png")


@gin.register
class VOC(AnnotatedImages):
    """Reader of a folder in VOC's layout, such as VOCdevkit/VOC2007.

    Boxes in the files are 1-based and include their last pixel. Here 1 is subtracted from xmin and ymin only: the box
    1, 1, 10, 10 covers ten pixels each way and becomes 0, 0, 10, 10.

    Args:
      split: "train", "validation" or "test", or the name of a file in ImageSets/Main.
      root: the folder.
      classes: list of names, or a file with one a line, relative to `root`; the 20 of VOC unless given.
      splits: split -> name of a file in ImageSets/Main, without .txt; a split that is not in it stands for itself.
      on_fault, frame: see `AnnotatedImages`.
    Raises: GlimpseError that names file, object and reason.
    """

    def __init__(self, split, root=gin.REQUIRED, classes=CLASSES, splits={"validation": "val"}, on_fault="raise",
                 frame="stored"):
        root = path_given("VOC.root", root)
        names = _lines(root / classes) if isinstance(classes, (str, Path)) else classes
        ids = _lines(root / "ImageSets" / "Main" / f"{splits.get(split, split)}.txt")
        images = _files_by_stem(root / "JPEGImages")
        labels = {name: label for label, name in enumerate(names)}
        annotations = [_read(root, id, images.get(id, []), labels) for id in ids]
        super().__init__(f"VOC {root} {split}", names, annotations, on_fault, frame)


def _read(root, id, images, labels):
    """The Annotation of an image, or the Fault that keeps it from being read."""
    path = root / "Annotations" / f"{id}.xml"
    try:
        if len(images) != 1:
            raise Fault("no single image file", root / "JPEGImages" / f"{id}.*", ", ".join(p.name for p in images) or "none")
        try:
            tree = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise Fault("annotation cannot be read", path, error) from error
        size = tuple(int(_number(tree, f"size/{side}", path, default=0)) for side in ("width", "height"))
        objects = [_object(element, f"{path}, object {place}", labels)
                   for place, element in enumerate(tree.findall("object"), start=1)]
        return Annotation(id, images[0], size if all(size) else None, objects)
    except Fault as fault:
        return fault


def _object(element, where, labels):
    """An Object, or the Fault that keeps it from being read."""
    name = (element.findtext("name") or "").strip()
    try:
        x1, y1, x2, y2 = (_number(element, f"bndbox/{side}", where) for side in ("xmin", "ymin", "xmax", "ymax"))
        difficult = bool(_number(element, "difficult", where, default=0))
    except Fault as fault:
        return fault
    return Object(where, name, labels.get(name), (x1 - 1, y1 - 1, x2, y2), difficult)


def _number(element, tag, where, default=None):
    text = element.findtext(tag)
    if text is None and default is not None:
        return default
    try:
        return float(text)
    except (TypeError, ValueError):
        raise Fault("a value that is no number", where, f"<{tag}> is {text!r}") from None


def _lines(path):
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); a folder in VOC's layout holds JPEGImages, Annotations "
                           "and ImageSets/Main") from error
    return [line for line in lines if line]


def _files_by_stem(folder):
    """{name without suffix: list of image files}; VOC's are JPEG, other data sets in its layout may not be."""
    if not folder.is_dir():
        raise GlimpseError(f"{folder} is no folder; a folder in VOC's layout holds JPEGImages, Annotations and ImageSets/Main")
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            files.setdefault(path.stem, []).append(path)
    return files
