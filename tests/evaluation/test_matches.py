import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.errors import GlimpseError
from glimpse.evaluation.average_precision import average_precisions, evaluate, resampled_maps
from glimpse.evaluation.matches import match, read_matches, write_matches
from tests.evaluation.test_average_precision import NAMES, data_sets, detected, truth

MAP = "voc10_map@0.50:0.95"


def distinct_scores(detections):
    """Among equal scores of one image the order of its copies would be part of the result."""
    rank = 0.0
    for image in detections:
        image["scores"] = image["scores"] + 1e-3 * (rank + np.arange(len(image["scores"])))
        rank += len(image["scores"])
    return detections


def copies(images, counts):
    """Each image as often as its count says: the obvious way to resample."""
    return [image for image, count in zip(images, counts) for _ in range(count)]


def test_by_hand(tmp_path):
    first = detected([[0, 0, 10, 10], [50, 50, 60, 60]], [0.5, 0.4], [0, 1])
    detections = [first, detected([[0, 0, 10, 7]], [0.9], [1])]
    objects = [truth([[0, 0, 10, 10]], [0]), truth([[0, 0, 10, 10], [0, 0, 5, 5]], [1, 0], [False, True])]
    matches = match(detections, objects, 3)
    write_matches(tmp_path / "m.npz", matches)
    for found in (matches, read_matches(tmp_path / "m.npz")):
        assert found.images.tolist() == [1, 0, 0] and found.labels.tolist() == [1, 0, 1]
        np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.4], atol=1e-3)
        assert found.overlaps.tolist() == [0.7, 1.0, 0.0] and found.objects[:2].tolist() == [1, 0]
        assert found.object_images.tolist() == [0, 1, 1] and found.difficult.tolist() == [False, False, True]
        assert found.positives.tolist() == [1, 1, 0] and (found.num_images, found.num_classes) == (2, 3)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data_sets)
def test_what_is_kept_scores_as_the_detections_do(tmp_path_factory, data_set):
    path = tmp_path_factory.mktemp("matches") / "m.npz"
    write_matches(path, match(*data_set, len(NAMES)))
    assert average_precisions(read_matches(path), NAMES) == evaluate(*data_set, NAMES)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data_sets, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_repeated_images_are_worth_what_they_are_when_repeated(data_set, counts):
    detections, ground_truth = distinct_scores(data_set[0]), data_set[1]
    counts = counts[:len(detections)]
    repeated = copies(detections, counts), copies(ground_truth, counts)
    found = resampled_maps(match(detections, ground_truth, len(NAMES)), [counts])
    np.testing.assert_allclose(found, [evaluate(*repeated, NAMES).get(MAP, np.nan)], atol=1e-6)


def many_images(random, number=500):
    """Scenes of three objects, with a jittered detection of each and 50 beside them, of classes that overlap."""
    detections, objects = [], []
    for _ in range(number):
        corners = random.uniform(0, 90, (3, 2))
        boxes = np.concatenate([corners, corners + random.uniform(10, 30, (3, 2))], axis=1)
        near = boxes[random.integers(3, size=53)] + random.normal(0, 4, (53, 4))
        detections.append(detected(near, random.uniform(0.01, 1, 53), random.integers(10, size=53)))
        objects.append(truth(boxes, random.integers(10, size=3), random.random(3) < 0.1))
    return detections, objects


def test_the_file_of_500_images_is_small_and_resampling_agrees_with_repeating(tmp_path):
    random = np.random.default_rng(0)
    detections, objects = many_images(random)
    names = [str(label) for label in range(10)]
    matches = match(detections, objects, 10)
    write_matches(tmp_path / "m.npz", matches)
    assert (tmp_path / "m.npz").stat().st_size < 300_000
    counts = random.multinomial(500, np.full(500, 1 / 500), size=3)
    for row, found in zip(counts, resampled_maps(read_matches(tmp_path / "m.npz"), counts)):
        repeated = copies(detections, row), copies(objects, row)
        assert found == pytest.approx(evaluate(*repeated, names)[MAP], abs=1e-6)


def test_a_class_that_was_not_drawn_does_not_enter_the_mean():
    detections = [detected([[0, 0, 10, 10]], [0.9], [0]), detected([[50, 50, 60, 60]], [0.9], [1])]
    objects = [truth([[0, 0, 10, 10]], [0]), truth([[0, 0, 10, 10]], [1])]
    found = resampled_maps(match(detections, objects, 2), [[1, 1], [2, 0], [0, 2], [0, 0]])
    np.testing.assert_allclose(found, [0.5, 1, 0, np.nan])


def test_nothing_to_keep(tmp_path):
    for name, data_set in (("no images", ([], [])), ("empty images", ([detected()], [truth()]))):
        write_matches(tmp_path / name, match(*data_set, 3))
        matches = read_matches(tmp_path / name)
        assert matches.num_images == len(data_set[1]) and len(matches.images) == 0
        assert np.isnan(resampled_maps(matches, np.ones([2, len(data_set[1])]))).all()


@pytest.mark.parametrize("content", [b"", b"PK", b"nonsense"])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "matches_test.npz"
    path.write_bytes(content)
    with pytest.raises(GlimpseError, match="matches_test.npz cannot be read") as error:
        read_matches(path)
    assert "\n" not in str(error.value)


def test_a_file_that_was_cut_short_is_named(tmp_path):
    path = tmp_path / "m.npz"
    write_matches(path, match(*many_images(np.random.default_rng(0), 5), 10))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GlimpseError, match="cannot be read"):
        read_matches(path)
