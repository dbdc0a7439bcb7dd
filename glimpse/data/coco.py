"""COCO: a JSON file of images, categories and annotations, and a folder of images."""

import collections
import json

import gin

from glimpse.data.image_files import Fault
from glimpse.data.annotated_images import Annotation, Object, AnnotatedImages
from glimpse.errors import GlimpseError, path_given


@gin.register
class COCO(AnnotatedImages):
    """Reader of detection data in COCO's JSON format.

    Boxes there are continuous (x, y, width, height) with the origin at the top-left corner. Crowd boxes are kept as
    difficult: neither asked for nor counted as wrong. An example's id is that of its image in the file.

    Args:
      split: "train", "validation" or "test", or what stands for {split} below.
      root: the folder that the next two are relative to.
      annotations: the JSON file; {split} in it stands for the split's name.
      images: the folder of images, likewise.
      splits: split -> its name in the two paths; a split that is not in it stands for itself. COCO keeps the
        annotations of its test images to itself, so that studies report its val2017.
      on_fault, frame: see `AnnotatedImages`. The official train2017 holds boxes without width or height, which "skip" leaves out.

    `category_ids` are the ids that the labels 0..K-1 stand for, in ascending order as in pycocotools.
    Raises: GlimpseError that names file, object and reason.
    """

    def __init__(self, split, root=gin.REQUIRED, annotations="annotations/instances_{split}.json", images="{split}",
                 splits={"train": "train2017", "validation": "val2017"}, on_fault="raise", frame="stored"):
        name = splits.get(split, split)
        path, folder = (path_given("COCO.root", root) / part.format(split=name) for part in (annotations, images))
        content = _read(path)
        names = {category["id"]: category["name"] for category in content["categories"]}
        self.category_ids = sorted(names)
        labels = {id: label for label, id in enumerate(self.category_ids)}
        objects = collections.defaultdict(list)
        for annotation in content["annotations"]:
            objects[annotation["image_id"]].append(_object(annotation, names, labels, path))
        annotated = [_image(image, folder, objects.pop(image["id"], [])) for image in content["images"]]
        if objects:
            id, lost = next(iter(objects.items()))
            raise GlimpseError(f"{path}: {len(lost)} annotations are of image {id}, which the file does not list")
        super().__init__(f"COCO {path}", [names[id] for id in self.category_ids], annotated, on_fault, frame)


def _read(path):
    """The file's content, with the fields that the reader needs in every entry."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise GlimpseError(f"{path} cannot be read ({error})") from error
    needed = {"images": ("id", "file_name"), "categories": ("id", "name"), "annotations": ("image_id", "category_id", "bbox")}
    for part, fields in needed.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise GlimpseError(f"{path} holds no list {part!r}; it is no COCO file of detection data")
        for place, entry in enumerate(entries):
            missing = [field for field in fields if not isinstance(entry, dict) or field not in entry]
            if missing:
                raise GlimpseError(f"{path}: {part}[{place}] lacks {', '.join(missing)}")
    return content


def _object(annotation, names, labels, path):
    """An Object, or the Fault that keeps it from being read."""
    category, box = annotation["category_id"], annotation["bbox"]
    where = f"{path}, annotation {annotation.get('id')} of image {annotation['image_id']}"
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, (int, float)) for value in box):
        return Fault("a box that is not four numbers", where, f"bbox is {box!r}")
    x, y, width, height = box
    name = names.get(category, str(category))
    return Object(where, name, labels.get(category), (x, y, x + width, y + height), bool(annotation.get("iscrowd", 0)))


def _image(image, folder, objects):
    size = image.get("width"), image.get("height")
    return Annotation(str(image["id"]), folder / image["file_name"], size if all(size) else None, objects)
