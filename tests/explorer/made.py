"""Runs explored by hand: records as `glimpse.explorer.objects.explore` makes them, without a network."""

import base64
import io

import numpy as np
from PIL import Image

from glimpse.explorer.explored import Explored, picture

NASTY = "</script><b id='x'>&amp; \"two\"\u2028"
# image, class, how the proposal misses, outcome, IoU and P after each of three glimpses.
OBJECTS = (
    ("a", "one", "well placed", "found", (0.5, 0.6, 0.8), (0.5, 0.5, 1.0)),  # gain +0.55
    ("a", NASTY, "too small", "missed", (0.6, 0.5, 0.4), (0.5, 0.5, 0.5)),  # gain -0.10
    ("b/ü #1", "one", "too small", "found", (0.5, 0.6, 0.7), (1.0, 1.0, 1.0)),  # gain +0.20
    ("b/ü #1", "three", "too high", "classification", (0.9, 0.9, 0.9), (0.1, 0.2, 0.3)),  # gain +0.18
    ("b/ü #1", "three", "no proposal", "missed", (), ()))


def made_run(name="first", count=3, factor=1.0, objects=OBJECTS):
    """An Explored of `count` glimpses, of every P times a factor."""
    records = []
    for place, (image, label, missed, outcome, iou, probability) in enumerate(objects):
        iou, probability = list(iou[:count]), [round(factor * each, 4) for each in probability[:count]]
        rewards = [round(a * b, 4) for a, b in zip(iou, probability)]
        boxes = [[10.0 + step, 12, 30 + step, 32] for step in range(len(iou))]
        number = 1 + [each[0] for each in objects[:place]].count(image)
        records.append({
            "run": name, "id": f"{image}/{number}", "image": image, "object": number, "class": label,
            "difficult": False, "box": [10, 10, 30, 30], "proposal_iou": 0.5 if iou else None, "missed": missed,
            "gain": round(rewards[-1] - rewards[0], 4) if len(rewards) > 1 else None,
            "reward": rewards[-1] if rewards else None, "glimpses": boxes, "boxes": boxes, "iou": iou,
            "probability": probability,
            "probabilities": [{"class": each, "after": probability} for each in (label, "background")] if iou else [],
            "features": np.arange(4.0 * len(iou)).reshape(-1, 2, 2).tolist(), "outcome": outcome,
            "score": 0.75 if outcome != "missed" else None, "detected": label if outcome != "missed" else None})
    names = list(dict.fromkeys(each[0] for each in objects))
    images = [{"id": image, "width": 60, "height": 40, "picture": picture(np.full([40, 60, 1], 99, np.uint8)),
               "objects": [{"class": each["class"], "box": each["box"], "difficult": False}
                           for each in records if each["image"] == image],
               "detections": [{"class": "one", "box": [9, 9, 29, 31], "score": 0.75}]} for image in names]
    about = {"name": name, "num_glimpses": count, "map": {"50:95": 0.5, "50": None},
             "errors": {"missed": {"count": 2, "ap_gained": 0.25}}}
    return Explored(about, records, images, names)


def pixels(source):
    """Of a picture, from its data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))
