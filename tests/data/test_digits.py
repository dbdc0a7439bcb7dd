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
])
def test_faults_name_the_parameter_and_the_value(options, message):
    with pytest.raises(GlimpseError, match=message):
        DigitScenes(**{"split": "train", "sizes": SIZES} | options)
