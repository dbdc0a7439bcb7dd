"""PASCAL VOC: a folder with JPEGImages, Annotations and ImageSets/Main, as the development kits have it."""

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath

import gin

from glimpse.data.annotated_images import AnnotatedImages, Annotation, Object
from glimpse.data.fields import Fault, flag, names_given, number_of_text, shown, side, split_name
from glimpse.data.image_files import MOST_PIXELS
from glimpse.data.text_files import decoded_xml, lines, on_disk, read_bytes, spellings
from glimpse.errors import GlimpseError, path_given

CLASSES = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
           "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
SUFFIXES = (".jpg", ".jpeg", ".png")  # VOC's images are JPEG, those of other data sets in its layout may not be
LAYOUT = "; a folder in VOC's layout holds JPEGImages, Annotations and ImageSets/Main"


@gin.register
class VOC(AnnotatedImages):
    """Reader of a folder in VOC's layout, such as VOCdevkit/VOC2007.

    Boxes in the files are 1-based and include their last pixel. Here 1 is subtracted from xmin and ymin only: the box
    1, 1, 10, 10 covers ten pixels each way and becomes 0, 0, 10, 10.

    Args:
        split: "train", "validation" or "test", or what stands for {split} below. All images that its list names are
            read. A list of one class, such as cat_train, names the same images as train; its second column (1, -1, or 0
            for difficult objects alone) says whether they show that class, which the annotations say as well.
        root: the folder.
        classes: list of names, or a file with one a line, relative to `root`; the 20 of VOC unless given.
        splits: split -> its name in the next three; a split that is not in it stands for itself.
        lists: the file that lists the images of a split, relative to `root`; {split} in it stands for the split's name.
            None: an image for each file in `annotations`, as tools have it that write no lists.
        images, annotations: the folders of images and of XML files, likewise.
        on_fault, frame, most_pixels, channels: see `AnnotatedImages`.

    Raises:
        GlimpseError: names file, object and reason.
    """

    def __init__(self, split, root=gin.REQUIRED, classes=CLASSES, splits={"validation": "val"},
                 lists="ImageSets/Main/{split}.txt", images="JPEGImages", annotations="Annotations", on_fault="raise",
                 frame="stored", most_pixels=MOST_PIXELS, channels=3):
        root, name = path_given("VOC.root", root), split_name("VOC.splits", splits, split)
        folder, xml_folder, list_file = (
            root / str(path_given(f"VOC.{parameter}", part)).replace("{split}", name)
            for parameter, part in (("images", images), ("annotations", annotations), ("lists", lists or ".")))
        from_file = isinstance(classes, (str, Path))
        names = lines(root / classes, LAYOUT) if from_file else names_given("VOC.classes", classes)
        files = _files_by_id(folder, SUFFIXES)
        if lists is None:
            ids = list(_files_by_id(xml_folder, (".xml",)))
        else:
            ids = _ids(lines(list_file, LAYOUT), files, folder.name, list_file)
        labels = {name: label for label, name in enumerate(names)}
        annotated = [id if isinstance(id, Fault) else _read(id, files.get(id, []), folder, xml_folder, labels)
                     for id in ids]
        super().__init__(f"VOC {root} {split}", names, annotated, on_fault, frame, most_pixels,
                         channels=channels)


def _files_by_id(folder, suffixes):
    """{path in the folder without suffix: list of files}, also of folders in the folder."""
    if not folder.is_dir():
        raise GlimpseError(f"{folder} is no folder{LAYOUT}")
    files = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(place, name) for name in sorted(names)):
            if path.suffix.lower() in suffixes:
                files.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return files


def _ids(listed, images, folder, list_file):
    """The ids that the lines of an image set stand for, with a Fault in place of one that names no image."""
    plain = [_id(line, images, folder) for line in listed]
    columns = [re.fullmatch(r"(.*\S)\s+(-1|0|1)", line) for line in listed]
    if not all(columns) or all(id in images for id in plain):
        return plain
    # The list of one class. An image may be called "photo 1", too.
    of_class = [_id(match[1], images, folder) for match in columns]
    return [Fault("a line that may mean two images", f"{list_file}, line {shown(line)}", f"{id!r} or {other!r}")
            if id in images and other in images else other
            for line, id, other in zip(listed, plain, of_class)]


def _id(entry, images, folder):
    """The id of an entry, which tools write as a file's name or path as well: a, a.jpg, ./JPEGImages/a.jpg."""
    if entry in images:
        return entry
    path = PurePosixPath(entry.replace("\\", "/"))
    if folder in path.parts:
        last = len(path.parts) - path.parts[::-1].index(folder)
        path = PurePosixPath(*path.parts[last:])
    if path.suffix.lower() in SUFFIXES:
        path = path.with_suffix("")
    return next((id for id in (*spellings(entry), *spellings(path.as_posix())) if id in images), entry)


def _read(id, images, folder, xml_folder, labels):
    """The Annotation of an image, or the Fault that keeps it from being read."""
    path = on_disk(xml_folder, f"{id}.xml")
    try:
        if len(images) != 1:
            raise Fault("no single image file", folder / f"{id}.*", ", ".join(p.name for p in images) or "none")
        tree = _parsed(path)
        size = _only(tree, "size", path)
        size = (0, 0) if size is None else tuple(
            side(_number(size, name, path, default=0), f"<{name}>", path) for name in ("width", "height"))
        elements = tree.findall("object")
        if len(elements) < sum(element.tag.lower() == "object" for element in tree.iter()):
            raise Fault("an <object> that is no child of <annotation>", path)
        objects = [_object(element, f"{path}, object {place}", labels)
                   for place, element in enumerate(elements, start=1)]
        return Annotation(id, images[0], size if all(size) else None, objects)
    except Fault as fault:
        return fault


def _parsed(path):
    """The <annotation> of an XML file."""
    try:
        tree = ElementTree.fromstring(decoded_xml(read_bytes(path)))
    except (OSError, ElementTree.ParseError, UnicodeError, LookupError, ValueError, RecursionError) as error:
        raise Fault("annotation cannot be read", path, error) from error
    if tree.tag != "annotation":
        raise Fault("no annotation of VOC", path, f"its root element is <{tree.tag}>, not <annotation>")
    return tree


def _object(element, where, labels):
    """An Object, or the Fault that keeps it from being read."""
    try:
        name = (_text(element, "name", where) or "").strip()
        if not name:
            raise Fault("lacks <name>", where)
        box = _only(element, "bndbox", where)
        if box is None:
            raise Fault("lacks <bndbox>", where)
        x1, y1, x2, y2 = (_number(box, corner, where) for corner in ("xmin", "ymin", "xmax", "ymax"))
        difficult = flag(_number(element, "difficult", where, default=0), "<difficult>", where)
    except Fault as fault:
        return fault
    label = next((labels[each] for each in spellings(name) if each in labels), None)
    return Object(where, name, label, (x1 - 1, y1 - 1, x2, y2), difficult)


def _number(element, name, where, default=None):
    """The number in a child of an element, or the default where it has no such child."""
    text = _text(element, name, where)
    return default if text is None and default is not None else number_of_text(text, f"<{name}>", where)


def _text(element, name, where):
    """The text of a child of an element, None where it has no such child."""
    child = _only(element, name, where)
    if child is not None and len(child):
        raise Fault(f"<{name}> holds elements in place of a value", where)
    return None if child is None else child.text or ""


def _only(element, name, where):
    """The one child of this name, None where there is none."""
    found = element.findall(name)
    if len(found) > 1:
        raise Fault(f"<{name}> is given more than once", where)
    return found[0] if found else None
