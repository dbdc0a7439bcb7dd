from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from glimpse.data.selective_search import SelectiveSearch, selective_search
from glimpse.errors import GlimpseError
from glimpse.geometry.overlaps import pairwise_iou

pytest.importorskip("cv2")

OBJECTS = [[8, 10, 30, 34], [40, 12, 70, 50]]


def scene():
    """Two plain rectangles on a plain ground, with a little noise."""
    image = np.full([60, 80, 3], 60.0)
    for (x1, y1, x2, y2), colour in zip(OBJECTS, ([200, 40, 40], [30, 180, 60])):
        image[y1:y2, x1:x2] = colour
    return np.clip(image + np.random.default_rng(0).normal(0, 3, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_it_finds_what_stands_out_and_stays_in_the_image(mode):
    boxes = selective_search(scene(), mode)
    assert (pairwise_iou(boxes, OBJECTS).max(axis=0) > 0.85).all()
    assert (boxes >= 0).all() and (boxes <= [80, 60, 80, 60]).all() and (boxes[:, :2] < boxes[:, 2:]).all()


def test_the_same_image_gives_the_same_boxes_in_the_same_order():
    first = selective_search(scene(), "fast")
    selective_search(np.zeros([30, 30, 3], np.uint8), "fast")
    np.testing.assert_array_equal(selective_search(scene(), "fast"), first)


def test_threads_do_not_change_the_order():
    # Plain noise has hundreds of regions, so that orders can differ.
    images = np.random.default_rng(0).integers(0, 256, [8, 50, 60, 3], np.uint8)
    alone = [selective_search(image, "fast") for image in images]
    with ThreadPoolExecutor(4) as threads:
        for boxes, expected in zip(threads.map(lambda image: selective_search(image, "fast"), images), alone):
            np.testing.assert_array_equal(boxes, expected)


def test_what_was_computed_is_kept_by_content_and_mode(tmp_path, monkeypatch):
    proposals, image = SelectiveSearch(tmp_path), scene()
    boxes = proposals(image)
    np.testing.assert_array_equal(boxes, selective_search(image, "fast"))
    assert boxes.dtype == np.float32 and len(list(tmp_path.rglob("*.npz"))) == 1
    other = image.copy()
    other[0, 0, 0] ^= 1
    assert len({proposals.path(image), proposals.path(other), SelectiveSearch(tmp_path, "quality").path(image),
                proposals.path(image.reshape(80, 60, 3))}) == 4

    monkeypatch.setattr("glimpse.data.selective_search.selective_search", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(SelectiveSearch(tmp_path)(image.copy(), "another id"), boxes)
    np.testing.assert_array_equal(SelectiveSearch(tmp_path, most=3)(image), boxes[:3])
    np.savez(proposals.path(image), array=np.zeros([3, 5], np.uint16))
    with pytest.raises(GlimpseError, match=r"\.npz is broken \(of shape \(3, 5\)\); remove it"):
        proposals(image)
    proposals.path(image).write_bytes(b"half a fi")
    with pytest.raises(GlimpseError, match=r"\.npz is broken .*; remove it"):
        proposals(image)


def test_faults_name_the_parameter_and_the_value(tmp_path):
    with pytest.raises(GlimpseError, match="SelectiveSearch.mode must be one of 'fast', 'quality', got 'best'"):
        SelectiveSearch(tmp_path, "best")
    with pytest.raises(GlimpseError, match="SelectiveSearch.cache must be a path, a text in quotes, got 5"):
        SelectiveSearch(5)
    with pytest.raises(GlimpseError, match="SelectiveSearch.most must be a whole number of at least 1, got 0"):
        SelectiveSearch(tmp_path, most=0)


def test_a_large_image_is_searched_in_a_smaller_size(tmp_path):
    large = np.repeat(np.repeat(scene(), 3, axis=0), 3, axis=1)
    shrunk = SelectiveSearch(tmp_path, longest_side=80)
    boxes = shrunk(large)
    assert (pairwise_iou(boxes, 3 * np.float32(OBJECTS)).max(axis=0) > 0.85).all() and boxes.max() <= 240
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    np.testing.assert_array_equal(shrunk(scene()), SelectiveSearch(tmp_path)(scene()))  # a small one is left as it is
