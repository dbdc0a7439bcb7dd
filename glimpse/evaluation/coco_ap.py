"""COCO's average precision, by its own code: pip install 'glimpse[coco]'.

It differs from VOC's in three points: precision is read at 101 levels of recall, a crowd takes any number of detections
that lie in it by the fraction of their own area, and at most 100 detections an image count. Its figures for small,
medium and large objects go by the area of masks, which boxes do not have, and are not given here.
"""

import contextlib
import io

import numpy as np

from glimpse.errors import GlimpseError

# Place in COCOeval's summary -> name.
METRICS = {0: "coco_ap@0.50:0.95", 1: "coco_ap@0.50", 2: "coco_ap@0.75", 6: "coco_ar1@0.50:0.95",
           7: "coco_ar10@0.50:0.95",
           8: "coco_ar100@0.50:0.95"}


def evaluate_coco(detections, ground_truth, class_names):
    """Scores detections as COCO does; arguments as in `glimpse.evaluation.average_precision.evaluate`.

    Difficult boxes are taken as crowds, which is what COCO's are.

    Returns:
        dict of floats in 0..1: average precision (ap) and average recall with at most 1, 10 or 100 detections an image
        (ar1, ...), means over the classes that have objects. What is undefined is left out.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise GlimpseError("COCO's average precision needs pycocotools: pip install 'glimpse[coco]'") from error
    truth = COCO()
    images = [{"id": place} for place in range(1, len(ground_truth) + 1)]
    objects = [{"image_id": image["id"], "category_id": int(label), "bbox": box, "area": box[2] * box[3],
                "iscrowd": int(difficult)}
               for image, each in zip(images, ground_truth)
               for box, label, difficult in zip(_xywh(each["boxes"]), each["labels"], each["difficult"])]
    truth.dataset = {"images": images, "annotations": [{"id": id} | each for id, each in enumerate(objects, start=1)],
                     "categories": [{"id": label, "name": name} for label, name in enumerate(class_names)]}
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        truth.createIndex()
        found = coco_results(detections, range(1, len(detections) + 1), range(len(class_names)))
        if not found or not objects:
            return {name: 0.0 for name in METRICS.values()} if objects else {}
        scoring = COCOeval(truth, truth.loadRes(found), "bbox")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return {name: float(scoring.stats[place]) for place, name in METRICS.items() if scoring.stats[place] >= 0}


def coco_results(detections, image_ids, category_ids):
    """Detections as COCO's results file lists them: dicts of image_id, category_id, bbox (x, y, width, height), score.
    """
    return [{"image_id": image, "category_id": category_ids[label], "bbox": box, "score": float(score)}
            for image, each in zip(image_ids, detections, strict=True)
            for box, label, score in zip(_xywh(each["boxes"]), each["labels"], each["scores"])]


def _xywh(boxes):
    boxes = np.reshape(np.asarray(boxes, np.float64), [-1, 4])
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
