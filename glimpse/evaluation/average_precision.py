"""Average precision as PASCAL VOC defines it, at any IoU threshold.

Sources: Everingham, Van Gool, Williams, Winn and Zisserman, "The PASCAL Visual Object Classes (VOC)
Challenge", IJCV 2010, and the VOC development kit: VOC 2007 averages precision at eleven levels of
recall, VOC 2010 and later take the area under the monotone precision envelope.

The file reads in the order of the data: detections and ground truth are checked, every detection is held
against one object, detections in descending score become true and false positives, and these become AP.
"""

import numpy as np

from glimpse.geometry.overlaps import pairwise_iou

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def evaluate(detections, ground_truth, class_names, iou_thresholds=IOU_THRESHOLDS):
    """Scores the detections of a data set under both VOC protocols.

    Boxes are xyxy in continuous pixels, origin at the top-left corner, so width = x2 - x1.

    Args:
        detections: list with one dict an image: "boxes" [D, 4] float, "scores" [D] float, "labels" [D] int
            in 0..K-1. D may differ from image to image and may be 0.
        ground_truth: list of dicts in the same order: "boxes" [G, 4] float, "labels" [G] int in 0..K-1,
            "difficult" [G] bool. G may be 0.
        class_names: the K names of the classes.
        iou_thresholds: thresholds in (0, 1], with at most two decimals, since keys name them so.

    Returns:
        dict of floats in 0..1. `voc07_map@0.50` and `voc10_map@0.50` are means over classes, one a
        threshold, and `voc10_ap@0.50/NAME` is the AP of a class. `voc07_map@0.50:0.95`,
        `voc10_map@0.50:0.95` and `voc10_ap@0.50:0.95/NAME` are means over the ten thresholds 0.50, 0.55,
        ..., 0.95, present where all ten were asked for. What is undefined is left out: the AP of a class
        without an object that counts, and every key where no class has one. Such classes do not enter
        the means.

    Raises:
        ValueError: names the argument and the value that is wrong.
    """
    class_names = list(class_names)
    if not class_names or len(set(class_names)) < len(class_names):
        raise ValueError(f"class_names must be at least one and distinct, not {class_names}")
    if len(detections) != len(ground_truth):
        raise ValueError(
            f"detections has {len(detections)} images, ground_truth has {len(ground_truth)}; they must be the same"
        )
    thresholds = _checked_thresholds(iou_thresholds)
    detections = [
        _checked_image(image, f"detections[{i}]", "scores", len(class_names)) for i, image in enumerate(detections)
    ]
    ground_truth = [
        _checked_image(image, f"ground_truth[{i}]", "difficult", len(class_names))
        for i, image in enumerate(ground_truth)
    ]

    scores, labels, overlaps, objects = _matches_by_score(detections, ground_truth)
    difficult = np.concatenate([np.zeros(0, bool), *(image["difficult"] for image in ground_truth)])
    true_labels = np.concatenate([np.zeros(0, int), *(image["labels"] for image in ground_truth)])
    positives = np.bincount(true_labels[~difficult], minlength=len(class_names))

    # AP per protocol, threshold and class; NaN marks what is undefined.
    precisions = {name: np.full([len(thresholds), len(class_names)], np.nan) for name in PROTOCOLS}
    of_class = [np.flatnonzero(labels == label) for label in range(len(class_names))]
    for row, threshold in enumerate(thresholds):
        true, false = true_and_false_positives(overlaps, objects, difficult, threshold)
        for label in np.flatnonzero(positives):
            chosen = of_class[label]
            for name, average_precision in PROTOCOLS.items():
                precisions[name][row, label] = average_precision(true[chosen], false[chosen], positives[label])
    return _named(precisions, thresholds, class_names)


def best_matches(boxes, labels, true_boxes, true_labels):
    """The object of its own class that each detection of one image overlaps most, difficult ones included.

    The choice does not depend on the threshold. Among equal overlaps the first object is chosen, as in
    the development kit.

    Args:
        boxes: [D, 4] float, xyxy in continuous pixels; `labels`: [D] int.
        true_boxes: [G, 4] float, likewise; `true_labels`: [G] int.

    Returns:
        overlaps [D] float64, 0 where there is no object of that class, and objects [D] int, the indices
        into `true_boxes`, of no meaning where the overlap is 0.
    """
    if len(true_boxes) == 0:
        return np.zeros(len(boxes)), np.zeros(len(boxes), int)
    overlaps = pairwise_iou(boxes, true_boxes) * (labels[:, None] == true_labels)
    return overlaps.max(axis=1), overlaps.argmax(axis=1)


def true_and_false_positives(overlaps, objects, difficult, threshold):
    """Decides about detections that are in descending score.

    A detection that reaches the threshold is a true positive if it is the first on its object, and a
    false positive if it is not; on a difficult object it is neither. All others are false positives.

    Args:
        overlaps: [D] float, the IoU of each detection with its object.
        objects: [D] int, the object of each detection, an index into `difficult`.
        difficult: [G] bool.
        threshold: float in (0, 1].

    Returns:
        Two bool arrays [D], the true and the false positives.
    """
    hits = np.flatnonzero(overlaps >= threshold)
    ignored = difficult[objects[hits]]
    _, first = np.unique(objects[hits[~ignored]], return_index=True)
    true = np.zeros(len(overlaps), bool)
    true[hits[~ignored][first]] = True
    false = ~true
    false[hits[ignored]] = False
    return true, false


def voc07_average_precision(true, false, positives):
    """Mean over the recalls 0, 0.1, ..., 1 of the best precision at that recall or a higher one (VOC 2007).

    Recall is compared in whole numbers, 10 * found >= k * positives, so that a recall of exactly 3/10
    reaches the level 0.3; in floating point, 3 * 0.1 > 3 / 10 would lose it.

    Args:
        true, false: [D] bool, the true and the false positives of a class in descending score; a detection
            that is neither is ignored.
        positives: how many objects there are to be found, at least 1.

    Returns:
        float in 0..1.
    """
    found = np.cumsum(true)
    reached = np.searchsorted(10 * found, positives * np.arange(11))
    return float(np.append(_precision_envelope(true, false), 0.0)[reached].mean())


def voc10_average_precision(true, false, positives):
    """Area under the monotone precision envelope over recall (VOC 2010 and later).

    Recall rises by 1 / positives at every true positive and nowhere else, so the area is the sum of the
    envelope there. Arguments and result are those of `voc07_average_precision`.
    """
    return float(_precision_envelope(true, false)[true].sum() / positives)


PROTOCOLS = {"voc07": voc07_average_precision, "voc10": voc10_average_precision}


def _precision_envelope(true, false):
    """[D] float64: at each detection, the best precision from there on."""
    found, wrong = np.cumsum(true), np.cumsum(false)
    precision = found / np.maximum(found + wrong, 1)  # 0 while all detections so far were ignored
    return np.maximum.accumulate(precision[::-1])[::-1]


def _matches_by_score(detections, ground_truth):
    """Scores, labels, overlaps and objects of all detections, in descending score, ties in the order given.

    Objects are counted through all images, so that an index names one object of the data set.
    """
    columns = [(np.zeros(0), np.zeros(0, int), np.zeros(0), np.zeros(0, int))]
    objects_before = 0
    for found, true in zip(detections, ground_truth):
        overlaps, objects = best_matches(found["boxes"], found["labels"], true["boxes"], true["labels"])
        columns.append((found["scores"], found["labels"], overlaps, objects + objects_before))
        objects_before += len(true["boxes"])
    scores, labels, overlaps, objects = (np.concatenate(column) for column in zip(*columns))
    order = np.argsort(-scores, kind="stable")
    return scores[order], labels[order], overlaps[order], objects[order]


def _named(precisions, thresholds, class_names):
    """The flat dict of `evaluate` from AP [thresholds, classes] per protocol, NaN where undefined."""
    everywhere = np.isin(thresholds, IOU_THRESHOLDS)
    rows = {f"{threshold:.2f}": [row] for row, threshold in enumerate(thresholds)}
    if everywhere.sum() == len(IOU_THRESHOLDS):
        rows["0.50:0.95"] = np.flatnonzero(everywhere)

    metrics = {}
    for protocol, values in precisions.items():
        for threshold, chosen in rows.items():
            by_class = values[chosen].mean(axis=0)
            defined = np.flatnonzero(~np.isnan(by_class))
            if len(defined):
                metrics[f"{protocol}_map@{threshold}"] = float(by_class[defined].mean())
            if protocol == "voc10" and threshold in ("0.50", "0.50:0.95"):
                metrics |= {f"voc10_ap@{threshold}/{class_names[k]}": float(by_class[k]) for k in defined}
    return metrics


def _checked_thresholds(iou_thresholds):
    """The thresholds as a float64 array, rounded to the two decimals that their keys show."""
    given = np.asarray(iou_thresholds, np.float64)
    rounded = np.round(given, 2)
    valid = given.ndim == 1 and given.size and np.allclose(given, rounded, rtol=0, atol=1e-9)
    if not valid or not np.all((rounded > 0) & (rounded <= 1)) or len(set(rounded)) < len(rounded):
        raise ValueError(
            f"iou_thresholds must be distinct, in (0, 1], with at most two decimals, not {iou_thresholds}"
        )
    return rounded


def _checked_image(image, name, third, num_classes):
    """The arrays "boxes", "labels" and `third` ("scores" or "difficult") of one image, checked."""
    missing = {"boxes", "labels", third} - set(image)
    if missing:
        raise ValueError(f"{name} lacks {sorted(missing)}; it has {sorted(image)}")
    boxes, labels, values = (np.asarray(image[key]) for key in ("boxes", "labels", third))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}['boxes'] must have shape [N, 4], not {list(boxes.shape)}")
    for key, array in (("labels", labels), (third, values)):
        if array.shape != boxes.shape[:1]:
            raise ValueError(f"{name}['{key}'] must have shape [{len(boxes)}] like its boxes, not {list(array.shape)}")
    if not np.issubdtype(labels.dtype, np.integer) and labels.size:
        raise ValueError(f"{name}['labels'] must be integers, not {labels.dtype}")
    if np.any((labels < 0) | (labels >= num_classes)):
        wrong = labels[(labels < 0) | (labels >= num_classes)][0]
        raise ValueError(f"{name}['labels'] holds {wrong}; labels must be in 0..{num_classes - 1}")
    for key, array in (("boxes", boxes), (third, values)):
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{name}['{key}'] holds {array[~np.isfinite(array)][0]}; it must be finite")
    values = values.astype(bool if third == "difficult" else np.float64)
    return {"boxes": boxes, "labels": labels.astype(int), third: values}
