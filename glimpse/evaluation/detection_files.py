"""Detections in the files that the servers and tools of COCO and VOC read."""

import collections
import hashlib
import json
import re
import unicodedata
from pathlib import Path

from glimpse.evaluation.coco_ap import coco_results
from glimpse.files import file_name_of, write_whole


def write_coco_results(path, detections, example_ids, category_ids):
    """Writes COCO's results file; ids of images and categories, numbers or texts, as the data set has them."""
    write_whole(path, json.dumps(coco_results(detections, example_ids, category_ids)))


def write_voc_results(directory, split, detections, example_ids, class_names):
    """Writes VOC's files comp4_det_SPLIT_CLASS.txt, one a class: id, score and box, 1-based with its last pixel.

    A box 0, 0, 10, 10 is 1 1 10 10 there, as in the annotations (see `glimpse.data.voc`). Split and class stand in the
    file's name as `file_name_of` writes them. A space in an id is written %20, for spaces part the columns.
    """
    ids = [re.sub(r"\s", lambda space: file_name_of(space[0]), str(id)) for id in example_ids]
    for label, name in enumerate(class_file_names(class_names)):
        lines = [f"{id} {score:.6f} {x1 + 1:.2f} {y1 + 1:.2f} {x2:.2f} {y2:.2f}\n"
                 for id, each in zip(ids, detections, strict=True)
                 for (x1, y1, x2, y2), score, found in zip(each["boxes"], each["scores"], each["labels"])
                 if found == label]
        write_whole(Path(directory) / f"comp4_det_{file_name_of(split)}_{name}.txt", "".join(lines))


def class_file_names(class_names):
    """What stands for each class in the name of a file: apart also where case and the coding of accents do not count.
    """
    names = [file_name_of(name) for name in class_names]
    folded = [unicodedata.normalize("NFC", name).casefold() for name in names]
    counts = collections.Counter(folded)
    return [name if counts[key] == 1 else f"{name}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"
            for name, key in zip(names, folded)]
