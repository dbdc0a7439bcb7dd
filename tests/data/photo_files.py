"""Small data sets that the tests of the readers write themselves."""

import json

import numpy as np
from PIL import Image


def pixels(height=30, width=40, seed=0):
    """Smooth pixels, uint8 [H, W, 3], that survive JPEG within a few grey levels."""
    coarse = np.random.default_rng(seed).integers(30, 220, (3, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def write_image(path, mode="RGB", orientation=None, size=(30, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels(*size)).convert(mode)
    if orientation:
        image.getexif()[0x0112] = orientation
        options["exif"] = image.getexif()
    image.save(path, **({"quality": 95} if path.suffix == ".jpg" else {}), **options)


def write_voc(root, images, size=(40, 30), split="train"):
    """images: {id: list of (name, xmin, ymin, xmax, ymax[, difficult])}, each 40 wide and 30 high, 1-based inclusive
    boxes.
    """
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{id}\n" for id in images))
    for id, objects in images.items():
        if not (root / "JPEGImages" / f"{id}.jpg").exists():
            write_image(root / "JPEGImages" / f"{id}.jpg")
        text = "".join(
            f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated>"
            f"{''.join(f'<difficult>{flag}</difficult>' for flag in difficult or [0])}"
            f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for name, x1, y1, x2, y2, *difficult in objects)
        declared = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
        (root / "Annotations" / f"{id}.xml").write_text(f"<annotation>{declared}{text}</annotation>")
    return root


def write_coco(root, annotations, images=("a", "b"), split="train2017", categories=((7, "cat"), (3, "dog")), **more):
    """annotations: list of (image number, category id, [x, y, width, height][, iscrowd]); ids count from 1."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for name in images:
        write_image(root / split / f"{name}.jpg")
    content = {
        "images": [{"id": n, "file_name": f"{name}.jpg", "width": 40, "height": 30}
                   for n, name in enumerate(images, 1)],
        "categories": [{"id": id, "name": name} for id, name in categories],
        "annotations": [{"id": n, "image_id": image, "category_id": category, "bbox": box, "iscrowd": int(bool(crowd)),
                         "area": box[2] * box[3]} for n, (image, category, box, *crowd) in enumerate(annotations, 1)],
    } | more
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def write_yolo(root, labels, data="train: images/train\nval: images/val\nnames: [cat, red dog]\n", split="train"):
    """labels: {id: text of its label file, None for no file}; images are 40 wide and 30 high."""
    (root / "labels" / split).mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(data)
    for id, text in labels.items():
        if not (root / "images" / split / f"{id}.jpg").exists():
            write_image(root / "images" / split / f"{id}.jpg")
        if text is not None:
            (root / "labels" / split / f"{id}.txt").parent.mkdir(exist_ok=True)
            (root / "labels" / split / f"{id}.txt").write_text(text)
    return root
