"""What was explored of one run, what it is made of, and whether two compare. Needs no TensorFlow."""

import base64
import hashlib
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from glimpse.errors import GlimpseError

LOSSLESS_SIDE = 256  # pixels of the longest side of an image that is kept to the bit; crops of it are much enlarged


class Explored(NamedTuple):
    """What a page shows of one run."""

    about: dict  # "name", "num_glimpses", "map" {"50:95": ...}, "errors": see `errors_by_kind`
    objects: list  # of records, in the order of the images and of their objects
    images: list  # of dicts: id, width, height, picture (a data URI), objects, detections; in the order of the split
    fingerprints: list  # of each image and its annotations, texts


def fingerprint(example, class_names):
    """A text that two Examples share if their image and annotations are the same."""
    names = [class_names[label] for label in example.labels]
    content = hashlib.sha256(repr((str(example.id), example.image.shape, names)).encode("utf-8", "surrogatepass"))
    for part in (example.image, example.boxes, example.difficult):
        content.update(np.ascontiguousarray(part).tobytes())
    return content.hexdigest()


def check_same_data(first, second):
    """Raises GlimpseError unless two Explored are of the same images with the same annotations."""
    names = f"{first.about['name']} and {second.about['name']}"
    cure = "--against must name a run of the same data"
    if len(first.images) != len(second.images):
        raise GlimpseError(f"{names} differ in data, {len(first.images)} and {len(second.images)} images; {cure}")
    for place, prints in enumerate(zip(first.fingerprints, second.fingerprints)):
        if prints[0] != prints[1]:
            ids = [each.images[place]["id"] for each in (first, second)]
            raise GlimpseError(f"{names} differ in data: image {place + 1} is {ids[0]} and {ids[1]}, with other pixels "
                               f"or annotations; {cure}")


def compare(first, second):
    """Gives each record of the first Explored its "difference": its reward minus that of the second one, or None."""
    for one, other in zip(first.objects, second.objects):
        known = one["reward"] is not None and other["reward"] is not None
        one["difference"] = rounded(one["reward"] - other["reward"], 4) if known else None


def picture(image):
    """An image uint8 [H, W, C] as the data URI of a WebP file, to the bit where it is small."""
    content = io.BytesIO()
    pixels = Image.fromarray(image if image.shape[2] == 3 else image[..., 0]).convert("RGB")
    pixels.save(content, "WEBP", lossless=max(image.shape[:2]) <= LOSSLESS_SIDE, quality=80)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def rounded(value, decimals=2):
    """A number, or an array as lists, for JSON; None stays None."""
    return None if value is None else np.asarray(value, float).round(decimals).tolist()
