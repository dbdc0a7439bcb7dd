import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.evaluation.average_precision import (
    IOU_THRESHOLDS,
    evaluate,
    true_and_false_positives,
    voc07_average_precision,
    voc10_average_precision,
)

NAMES = ["zero", "one", "two"]


def detected(boxes=(), scores=(), labels=()):
    return {
        "boxes": np.reshape(np.asarray(boxes, np.float32), [-1, 4]),
        "scores": np.asarray(scores, np.float32),
        "labels": np.asarray(labels, int),
    }


def truth(boxes=(), labels=(), difficult=None):
    return {
        "boxes": np.reshape(np.asarray(boxes, np.float32), [-1, 4]),
        "labels": np.asarray(labels, int),
        "difficult": np.zeros(len(labels), bool) if difficult is None else np.asarray(difficult, bool),
    }


# --- by hand ---------------------------------------------------------------------------------------------


def test_average_precision_by_hand():
    # Hit, miss, hit, miss, miss, hit on four objects. Precision at the hits: 1/1, 2/3, 3/6; recall there:
    # 1/4, 2/4, 3/4. Area: (1 + 2/3 + 1/2) / 4. Eleven points: recalls 0, .1, .2 see 1; .3, .4, .5 see 2/3;
    # .6, .7 see 1/2; .8, .9, 1 are not reached.
    true = np.array([1, 0, 1, 0, 0, 1], bool)
    assert voc10_average_precision(true, ~true, 4) == pytest.approx((1 + 2 / 3 + 1 / 2) / 4)
    assert voc07_average_precision(true, ~true, 4) == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 * 1 / 2) / 11)


def test_the_envelope_lifts_precision_that_rises_again():
    # Precision 0/1, 1/2, 2/3: at every recall up to 1 the best still to come is 2/3.
    true = np.array([0, 1, 1], bool)
    assert voc10_average_precision(true, ~true, 2) == pytest.approx(2 / 3)
    assert voc07_average_precision(true, ~true, 2) == pytest.approx(2 / 3)


def test_a_recall_of_exactly_three_tenths_reaches_the_level():
    # In floating point 3 * 0.1 > 3 / 10: four of the eleven levels are reached, not three.
    true = np.ones(3, bool)
    assert voc07_average_precision(true, ~true, 10) == pytest.approx(4 / 11)
    assert voc10_average_precision(true, ~true, 10) == pytest.approx(3 / 10)


def test_the_second_detection_of_an_object_is_false():
    true, false = true_and_false_positives(np.array([0.6, 0.9]), np.array([0, 0]), np.array([False]), 0.5)
    assert (true.tolist(), false.tolist()) == ([True, False], [False, True])
    # At 0.7 the first no longer hits, so the second is the first to hit.
    true, false = true_and_false_positives(np.array([0.6, 0.9]), np.array([0, 0]), np.array([False]), 0.7)
    assert (true.tolist(), false.tolist()) == ([False, True], [True, False])


def test_an_overlap_of_exactly_the_threshold_is_a_hit():
    metrics = evaluate([detected([[0, 0, 10, 7]], [1], [0])], [truth([[0, 0, 10, 10]], [0])], ["zero"])
    assert metrics["voc10_map@0.70"] == 1.0
    assert metrics["voc10_map@0.75"] == 0.0
    assert metrics["voc10_ap@0.50:0.95/zero"] == pytest.approx(0.5)


def test_a_detection_goes_to_the_object_it_overlaps_most_even_when_that_is_taken():
    # Both detections overlap the left object most. The second also reaches the right one at 0.5 or more,
    # but the development kit does not look for a second choice.
    objects = truth([[0, 0, 10, 10], [2, 0, 12, 10]], [0, 0])
    metrics = evaluate([detected([[0, 0, 10, 10], [0, 0, 11, 10]], [0.9, 0.8], [0, 0])], [objects], ["zero"])
    assert metrics["voc10_map@0.50"] == pytest.approx(0.5)


def test_difficult_objects_are_neither_found_nor_missed():
    objects = truth([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 0], [True, False])
    both = detected([[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8, 0.7], [0, 0, 0])
    assert evaluate([both], [objects], ["zero"])["voc10_map@0.50"] == 1.0
    # Below the threshold a difficult object protects nothing: one false positive before the hit.
    beside = detected([[0, 0, 4, 10], [20, 20, 30, 30]], [0.9, 0.7], [0, 0])
    assert evaluate([beside], [objects], ["zero"])["voc10_map@0.50"] == 0.5


def test_ties_keep_the_order_given():
    objects = [truth([[0, 0, 10, 10]], [0])]
    hit, miss = [0, 0, 10, 10], [50, 50, 60, 60]
    assert evaluate([detected([hit, miss], [0.5, 0.5], [0, 0])], objects, ["zero"])["voc10_map@0.50"] == 1.0
    assert evaluate([detected([miss, hit], [0.5, 0.5], [0, 0])], objects, ["zero"])["voc10_map@0.50"] == 0.5


def test_many_ties_keep_the_order_given():
    # Sorts that are not stable may still keep the order of a few or of a sorted list, so two scores alternate.
    # The hit is the 71st of a hundred detections of score 0.9.
    boxes = [[50, 50, 60, 60]] * 200
    boxes[140] = [0, 0, 10, 10]
    metrics = evaluate([detected(boxes, [0.9, 0.1] * 100, [0] * 200)], [truth([[0, 0, 10, 10]], [0])], ["zero"])
    assert metrics["voc10_map@0.50"] == pytest.approx(1 / 71)


def test_classes_do_not_mix_and_those_without_an_object_are_left_out():
    detections = [detected([[0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8], [0, 1])]
    objects = [truth([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 0], [False, False])]
    metrics = evaluate(detections, objects, NAMES)
    assert metrics["voc10_ap@0.50/zero"] == metrics["voc10_map@0.50"] == 0.5
    assert not [key for key in metrics if key.endswith(("/one", "/two"))]


# --- the edges -------------------------------------------------------------------------------------------


def test_no_detections_score_zero():
    metrics = evaluate([detected(), detected()], [truth([[0, 0, 5, 5]], [1]), truth()], NAMES)
    assert set(metrics.values()) == {0.0}


def test_without_objects_nothing_is_defined():
    detections = [detected([[0, 0, 5, 5]], [0.5], [0])]
    assert evaluate(detections, [truth()], NAMES) == {}
    assert evaluate(detections, [truth([[0, 0, 5, 5]], [0], [True])], NAMES) == {}
    assert evaluate([], [], NAMES) == {}


def test_detections_on_images_without_objects_are_false():
    hit = detected([[0, 0, 5, 5]], [0.5], [0])
    miss = detected([[0, 0, 5, 5]], [0.9], [0])
    metrics = evaluate([miss, hit], [truth(), truth([[0, 0, 5, 5]], [0])], ["zero"])
    assert metrics["voc10_map@0.50"] == 0.5


def test_keys_name_the_protocol_and_values_are_plain_floats():
    image, objects = detected([[0, 0, 5, 5]], [0.5], [0]), truth([[0, 0, 5, 5]], [0])
    metrics = evaluate([image], [objects], NAMES)
    labels = [f"{threshold:.2f}" for threshold in IOU_THRESHOLDS] + ["0.50:0.95"]
    maps = {f"{protocol}_map@{label}" for protocol in ("voc07", "voc10") for label in labels}
    assert set(metrics) == maps | {"voc10_ap@0.50/zero", "voc10_ap@0.50:0.95/zero"}
    assert {type(value) for value in metrics.values()} == {float}
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert set(evaluate([image], [objects], NAMES, [0.7])) == {"voc07_map@0.70", "voc10_map@0.70"}


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(detections=[]), r"detections has 0 images, ground_truth has 1"),
        (dict(class_names=["a", "a"]), r"class_names .*\['a', 'a'\]"),
        (dict(iou_thresholds=(0.0,)), r"iou_thresholds .*\(0.0,\)"),
        (dict(iou_thresholds=(0.123,)), r"iou_thresholds .*0.123"),
        (dict(iou_thresholds=(0.5, 0.5)), r"iou_thresholds .*distinct"),
        (dict(detections=[{"boxes": np.zeros([0, 4])}]), r"detections\[0\] lacks \['labels', 'scores'\]"),
        (dict(detections=[detected() | {"boxes": np.zeros([0, 5])}]), r"detections\[0\]\['boxes'\] .*\[0, 5\]"),
        (dict(detections=[detected([[0, 0, 1, 1]], [0.1, 0.2], [0])]), r"detections\[0\]\['scores'\] .*\[2\]"),
        (dict(detections=[detected([[0, 0, 1, 1]], [np.nan], [0])]), r"detections\[0\]\['scores'\] holds nan"),
        (dict(detections=[detected([[0, 0, np.inf, 1]], [0.1], [0])]), r"detections\[0\]\['boxes'\] holds inf"),
        (dict(detections=[detected([[0, 0, 1, 1]], [0.1], [3])]), r"detections\[0\]\['labels'\] holds 3;"),
        (dict(ground_truth=[truth([[0, 0, 1, 1]], [-1])]), r"ground_truth\[0\]\['labels'\] holds -1;"),
        (
            dict(detections=[detected([[0, 0, 1, 1]], [0.1], [0]) | {"labels": np.array([0.5])}]),
            r"detections\[0\]\['labels'\] must be integers",
        ),
    ],
)
def test_bad_input_is_named_in_one_line(change, message):
    arguments = dict(detections=[detected()], ground_truth=[truth()], class_names=NAMES) | change
    with pytest.raises(ValueError, match=message) as error:
        evaluate(**arguments)
    assert "\n" not in str(error.value)


# --- against plain loops ---------------------------------------------------------------------------------


def loop_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def loop_average_precisions(detections, ground_truth, label, threshold):
    """VOC matching as the development kit describes it, one detection at a time: (11-point, area) or None."""
    found = [
        (image, float(score), box.tolist())
        for image, one in enumerate(detections)
        for box, score, its_label in zip(one["boxes"], one["scores"], one["labels"])
        if its_label == label
    ]
    objects = {
        image: [
            {"box": box.tolist(), "difficult": difficult, "taken": False}
            for box, its_label, difficult in zip(one["boxes"], one["labels"], one["difficult"])
            if its_label == label
        ]
        for image, one in enumerate(ground_truth)
    }
    positives = sum(not one["difficult"] for image in objects.values() for one in image)
    if positives == 0:
        return None

    curve, hits, misses = [], 0, 0  # (recall, precision) after each detection that counts
    for image, _, box in sorted(found, key=lambda one: -one[1]):
        best, best_iou = None, 0.0
        for one in objects[image]:
            if loop_iou(box, one["box"]) > best_iou:
                best, best_iou = one, loop_iou(box, one["box"])
        if best is not None and best_iou >= threshold:
            if best["difficult"]:
                continue
            hits, misses = (hits, misses + 1) if best["taken"] else (hits + 1, misses)
            best["taken"] = True
        else:
            misses += 1
        curve.append((Fraction(hits, positives), Fraction(hits, hits + misses)))

    def best_precision_from(recall):
        return max([precision for its_recall, precision in curve if its_recall >= recall], default=Fraction(0))

    eleven = sum(best_precision_from(Fraction(k, 10)) for k in range(11)) / 11
    area = sum(best_precision_from(Fraction(k, positives)) for k in range(1, positives + 1)) / positives
    return float(eleven), float(area)


# A coarse grid, few scores and few labels, so that equal overlaps, equal scores and double hits are common.
coordinates = st.integers(0, 5)
boxes = st.tuples(coordinates, coordinates, st.integers(1, 4), st.integers(1, 4)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
labels = st.integers(0, 2)
images = st.tuples(
    st.lists(st.tuples(boxes, st.integers(0, 4).map(lambda k: k / 4), labels), max_size=7),
    st.lists(st.tuples(boxes, labels, st.booleans()), max_size=4),
)
data_sets = st.lists(images, min_size=1, max_size=4).map(
    lambda pairs: (
        [detected(*zip(*found)) for found, _ in pairs],
        [truth(*zip(*true)) for _, true in pairs],
    )
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(data_sets, st.sampled_from([0.2, 0.5, 0.7]))
def test_agrees_with_plain_loops(data_set, threshold):
    expected = [loop_average_precisions(*data_set, label, threshold) for label in range(3)]
    metrics = evaluate(*data_set, NAMES, [threshold])
    defined = [pair for pair in expected if pair is not None]
    assert (f"voc07_map@{threshold:.2f}" in metrics) == bool(defined)
    if defined:
        eleven, area = np.mean(defined, axis=0)
        assert metrics[f"voc07_map@{threshold:.2f}"] == pytest.approx(eleven, abs=1e-12)
        assert metrics[f"voc10_map@{threshold:.2f}"] == pytest.approx(area, abs=1e-12)
    if threshold == 0.5:
        by_class = {name: pair[1] for name, pair in zip(NAMES, expected) if pair is not None}
        assert {name: metrics[f"voc10_ap@0.50/{name}"] for name in by_class} == pytest.approx(by_class, abs=1e-12)


# --- properties ------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=60)
@given(data_sets)
def test_values_are_fractions(data_set):
    assert all(0.0 <= value <= 1.0 for value in evaluate(*data_set, NAMES).values())


@settings(derandomize=True, deadline=None, max_examples=60)
@given(data_sets)
def test_a_false_positive_of_the_lowest_score_changes_nothing_else_than_for_the_worse(data_set):
    detections, ground_truth = data_set
    far = detected([[100, 100, 101, 101]] * 3, [-1.0] * 3, [0, 1, 2])
    worse = evaluate(detections + [far], ground_truth + [truth()], NAMES)
    assert all(worse[key] <= value for key, value in evaluate(*data_set, NAMES).items())


@settings(derandomize=True, deadline=None, max_examples=60)
@given(data_sets)
def test_perfect_detections_score_one(data_set):
    distinct = [np.unique(image["boxes"], axis=0) for image in data_set[1]]  # equal boxes would be one object's
    ground_truth = [truth(boxes, np.arange(len(boxes)) % 3) for boxes in distinct]
    detections = [detected(image["boxes"], np.ones(len(image["labels"])), image["labels"]) for image in ground_truth]
    assert set(evaluate(detections, ground_truth, NAMES).values()) <= {1.0}


@settings(derandomize=True, deadline=None, max_examples=60)
@given(data_sets, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(data_set, random):
    detections, ground_truth = data_set
    rank = 0.0  # scores distinct within the data set: among ties the order is part of the result
    for image in detections:
        image["scores"] = image["scores"] + 1e-3 * (rank + np.arange(len(image["scores"])))
        rank += len(image["scores"])
    order = random.sample(range(len(detections)), len(detections))
    shuffled = evaluate([detections[i] for i in order], [ground_truth[i] for i in order], NAMES)
    assert shuffled == pytest.approx(evaluate(detections, ground_truth, NAMES), abs=1e-12)
