"""Detections in the files that the servers and tools of COCO and VOC read."""

import json
from pathlib import Path

from glimpse.evaluation.coco_ap import coco_results
from glimpse.files import write_whole


def write_coco_results(path, detections, example_ids, category_ids):
    """Writes COCO's results file. Image ids are numbers where the data set's are, as COCO's own."""
    ids = [int(id) if id.isdecimal() else id for id in example_ids]
    write_whole(path, json.dumps(coco_results(detections, ids, category_ids)))


def write_voc_results(directory, split, detections, example_ids, class_names):
    """Writes VOC's files comp4_det_SPLIT_CLASS.txt, one a class: id, score and box, 1-based with its last pixel.

    A box 0, 0, 10, 10 is 1 1 10 10 there, as in the annotations (see `glimpse.data.voc`).
    """
    for label, name in enumerate(class_names):
        lines = [f"{id} {score:.6f} {x1 + 1:.2f} {y1 + 1:.2f} {x2:.2f} {y2:.2f}\n"
                 for id, each in zip(example_ids, detections, strict=True)
                 for (x1, y1, x2, y2), score, found in zip(each["boxes"], each["scores"], each["labels"]) if found == label]
        write_whole(Path(directory) / f"comp4_det_{split}_{name}.txt", "".join(lines))
