import threading

import numpy as np
import pytest
import tensorflow as tf

from glimpse.data.batches import RoISampling, evaluation_batches, training_batches
from glimpse.data.digits import DigitScenes
from glimpse.data.framing import Framing
from glimpse.data.proposals import WindowGrid
from glimpse.errors import GlimpseError
from glimpse.geometry.overlaps import pairwise_iou
from glimpse.randomness import generator

SCENES = DigitScenes("train", {"train": 10})
GRID = WindowGrid()


def sample(sampling, boxes, labels, proposals=None, seed=0):
    proposals = GRID(SCENES[0].image) if proposals is None else proposals
    return sampling(proposals, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, int),
                    generator(seed, "test"))


def test_foreground_first_and_every_roi_what_its_overlap_says():
    boxes, labels = [[10, 10, 30, 40], [50, 40, 90, 90]], [4, 9]
    sampling = RoISampling(rois_per_image=16, foreground_fraction=0.25)
    rois, classes, targets = sample(sampling, boxes, labels)
    assert (classes > 0).argmin() == 4 == (classes > 0).sum() == sampling.foreground_slots
    overlaps = pairwise_iou(rois, np.array(boxes, np.float32))
    assert (overlaps[:4].max(axis=1) >= 0.5).all() and (overlaps[4:].max(axis=1) < 0.5).all()
    nearest = overlaps.argmax(axis=1)[:4]
    np.testing.assert_array_equal(classes[:4], np.array([5, 10])[nearest])
    np.testing.assert_array_equal(targets[:4], np.array(boxes)[nearest])
    np.testing.assert_array_equal(targets[4:], rois[4:])


def test_ground_truth_boxes_are_among_the_rois():
    # No window of the grid comes near it.
    rois, classes, _ = sample(RoISampling(), [[3, 3, 5, 5]], [2])
    np.testing.assert_array_equal(rois[0], [3, 3, 5, 5])
    np.testing.assert_array_equal(classes[:2], [3, 0])


def test_background_band():
    box = [[10, 10, 30, 40]]
    rois, classes, _ = sample(RoISampling(background_iou=(0.1, 0.5)), box, [0])
    overlaps = pairwise_iou(rois[classes == 0], np.array(box, np.float32))
    assert overlaps.min() >= 0.1 and overlaps.max() < 0.5


def test_an_image_without_objects_and_one_without_background():
    rois, classes, targets = sample(RoISampling(rois_per_image=8), [], [])
    assert not classes.any() and rois.shape == (8, 4)
    np.testing.assert_array_equal(rois, targets)
    whole = np.array([[0, 0, 96, 96]], np.float32)
    rois, classes, _ = sample(RoISampling(rois_per_image=8), whole, [1], proposals=whole)
    assert (classes > 0).sum() == 2 and rois.shape == (8, 4)


def test_difficult_objects_are_neither_targets_nor_background():
    boxes = np.array([[0, 0, 40, 40], [60, 60, 90, 90]], np.float32)
    # In the difficult box wholly, by 3/4 of itself, by half of itself; far from both; on the other object.
    proposals = np.array([[2, 2, 20, 20], [30, 0, 43, 40], [20, 0, 60, 40], [50, 0, 90, 30], [60, 60, 90, 88]],
                         np.float32)
    rois, classes, _ = RoISampling(rois_per_image=16, foreground_fraction=0.5)(
        proposals, boxes, np.array([3, 5]), generator(0, "test"), np.array([True, False]))
    assert set(classes) == {0, 6}
    assert set(map(tuple, rois[classes == 0])) == {(20, 0, 60, 40), (50, 0, 90, 30)}
    assert set(map(tuple, rois[classes == 6])) == {(60, 60, 90, 90), (60, 60, 90, 88)}


def test_batches_are_functions_of_seed_and_step():
    def batches(first, last, seed=0):
        return list(training_batches(SCENES, GRID, RoISampling(), 4, seed, first, last).as_numpy_iterator())

    unbroken, resumed, other = batches(0, 6), batches(3, 6), batches(3, 6, seed=1)
    assert len(unbroken) == 6
    for batch, again in zip(unbroken[3:], resumed):
        for name in ("images", "sizes", "rois", "classes", "targets"):
            np.testing.assert_array_equal(batch[name], again[name])
    assert np.any(other[0]["rois"] != resumed[0]["rois"])


def test_batches_are_made_before_they_are_asked_for():
    tf.config.experimental.enable_op_determinism()  # as an Experiment does; it leaves this to pure functions
    asked_for = threading.Semaphore(0)

    def proposals(image, id):
        asked_for.release()
        return GRID(image)

    batches = iter(training_batches(SCENES, proposals, RoISampling(), 1, 0, 0, 9))
    next(batches)
    for _ in range(4):  # one told the shapes, one was asked for, two are in store
        assert asked_for.acquire(timeout=20)


def test_an_epoch_shows_every_image_once():
    batches = list(training_batches(SCENES, GRID, RoISampling(), 5, 0, 0, 4).as_numpy_iterator())
    for epoch in (batches[:2], batches[2:]):
        seen = {image.tobytes() for batch in epoch for image in batch["images"]}
        assert seen == {scene.image.tobytes() for scene in SCENES}
    assert np.any(batches[0]["images"] != batches[2]["images"])


def test_a_data_set_can_be_iterated_twice():
    dataset = training_batches(SCENES, GRID, RoISampling(), 5, 0, 0, 2)
    assert [len(list(dataset)) for _ in range(2)] == [2, 2]


def test_evaluation_batches_cover_all_images_in_order():
    batches = list(evaluation_batches(SCENES, GRID, 4))
    assert [len(batch.images) for batch in batches] == [4, 4, 2]
    assert [e.id for batch in batches for e in batch.examples] == [scene.id for scene in SCENES]
    assert batches[0].proposals.shape == (4, len(GRID(SCENES[0].image)), 4) and batches[0].is_proposal.all()
    assert (batches[0].sizes == 96).all() and (batches[0].scales == 1).all()


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match="RoISampling.rois_per_image must be a whole number of at least 1, got 0"):
        RoISampling(rois_per_image=0)
    with pytest.raises(GlimpseError, match="RoISampling.foreground_fraction must lie in .* got 2"):
        RoISampling(foreground_fraction=2)


@pytest.mark.parametrize("framing", [None, Framing(short_side=64, longest_side=96)])
def test_rows_of_a_batch_are_those_of_the_whole(framing):
    """As processes that share a batch make it, pixels too."""
    def batch(rows=None):
        return next(iter(training_batches(SCENES, GRID, RoISampling(rois_per_image=8), 4, 0, 3, 5, framing, rows=rows)))

    whole, parts = batch(), [batch(range(0, 1)), batch(range(1, 4))]
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)
