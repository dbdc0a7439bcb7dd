"""COCO: a JSON file of images, categories and annotations, and a folder of images."""

import collections
import json
import logging
import os

import gin

from glimpse.data.annotated_images import AnnotatedImages, Annotation, Object
from glimpse.data.fields import (
    Fault,
    fields,
    flag,
    identity,
    names_given,
    number,
    shown,
    side,
    split_name,
    text,
    unique,
)
from glimpse.data.image_files import MOST_PIXELS
from glimpse.data.text_files import on_disk, read_bytes
from glimpse.errors import GlimpseError, path_given

_LOG = logging.getLogger(__name__)


@gin.register
class COCO(AnnotatedImages):
    """Reader of detection data in COCO's JSON format.

    Boxes there are continuous (x, y, width, height) with the origin at the top-left corner. Crowd boxes are kept as
    difficult: neither asked for nor counted as wrong. An example's id is that of its image in the file, a number or a
    text.

    A file without a list `annotations`, as COCO publishes them for its test images, is read as images without objects,
    which the log says; the split "train" needs annotations.

    Args:
        split: "train", "validation" or "test", or what stands for {split} below.
        root: the folder that the next two are relative to.
        annotations: the JSON file; {split} in it stands for the split's name.
        images: the folder of images, likewise.
        splits: split -> its name in the two paths; a split that is not in it stands for itself. COCO keeps the
            annotations of its test images to itself, so that studies report its val2017.
        leave_out: names of categories that are no classes, such as the parent of all others that Roboflow adds. An
            object of one is a defect.
        on_fault, frame, most_pixels, channels: see `AnnotatedImages`. The official train2017 holds boxes without width
            or height, which "skip" leaves out.

    `category_ids` are the ids that the labels 0..K-1 stand for, in ascending order as in pycocotools.

    Raises:
        GlimpseError: names file, object and reason.
    """

    def __init__(self, split, root=gin.REQUIRED, annotations="annotations/instances_{split}.json", images="{split}",
                 splits={"train": "train2017", "validation": "val2017"}, leave_out=(), on_fault="raise", frame="stored",
                 most_pixels=MOST_PIXELS, channels=3):
        root, name = path_given("COCO.root", root), split_name("COCO.splits", splits, split)
        path, folder = (root / str(path_given(f"COCO.{parameter}", part)).replace("{split}", name)
                        for parameter, part in (("annotations", annotations), ("images", images)))
        content = _content(path, needs_annotations=split == "train")
        names, faults = _categories(content["categories"], path)
        left_out = _left_out(names_given("COCO.leave_out", leave_out), names, path)
        self.category_ids = sorted(set(names) - left_out)
        labels = {id: label for label, id in enumerate(self.category_ids)}
        annotated = _images(content["images"], path, folder)
        objects = {annotation.id: annotation.objects for annotation in annotated if isinstance(annotation, Annotation)}
        lost = []  # objects of no image
        for place, annotation in enumerate(content["annotations"]):
            image, found = _object(annotation, path, place, names, labels)
            if image not in objects and not isinstance(found, Fault):
                found = Fault("an annotation of an image that the file does not list", found.where,
                              _other_type(image, objects))
            objects.get(image, lost).append(found)
        _tell_of_parents(content["categories"], objects.values(), names, labels, path)
        super().__init__(f"COCO {path}", [names[id] for id in self.category_ids], annotated, on_fault, frame,
                         most_pixels, {"class": faults, "object": lost}, channels)


def _content(path, needs_annotations):
    """The lists of a COCO file: {"images": [...], "categories": [...], "annotations": [...]}."""
    try:
        content = read_bytes(path)
        content = json.loads(content.decode(json.detect_encoding(content)), object_pairs_hook=unique)
    except RecursionError as error:
        raise GlimpseError(f"{path} cannot be read (its lists are nested too deeply)") from error
    except (OSError, ValueError) as error:
        raise GlimpseError(f"{path} cannot be read ({error})") from error
    if isinstance(content, dict) and "annotations" not in content and not needs_annotations:
        _LOG.warning("%s holds no list 'annotations': its images are read as images without objects", path)
        content["annotations"] = []
    for part in ("images", "categories", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise GlimpseError(f"{path} holds no list {part!r}; it is no COCO file of detection data")
    fields(content, path)  # none of them twice
    return content


def _categories(entries, path):
    """{id: name}, and a list of Faults for what cannot be a category."""
    named, faults = [], []
    for place, entry in enumerate(entries):
        where = f"{path}, categories[{place}]"
        try:
            id, name = fields(entry, where, "id", "name")
            named.append((identity(id, "id", where), text(name, "name", where)))
            _same_type(named[-1][0], named[0][0], where)
        except Fault as fault:
            faults.append(fault)
    counts = collections.Counter(id for id, _ in named)
    faults += [Fault("a category id that is given more than once", path, f"{shown(id)}, of {name!r}")
               for id, name in named if counts[id] > 1]
    return {id: name for id, name in named if counts[id] == 1 and type(id) is type(named[0][0])}, faults


def _left_out(chosen, names, path):
    """The ids of the categories that are to be no classes."""
    for name in chosen:
        if name not in names.values():
            raise GlimpseError(f"COCO.leave_out: {path} has no category {name!r}; there are "
                               f"{', '.join(map(repr, names.values()))}")
    return {id for id, name in names.items() if name in chosen}


def _images(entries, path, folder):
    """An Annotation for each image, without objects yet, or the Fault that keeps it from being read."""
    annotations, first = [], None
    for place, entry in enumerate(entries):
        where = f"{path}, images[{place}]"
        try:
            id, file_name = fields(entry, where, "id", "file_name")
            id = identity(id, "id", where)
            first = id if first is None else first
            _same_type(id, first, where)
            where = f"{where}, image {shown(id)}"
            size = tuple(0 if entry.get(name) is None else side(number(entry[name], name, where), name, where)
                         for name in ("width", "height"))
            file = _inside(folder, text(file_name, "file_name", where), where)
            annotations.append(Annotation(id, file, size if all(size) else None, []))
        except Fault as fault:
            annotations.append(fault)
    return annotations


def _same_type(id, first, where):
    """Raises Fault where ids are numbers and texts: no program that sorts them can read the file."""
    if type(id) is not type(first):
        raise Fault("an id of another type than the first one's", where, f"{shown(id)} and {shown(first)}")


def _inside(folder, name, where):
    """The path of an image file, which must lie in the folder; a backslash may be Windows's way to write it."""
    if "\\" in name and not os.path.exists(folder / name):
        name = name.replace("\\", "/")
    path = os.path.normpath(name)
    if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir or "\0" in path:
        raise Fault("file_name leads outside the folder of images", where, f"{shown(name)}, the folder {folder}")
    return on_disk(folder, path)


def _object(annotation, path, place, names, labels):
    """The id of its image and an Object, or None and the Fault that keeps it from being read."""
    where, image = f"{path}, annotations[{place}]", None
    try:
        image, category, box = fields(annotation, where, "image_id", "category_id", "bbox")
        where = f"{path}, annotation {shown(annotation.get('id'))} of image {shown(image)}"
        image, category = identity(image, "image_id", where), identity(category, "category_id", where)
        if not isinstance(box, list) or len(box) != 4 or not all(
                isinstance(value, (int, float)) and not isinstance(value, bool) for value in box):
            raise Fault("a box that is not four numbers", where, f"bbox is {shown(box)}")
        x, y, width, height = (number(value, "bbox", where) for value in box)
        crowd = annotation.get("iscrowd")
        crowd = crowd is not None and flag(crowd, "iscrowd", where)
        return image, Object(where, names.get(category, str(category)), labels.get(category),
                             (x, y, x + width, y + height), crowd)
    except Fault as fault:
        return image if isinstance(image, (int, str)) else None, fault


def _other_type(image, objects):
    """A hint where the file lists an image whose id differs from this one in its type alone."""
    other = next((id for id in objects if str(id) == str(image)), None)
    return "" if other is None else f"it is {shown(image)}, the image's id is {shown(other)}"


def _tell_of_parents(categories, objects, names, labels, path):
    """Logs classes without objects that are the parents of other categories."""
    seen = {each.label for found in objects for each in found if isinstance(each, Object)}
    for id, label in labels.items():
        if label not in seen and any(isinstance(entry, dict) and entry.get("supercategory") == names[id]
                                     and entry.get("name") != names[id] for entry in categories):
            _LOG.warning("%s: no object is of class %r, which is the parent of others; "
                         "COCO.leave_out = [%r] leaves it out", path, names[id], names[id])
