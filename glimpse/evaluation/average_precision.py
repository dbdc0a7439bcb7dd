"""Average precision as PASCAL VOC defines it, at any IoU threshold.

Sources: Everingham, Van Gool, Williams, Winn and Zisserman, "The PASCAL Visual Object Classes (VOC)
Challenge", IJCV 2010, and the VOC development kit: VOC 2007 averages precision at eleven levels of
recall, VOC 2010 and later take the area under the monotone precision envelope.

The file reads in the order of the data: detections and ground truth are checked, every detection is held
against one object (`glimpse.evaluation.matches`), detections in descending score become true and false positives, and
these become AP.
"""

import numpy as np
from scipy import sparse

from glimpse.evaluation.matches import match

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

    return average_precisions(match(detections, ground_truth, len(class_names)), class_names, thresholds)


def average_precisions(matches, class_names, thresholds=IOU_THRESHOLDS):
    """What `evaluate` returns, from `glimpse.evaluation.matches.Matches`, and so from the file of a run."""
    precisions = {name: np.full([len(thresholds), len(class_names)], np.nan) for name in PROTOCOLS}
    positives = matches.positives
    of_class = [np.flatnonzero(matches.labels == label) for label in range(len(class_names))]
    for row, threshold in enumerate(thresholds):
        true, false = true_and_false_positives(matches.overlaps, matches.objects, matches.difficult, threshold)
        for label in np.flatnonzero(positives):
            chosen = of_class[label]
            for name, average_precision in PROTOCOLS.items():
                precisions[name][row, label] = average_precision(true[chosen], false[chosen], positives[label])
    return _named(precisions, thresholds, class_names)  # NaN marks what is undefined


def resampled_maps(matches, counts, thresholds=IOU_THRESHOLDS):
    """The mean of `voc10_map` over the thresholds, had every image been in the data set a number of times.

    Which detections are true does not change when images are repeated: a copy of an image brings its own objects. So a
    detection only counts as often as its image, and no image has to be repeated. Among the copies of a true positive
    precision rises, so that the envelope at all of them is that at the last. Detections of one image with equal scores
    are taken as if all copies of the first came before those of the second.

    Args:
        matches: `glimpse.evaluation.matches.Matches` of N images.
        counts: [B, N] whole numbers, how often each image is taken, for B resampled data sets.
        thresholds: of IoU.

    Returns:
        [B] float64; NaN where no object counts. Classes without one do not enter the mean.
    """
    counts = np.ascontiguousarray(np.asarray(counts).T, np.float32)  # whole numbers up to 2^24 are exact
    counted = np.flatnonzero(~matches.difficult)
    decided = [true_and_false_positives(matches.overlaps, matches.objects, matches.difficult, threshold)
               for threshold in thresholds]
    total, defined = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    for label in np.flatnonzero(matches.positives):
        of_class = matches.labels == label
        positives = counts[matches.object_images[counted[matches.object_labels[counted] == label]]].sum(axis=0)
        images, area = matches.images[of_class], np.zeros(counts.shape[1])
        at_threshold = [(true[of_class], false[of_class]) for true, false in decided]
        # Sums are needed at true positives alone, so what lies between two of them is added up at once.
        ends = np.flatnonzero(np.any([true for true, _ in at_threshold], axis=0))
        stretches = np.searchsorted(ends, np.arange(len(images)))
        once = np.ones(len(images), np.float32)
        between = sparse.csr_array((once, (stretches, images)), shape=(len(ends) + 1, len(counts)))
        everything = np.cumsum(between @ counts, axis=0)
        for true, false in at_threshold:
            places, ignored = np.flatnonzero(true), np.flatnonzero(~(true | false))
            weight = counts[images[places]]
            seen = everything[np.searchsorted(ends, places)]
            if len(ignored):
                before = np.cumsum(counts[images[ignored]], axis=0)
                before = np.concatenate([np.zeros_like(before[:1]), before])
                seen -= before[np.searchsorted(ignored, places)]
            precision = np.cumsum(weight, axis=0) / np.maximum(seen, 1)
            envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
            area += np.einsum("db,db->b", envelope, weight)
        total += np.divide(area, positives * len(decided), out=np.zeros_like(area), where=positives > 0)
        defined += positives > 0
    return np.divide(total, defined, out=np.full_like(total, np.nan), where=defined > 0)


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
    two_decimals = given.ndim == 1 and given.size and np.allclose(given, rounded, rtol=0, atol=1e-9)
    if not two_decimals or not np.all((rounded > 0) & (rounded <= 1)) or len(set(rounded)) < len(rounded):
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
