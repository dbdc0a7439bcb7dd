import numpy as np
import pytest
import tensorflow as tf

from glimpse.data.framing import Framing
from glimpse.evaluation.evaluator import evaluate_detector
from glimpse.evaluation.sequences import GlimpseSequence
from glimpse.explorer.objects import explore, sequence_record
from tests.evaluation.test_sequences import OBJECTS, PROPOSALS, detector, examples
from tests.explorer.made import made_run, pixels

NAMES = ["cat", "dog", "fish"]


def test_the_record_of_a_sequence_by_hand():
    """A truth of 10 x 10; glimpses and boxes that cover all, a half or a quarter of it; the network saw half the size.
    """
    truth = np.float32([10, 10, 20, 20])
    glimpses = np.float32([[12, 10, 22, 20], [10, 10, 20, 20]])  # the first shares 8 x 10 of 120
    boxes = np.float32([[10, 10, 20, 15], [10, 10, 20, 20]])
    probabilities = np.float32([[0.5, 0.125, 0.25, 0.125], [0.125, 0.125, 0.75, 0]])
    sequence = GlimpseSequence(0, "x", glimpses, probabilities, 1, boxes, truth, 1, np.array([0.5, 1]))
    assert sequence_record(sequence, [[[0, 0]], [[0, 5]]], np.float32([0.5, 0.5, 0.5, 0.5]), NAMES) == {
        "proposal_iou": 0.6667, "gain": 0.625, "reward": 0.75,
        "glimpses": [[24, 20, 44, 40], [20, 20, 40, 40]], "boxes": [[20, 20, 40, 30], [20, 20, 40, 40]],
        "iou": [0.5, 1], "probability": [0.25, 0.75],
        "probabilities": [{"class": "dog", "after": [0.25, 0.75]}, {"class": "background", "after": [0.5, 0.125]},
                          {"class": "cat", "after": [0.125, 0.125]}, {"class": "fish", "after": [0.125, 0]}],
        "features": [[[0, 0]], [[0, 5]]]}


def test_every_object_of_a_split_has_a_record():
    network, data = detector(), examples(3)
    data[1] = data[1]._replace(id=7, boxes=np.zeros([0, 4], np.float32), labels=np.zeros(0, np.int32),
                               difficult=np.zeros(0, bool))
    data[2] = data[2]._replace(difficult=np.array([True, False]))
    found = explore("a run", network, data, PROPOSALS, 0, NAMES)
    assert [each["id"] for each in found.objects] == ["picture-0/1", "picture-0/2", "picture-2/1", "picture-2/2"]
    assert all(set(each) == set(made_run().objects[0]) for each in found.objects)
    first = found.objects[1]
    assert (first["run"], first["image"], first["object"], first["class"]) == ("a run", "picture-0", 2, "cat")
    assert first["box"] == OBJECTS[1].tolist() and len(first["glimpses"]) == 3
    assert [each["outcome"] == "difficult" for each in found.objects] == [False, False, True, False]
    rollout = network(data[0].image[None], PROPOSALS(data[0].image)[None], tf.constant([0, 0]))
    proposal = np.abs(rollout.glimpses[0, :, 0] - np.float32(first["glimpses"][0])).sum(axis=1).argmin()
    np.testing.assert_allclose(first["glimpses"], rollout.glimpses[0, proposal], atol=0.01)
    np.testing.assert_allclose(first["probability"], rollout.probabilities[0, proposal, :, 1], atol=1e-4)
    pooled = network.pool(network.shared_map(data[0].image[None]), rollout.glimpses[:, proposal])[0]
    np.testing.assert_allclose(first["features"], np.linalg.norm(pooled, axis=-1), atol=0.01)
    assert first["reward"] == pytest.approx(first["iou"][2] * first["probability"][2], abs=2e-4)

    assert [each["id"] for each in found.images] == ["picture-0", "7", "picture-2"]
    assert (found.images[0]["width"], found.images[0]["height"]) == (40, 32) and not found.images[1]["objects"]
    np.testing.assert_array_equal(pixels(found.images[0]["picture"])[..., 0], data[0].image[..., 0])

    class Data(list):
        class_names = NAMES
    evaluated = evaluate_detector(network, Data(data), PROPOSALS, 0)
    assert found.about["map"]["50"] == pytest.approx(evaluated["metrics"]["voc10_map@0.50"], abs=1e-4)
    assert [len(each["detections"]) for each in found.images] == [
        (each["scores"] >= 0.05).sum() for each in evaluated["detections"]]


def test_boxes_are_in_pixels_of_the_data_set_whatever_the_network_saw():
    """A network that sees the images twice as large, against one that is given images twice as large."""
    network, data = detector(), examples(2)
    framing = Framing(short_side=64, longest_side=80, canvas=(64, 96))
    framed = explore("x", network, data, PROPOSALS, 0, NAMES, framing=framing)

    def doubled(image, id):
        return 2 * PROPOSALS(image[::2, ::2])
    large = [framing.place(each, np.zeros([0, 4], np.float32))[0] for each in data]
    plain = explore("x", network, large, doubled, 0, NAMES)
    for one, other in zip(framed.objects, plain.objects):
        assert one["box"] == (np.array(other["box"]) / 2).tolist()
        assert one["iou"] == pytest.approx(other["iou"], abs=0.05)
        np.testing.assert_allclose(one["glimpses"], np.array(other["glimpses"]) / 2, atol=0.02)
    assert framed.images[0]["width"] == 40 and pixels(framed.images[0]["picture"]).shape == (64, 80, 3)
    assert np.array([each["box"] for each in framed.images[0]["detections"]]).max() <= 40


def test_how_the_proposal_misses_and_an_object_that_none_overlaps():
    data = examples(1)
    for shift, missed in ((0, "well placed"), (3, "too far right"), (-3, "too far left")):  # of a width of 12
        proposals = np.float32([[0, 0, 5, 5], [8 + shift, 6, 20 + shift, 22]])
        found = explore("x", detector(), data, lambda image, id, proposals=proposals: proposals, 0, NAMES)
        assert found.objects[0]["missed"] == missed
        assert found.objects[0]["proposal_iou"] == pytest.approx((12 - abs(shift)) / (12 + abs(shift)), abs=1e-4)
    far = found.objects[1]
    assert far["missed"] == "no proposal" and far["proposal_iou"] is far["gain"] is far["reward"] is None
    assert far["glimpses"] == far["iou"] == far["features"] == [] and set(far) == set(found.objects[0])


def test_with_one_glimpse_nothing_is_gained():
    found = explore("x", detector(1), examples(1), PROPOSALS, 0, NAMES)
    assert [each["gain"] for each in found.objects] == [None, None] and found.objects[0]["reward"] > 0
