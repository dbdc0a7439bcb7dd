import hashlib

import numpy as np
import pytest

from glimpse.data import digits
from glimpse.data.digits import DigitScenes
from glimpse.errors import GlimpseError

SIZES = {"train": 30, "validation": 30, "test": 30}


def test_a_scene_is_a_function_of_seed_split_and_index():
    scenes = DigitScenes("train", SIZES)
    forwards = [scenes[index].image for index in range(5)]
    backwards = [DigitScenes("train", {"train": 6})[index].image for index in reversed(range(5))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    for other in (DigitScenes("train", SIZES, seed=1), DigitScenes("test", SIZES)):
        assert np.any(other[0].image != scenes[0].image)


def test_the_scenes_of_the_studies_stay_what_they_were():
    """Results of different commits are compared, so the scenes of `data/digits.gin` must not change by a bit."""
    content = hashlib.sha256()
    for split in digits.FRACTIONS:
        for scene in DigitScenes(split, {split: 3}):
            for part in (scene.image, scene.boxes, scene.labels):
                content.update(part.tobytes())
    assert content.hexdigest()[:16] == "592e5c4c33a3a767"


def pointing(count=60, **options):
    return list(DigitScenes("train", {"train": count}, **dict(
        pointing=True, digit_heights=(14, 20), most_digits=3, fragments=0, noise=0, others=0) | options))


def test_a_dial_has_the_class_of_the_digit_two_diameters_away_where_its_hand_points():
    directions = set()
    for scene in pointing():
        centres, sizes = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2, scene.boxes[:, 2:] - scene.boxes[:, :2]
        np.testing.assert_array_equal(scene.labels[::2], scene.labels[1::2])  # a dial, then its digit
        for dial, digit, (width, height) in zip(centres[::2], centres[1::2], sizes[::2]):
            assert width == height
            away = (digit - dial) / width
            np.testing.assert_allclose(np.hypot(*away), 2, atol=0.08)  # half a pixel of rounding in x and in y
            direction = round(np.degrees(np.arctan2(*away[::-1])) / 45) % 8
            directions.add(direction)
            step = np.array([np.cos(np.pi / 4 * direction), np.sin(np.pi / 4 * direction)])
            (x, y), (behind_x, behind_y) = (np.floor(dial + sign * width / 4 * step).astype(int) for sign in (1, -1))
            assert scene.image[y, x, 0] > 200 and scene.image[behind_y, behind_x, 0] == 0
    assert directions == set(range(8))


def test_nothing_leaves_a_pointing_scene_or_stands_between_a_dial_and_its_digit():
    for scene in pointing(others=8):
        assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= 96).all()
        for place, box in enumerate(scene.boxes):
            assert all(digits._overlap(box, other) <= digits.MOST_OVERLAP for other in scene.boxes[:place])
    pairs, full = pointing(), pointing(others=8)  # the same dials: others are drawn last
    for scene, crowded in zip(pairs, full):
        count = len(scene.labels)
        np.testing.assert_array_equal(crowded.boxes[:count], scene.boxes)
        for dial, digit in zip(scene.boxes[::2], scene.boxes[1::2]):
            middle = (dial + digit)[[0, 2, 1, 3]].reshape(2, 2).mean(axis=1) / 2
            reach = (dial[2] - dial[0]) / 4
            between = (*(middle - reach), *(middle + reach))
            assert all(digits._overlap(between, other) < 0.1 for other in crowded.boxes[count:])


def test_the_hand_of_a_dial_points_along_its_angle():
    down = digits.dial(16, np.pi / 2)
    assert down.shape == (16, 16) and down.dtype == np.uint8
    assert (down[9:, 7:9] > 200).all()  # from the centre to the rim
    assert not down[3:7, 7:9].any() and not down[7:9, 3:6].any()
    assert (down[0, 6:10] > 100).all() and not down[0, :3].any()  # the ring, and the corner that it leaves empty
    np.testing.assert_allclose(digits.dial(16, 0), down.T, atol=40)


def test_splits_share_no_digit():
    pools = [{image.tobytes() for image, _ in digits._digits(split)} for split in digits.FRACTIONS]
    assert sum(map(len, pools)) > 1700
    assert not pools[0] & pools[1] and not pools[0] & pools[2] and not pools[1] & pools[2]
    assert all({label for _, label in digits._digits(split)} == set(range(10)) for split in digits.FRACTIONS)


def test_boxes_are_tight_on_the_ink():
    """Without fragments and noise, every inked pixel lies in a box, and each side of each box touches ink."""
    for scene in (DigitScenes("train", SIZES, fragments=0, noise=0)[index] for index in range(30)):
        inked = scene.image[..., 0] >= 255 * digits.INK * 0.7  # digits are drawn at 0.8 to 1.0 of full ink
        covered = np.zeros_like(inked)
        for x1, y1, x2, y2 in scene.boxes.astype(int):
            covered[y1:y2, x1:x2] = True
            crop = inked[y1:y2, x1:x2]
            assert crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()
        assert not (inked & ~covered).any()


def test_examples_keep_the_contract():
    for index in range(30):
        scene = DigitScenes("validation", SIZES)[index]
        assert scene.image.shape == (96, 96, 1) and scene.image.dtype == np.uint8
        assert scene.boxes.shape == (len(scene.labels), 4) and scene.boxes.dtype == np.float32
        assert 1 <= len(scene.labels) <= 5 and scene.labels.dtype == np.int32
        assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= 96).all()
        assert (scene.boxes[:, :2] < scene.boxes[:, 2:]).all()
        for place, box in enumerate(scene.boxes):
            assert all(digits._overlap(box, other) <= digits.MOST_OVERLAP for other in scene.boxes[:place])


def test_the_end_of_a_data_set_is_an_index_error():
    assert len(list(DigitScenes("train", {"train": 3}))) == 3


@pytest.mark.parametrize("options, message", [
    (dict(split="dev"), "split must be one of 'train', 'validation', 'test', got 'dev'"),
    (dict(sizes={"test": 3}), "DigitScenes.sizes must name a number of scenes for 'train'"),
    (dict(sizes={"train": 0}), r"DigitScenes.sizes\['train'\] must be a whole number of at least 1, got 0"),
    (dict(digit_heights=(40, 20)), r"DigitScenes.digit_heights must be a pair .* got \(40, 20\)"),
    (dict(image_size=32), "larger than the scene of 32 pixels"),
    (dict(noise=-1), "DigitScenes.noise must lie in"),
    (dict(pointing=1.5), "DigitScenes.pointing must be one of False, True, got 1.5"),
    (dict(others=-1), "DigitScenes.others must be a whole number of at least 0, got -1"),
])
def test_faults_name_the_parameter_and_the_value(options, message):
    with pytest.raises(GlimpseError, match=message):
        DigitScenes(**{"split": "train", "sizes": SIZES} | options)
