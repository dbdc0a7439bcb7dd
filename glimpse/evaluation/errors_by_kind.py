"""Where average precision is lost: six kinds of errors, and the AP that one would gain without each.

Source: Bolya, Foley, Hays and Hoffman, "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
sections 2.2 and 2.3; the order in which a false positive is held against the kinds is that of their code. Unlike
there, objects and detections are matched as VOC does it, and AP is that of `voc10`. So gains compare with
`voc10_map@0.50`.
"""

from typing import NamedTuple

import numpy as np

from glimpse.evaluation.average_precision import true_and_false_positives, voc10_average_precision
from glimpse.evaluation.matches import match
from glimpse.geometry.overlaps import pairwise_iou

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
FOREGROUND, BACKGROUND = 0.5, 0.1  # IoU from which a detection is on an object, and up to which it is on none
OUTCOMES = ("found", "localisation", "classification", "missed", "difficult")


def errors_by_kind(detections, ground_truth, num_classes):
    """Tells each error's kind, and what mAP at IoU 0.5 gains where all errors of one kind are mended.

    A false positive is, by the first of these that holds:
    localisation: it overlaps an object of its own class by 0.1 to 0.5;
    classification: it overlaps an object of another class by at least 0.5;
    duplicate: it is on an object of its own class that a detection with a higher score has found;
    background: it overlaps no object by more than 0.1;
    both: all others, which overlap an object of another class by 0.1 to 0.5.
    An object is missed if no detection found it, nor would, were its class or its box corrected.

    Mended are: missed objects, by not counting them; duplicates, background and both, by removing the detection. Of the
    detections with a wrong class, or box, of one object, the one with the highest score is taken for its true positive,
    where it has none yet, and the others are removed. A detection on a difficult object is removed, as VOC ignores it.

    Args:
        detections, ground_truth: lists of dicts, one an image, as `glimpse.evaluation.average_precision.evaluate`
            takes them.
        num_classes: K.

    Returns:
        dict, kind of KINDS -> {"count": number of errors, "ap_gained": in 0..1}; empty where no object counts.
    """
    matches = match(detections, ground_truth, num_classes)
    positives = matches.positives
    if not positives.any():
        return {}
    told = _told(matches, detections, ground_truth)
    true, false, kinds, coverable = told.true, told.false, told.kinds, told.coverable
    meant = {"classification": told.other_objects, "localisation": matches.objects}
    missed = coverable.copy()
    for kind, objects in meant.items():
        missed[objects[kinds == kind]] = False

    before = _mean_average_precision(matches.labels, true, false, positives)
    errors = {}
    for kind in KINDS:
        labels, mended, remaining, counted = matches.labels.copy(), true.copy(), false & (kinds != kind), positives
        if kind == "missed":
            counted = positives - np.bincount(matches.object_labels[missed], minlength=num_classes)
        elif kind in meant:
            errors_of_kind = np.flatnonzero(kinds == kind)
            objects, first = np.unique(meant[kind][errors_of_kind], return_index=True)
            chosen = errors_of_kind[first[coverable[objects]]]
            mended[chosen] = True
            labels[chosen] = matches.object_labels[meant[kind][chosen]]
        count = missed.sum() if kind == "missed" else (kinds == kind).sum()
        after = _mean_average_precision(labels, mended, remaining, counted, positives > 0)
        errors[kind] = {"count": int(count), "ap_gained": after - before}
    return errors


class Outcome(NamedTuple):
    """What became of an object, and the detection that decides it; None where there is none."""

    name: str  # of OUTCOMES
    label: int | None = None
    score: float | None = None
    overlap: float | None = None  # IoU of the detection with the object


def outcomes_of_objects(detections, ground_truth, num_classes):
    """What became of each object at IoU 0.5.

    "found": a detection is its true positive. "localisation", "classification": none is, but one would be, were its box
    or its class corrected; of several, the one with the highest score tells which. "missed": all others. "difficult":
    those that do not count.

    Args:
        detections, ground_truth, num_classes: as `errors_by_kind` takes them.

    Returns:
        list of Outcome, of all objects in the order of their images.
    """
    matches = match(detections, ground_truth, num_classes)
    told = _told(matches, detections, ground_truth)
    outcomes = [Outcome("difficult" if difficult else "missed") for difficult in matches.difficult]

    for detection, kind in enumerate(np.where(told.true, "found", told.kinds)):  # the surest comes first
        of_another_class = kind == "classification"
        place = (told.other_objects if of_another_class else matches.objects)[detection]
        first = kind in ("classification", "localisation") and outcomes[place].name == "missed"
        if kind == "found" or first:
            overlaps = told.others if of_another_class else matches.overlaps
            outcomes[place] = Outcome(str(kind), int(matches.labels[detection]), float(matches.scores[detection]),
                                      float(overlaps[detection]))
    return outcomes


class _Told(NamedTuple):
    """Of D detections in descending score, and of G objects."""

    true: np.ndarray  # [D] bool
    false: np.ndarray  # [D] bool
    kinds: np.ndarray  # [D], of KINDS; "" for what is no false positive
    others: np.ndarray  # [D], the largest IoU with an object of another class
    other_objects: np.ndarray  # [D], which object that is
    coverable: np.ndarray  # [G] bool: it counts, and has no true positive


def _told(matches, detections, ground_truth):
    true, false = true_and_false_positives(matches.overlaps, matches.objects, matches.difficult, FOREGROUND)
    others, other_objects = _best_of_other_classes(detections, ground_truth)
    found = np.zeros(len(matches.difficult), bool)
    found[matches.objects[true]] = True
    kinds = np.select(
        [~false,
         (matches.overlaps >= BACKGROUND) & (matches.overlaps < FOREGROUND),
         others >= FOREGROUND,
         matches.overlaps >= FOREGROUND,
         np.maximum(matches.overlaps, others) <= BACKGROUND],
        ["", "localisation", "classification", "duplicate", "background"], "both")
    # An error that only needs another class or box, of an object that has no true positive, would find it.
    return _Told(true, false, kinds, others, other_objects, ~found & ~matches.difficult)


def _best_of_other_classes(detections, ground_truth):
    """The largest IoU of each detection with an object of another class, and which, in the order of `match`."""
    overlaps, objects, scores, objects_before = [np.zeros(0)], [np.zeros(0, int)], [np.zeros(0)], 0
    for found, true in zip(detections, ground_truth):
        scores.append(found["scores"])
        of_image = pairwise_iou(found["boxes"], true["boxes"]) * (found["labels"][:, None] != true["labels"])
        overlaps.append(of_image.max(axis=1, initial=0))
        nearest = of_image.argmax(axis=1) if len(true["boxes"]) else np.zeros(len(of_image), int)
        objects.append(nearest + objects_before)
        objects_before += len(true["boxes"])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(overlaps)[order], np.concatenate(objects)[order]


def _mean_average_precision(labels, true, false, positives, defined=None):
    """Over the classes that are `defined`, those with objects; 0 for one whose objects are all left out."""
    defined = np.flatnonzero(positives > 0 if defined is None else defined)
    of_class = {label: labels == label for label in defined}
    return float(np.mean([voc10_average_precision(true[chosen], false[chosen], max(positives[label], 1))
                          for label, chosen in of_class.items()]))
