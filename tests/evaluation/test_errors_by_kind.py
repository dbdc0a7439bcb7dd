"""Each kind by hand: one class of two objects unless said, so that a found object is worth half."""

import numpy as np
import pytest
from hypothesis import given, settings

from glimpse.evaluation.average_precision import evaluate
from glimpse.evaluation.errors_by_kind import KINDS, Outcome, errors_by_kind, outcomes_of_objects
from tests.evaluation.test_average_precision import NAMES, data_sets, detected, truth

LEFT, RIGHT = [0, 0, 10, 10], [50, 0, 60, 10]
OBJECTS = [truth([LEFT, RIGHT], [0, 0])]


def only(found, kind, count, gain):
    """Checks that `kind` alone has errors; nothing is gained by mending another."""
    assert {name: each["count"] for name, each in found.items()} == {name: count * (name == kind) for name in KINDS}
    assert found[kind]["ap_gained"] == pytest.approx(gain)
    assert all(found[name]["ap_gained"] == 0 for name in KINDS if name != kind)


def test_localisation():
    # The second detection lies beside the right object: IoU 0.4. Put right, both are found: 0.5 -> 1.
    found = errors_by_kind([detected([LEFT, [50, 0, 54, 10]], [0.9, 0.8], [0, 0])], OBJECTS, 1)
    only(found, "localisation", 1, 0.5)


def test_classification():
    # The right object is called another class, of which there is none, so that class has no AP: 0.5 -> 1.
    found = errors_by_kind([detected([LEFT, RIGHT], [0.9, 0.8], [0, 1])], OBJECTS, 2)
    only(found, "classification", 1, 0.5)


def test_both():
    # IoU 0.4 with an object of another class. Class 0: found, 1. Class 1: a false positive before the hit, 0.5 -> 1.
    objects = [truth([LEFT, RIGHT], [0, 1])]
    boxes = [LEFT, [0, 0, 4, 10], RIGHT]
    only(errors_by_kind([detected(boxes, [0.9, 0.8, 0.7], [0, 1, 1])], objects, 2), "both", 1, 0.25)


def test_duplicate():
    # Hit, duplicate, hit: (1 + 2/3) / 2 -> 1.
    found = errors_by_kind([detected([LEFT, LEFT, RIGHT], [0.9, 0.8, 0.7], [0, 0, 0])], OBJECTS, 1)
    only(found, "duplicate", 1, 1 / 6)


def test_background():
    # IoU 1/19 with the left object is still none. Miss, hit, hit: (2/3 + 2/3) / 2 -> 1.
    boxes = [[0, 0, 1, 10], LEFT, RIGHT]
    boxes[0] = [9, 0, 19, 10]
    found = errors_by_kind([detected(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], OBJECTS, 1)
    only(found, "background", 1, 1 / 3)


def test_on_an_image_without_objects_all_is_background():
    found = errors_by_kind([detected([LEFT, RIGHT], [0.9, 0.8], [0, 0]), detected([LEFT], [0.95], [0])],
                           [*OBJECTS, truth()], 1)
    only(found, "background", 1, 1 / 3)


def test_missed():
    only(errors_by_kind([detected([LEFT], [0.9], [0])], OBJECTS, 1), "missed", 1, 0.5)


def test_an_object_with_a_wrong_class_beside_it_is_not_missed_but_one_with_both_wrong_is():
    beside = [50, 0, 54, 10]  # IoU 0.4 with the right object
    counts = {}
    for name, box, label in (("class", RIGHT, 1), ("box", beside, 0), ("both", beside, 1)):
        found = errors_by_kind([detected([LEFT, box], [0.9, 0.8], [0, label])], OBJECTS, 2)
        counts[name] = found["missed"]["count"]
    assert counts == {"class": 0, "box": 0, "both": 1}


def test_of_several_errors_on_one_object_the_most_confident_is_mended_and_the_others_are_removed():
    # Beside the right object twice, then a hit on the left one: 1/3 / 2. Mended: hit, (removed), hit: 1.
    boxes = [[50, 0, 54, 10], [50, 0, 54, 9], LEFT]
    found = errors_by_kind([detected(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], OBJECTS, 1)
    only(found, "localisation", 2, 1 - 1 / 6)


def test_errors_on_an_object_that_is_found_are_removed():
    # Beside the left object, a hit on it, a hit on the right one: (2/3 + 2/3) / 2 -> 1.
    boxes = [[0, 0, 4, 10], LEFT, RIGHT]
    found = errors_by_kind([detected(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], OBJECTS, 1)
    only(found, "localisation", 1, 1 / 3)


def test_a_corrected_class_counts_for_the_class_of_its_object():
    # Class 0 has LEFT, found. Class 1 has RIGHT, called 0 with the highest score: class 0 1/2 -> 1, class 1 0 -> 1.
    objects = [truth([LEFT, RIGHT], [0, 1])]
    found = errors_by_kind([detected([RIGHT, LEFT], [0.9, 0.8], [0, 0])], objects, 2)
    only(found, "classification", 1, 0.75)


def test_what_lies_beside_its_own_class_and_on_another_is_a_matter_of_place():
    objects = [truth([[0, 0, 10, 10], [0, 0, 10, 4]], [1, 0])]
    found = errors_by_kind([detected([LEFT], [0.9], [0])], objects, 2)
    assert found["localisation"]["count"] == 1 and found["classification"]["count"] == 0


def test_difficult_objects_are_neither_errors_nor_missed():
    objects = [truth([LEFT, RIGHT], [0, 0], [False, True])]
    only(errors_by_kind([detected([LEFT], [0.9], [0])], objects, 1), "missed", 0, 0)
    only(errors_by_kind([detected([LEFT, RIGHT], [0.8, 0.9], [0, 0])], objects, 1), "missed", 0, 0)
    # Beside the difficult object: removed when mended, as it would be ignored there. 1/2 -> 1.
    only(errors_by_kind([detected([[50, 0, 54, 10], LEFT], [0.9, 0.8], [0, 0])], objects, 1), "localisation", 1, 0.5)


def test_without_an_object_that_counts_nothing_is_defined():
    assert errors_by_kind([detected([LEFT], [0.9], [0])], [truth()], 1) == {}
    assert errors_by_kind([detected()], [truth([LEFT], [0], [True])], 1) == {}
    assert errors_by_kind([], [], 1) == {}


def test_what_became_of_each_object():
    beside = [50, 0, 54, 10]  # IoU 0.4 with the right object
    for boxes, scores, labels, right in (
            ([LEFT, RIGHT], [0.75, 0.875], [0, 0], Outcome("found", 0, 0.875, 1)),
            ([LEFT, RIGHT, RIGHT], [0.75, 0.875, 0.125], [0, 1, 0], Outcome("found", 0, 0.125, 1)),
            ([LEFT, beside, RIGHT], [0.75, 0.875, 0.625], [0, 0, 1], Outcome("localisation", 0, 0.875, 0.4)),
            ([LEFT, beside, RIGHT], [0.75, 0.5, 0.625], [0, 0, 1], Outcome("classification", 1, 0.625, 1)),
            ([LEFT, beside], [0.75, 0.5], [0, 1], Outcome("missed"))):
        outcomes = outcomes_of_objects([detected(boxes, scores, labels)], OBJECTS, 2)
        assert outcomes == [Outcome("found", 0, 0.75, 1), right], boxes
    images = [truth(), truth([LEFT, RIGHT], [0, 0], [True, False]), truth([LEFT], [1])]
    found = [detected([LEFT], [0.3], [0]), detected([LEFT], [0.9], [0]), detected([LEFT], [0.5], [1])]
    assert outcomes_of_objects(found, images, 2) == [
        Outcome("difficult"), Outcome("missed"), Outcome("found", 1, 0.5, 1)]
    assert outcomes_of_objects([], [], 1) == []


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data_sets)
def test_outcomes_agree_with_the_counts(data_set):
    outcomes = [each.name for each in outcomes_of_objects(*data_set, len(NAMES))]
    difficult = np.concatenate([np.zeros(0, bool), *(each["difficult"] for each in data_set[1])])
    assert [name == "difficult" for name in outcomes] == difficult.tolist()
    errors = errors_by_kind(*data_set, len(NAMES))
    assert outcomes.count("missed") == (errors["missed"]["count"] if errors else 0)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data_sets)
def test_every_false_positive_has_one_kind_and_nothing_gains_more_than_there_is(data_set):
    found = errors_by_kind(*data_set, len(NAMES))
    level = evaluate(*data_set, NAMES, [0.5]).get("voc10_map@0.50")
    assert (not found) == (level is None)
    for each in found.values():
        assert -1e-12 <= each["ap_gained"] <= 1 - level + 1e-12
    total = sum(len(image["labels"]) for image in data_set[0])
    assert sum(found[kind]["count"] for kind in found if kind != "missed") <= total


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data_sets)
def test_kinds_agree_with_plain_loops(data_set):
    found = errors_by_kind(*data_set, len(NAMES))
    if found:
        assert {kind: each["count"] for kind, each in found.items()} == loop_counts(*data_set)


def loop_counts(detections, ground_truth):
    """One false positive at a time, as the paper tells the kinds."""
    from tests.evaluation.test_average_precision import loop_iou
    counts, taken, reached = dict.fromkeys(KINDS, 0), set(), set()
    order = sorted(((-score, image, place) for image, each in enumerate(detections)
                    for place, score in enumerate(each["scores"])))
    for _, image, place in order:
        box, label, true = detections[image]["boxes"][place], detections[image]["labels"][place], ground_truth[image]
        own, other = [(0.0, None)], [(0.0, None)]
        for index, (true_box, true_label) in enumerate(zip(true["boxes"], true["labels"])):
            (own if true_label == label else other).append((loop_iou(box, true_box), index))
        (own_iou, nearest), (other_iou, wrong) = (max(each, key=lambda pair: pair[0]) for each in (own, other))
        if own_iou >= 0.5 and (true["difficult"][nearest] or (image, nearest) not in taken):
            taken.add((image, nearest))
        elif 0.1 <= own_iou < 0.5:
            counts["localisation"] += 1
            reached.add((image, nearest))
        elif other_iou >= 0.5:
            counts["classification"] += 1
            reached.add((image, wrong))
        elif own_iou >= 0.5:
            counts["duplicate"] += 1
        else:
            counts["background" if max(own_iou, other_iou) <= 0.1 else "both"] += 1
    counts["missed"] = sum((image, index) not in taken | reached
                           for image, true in enumerate(ground_truth) for index in np.flatnonzero(~true["difficult"]))
    return counts
