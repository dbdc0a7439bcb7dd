import numpy as np
import pytest

from glimpse.data.digits import DigitScenes
from glimpse.data.example import Example
from glimpse.data.proposals import WindowGrid, measured_recall, recall
from glimpse.errors import GlimpseError


def test_a_small_grid_by_hand():
    # One square window of side 4 on 8 x 10 pixels, 4 pixels apart at most: rows 0 and 4; columns 0, 3 and 6.
    windows = WindowGrid(sizes=[4], aspect_ratios=[1], stride=1)(np.zeros((8, 10, 1)))
    np.testing.assert_allclose(windows, [[x, y, x + 4, y + 4] for y in (0, 4) for x in (0, 3, 6)])


def test_windows_have_their_area_and_aspect_ratio_and_stay_inside():
    windows = WindowGrid(sizes=[20], aspect_ratios=[0.5])(np.zeros((96, 96, 1)))
    width, height = windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1]
    np.testing.assert_allclose(width / height, 0.5, rtol=1e-5)
    np.testing.assert_allclose(width * height, 400, rtol=1e-5)
    assert windows.min() >= 0 and windows.max() <= 96


def test_a_window_larger_than_the_image_is_the_image():
    np.testing.assert_array_equal(WindowGrid(sizes=[50], aspect_ratios=[1])(np.zeros((8, 10, 1))), [[0, 0, 10, 8]])


def test_windows_are_made_once_for_a_size_and_grid():
    grid, image = WindowGrid(sizes=[4], aspect_ratios=[1]), np.zeros((8, 10, 1))
    assert grid(image) is grid(np.ones((8, 10, 3)))
    assert len({id(grid(image)) for grid in (grid, WindowGrid(sizes=[5], aspect_ratios=[1]))}) == 2
    assert grid(np.zeros((10, 8, 1))).shape != grid(np.zeros((20, 8, 1))).shape
    with pytest.raises(ValueError, match="read-only"):  # they are those of all images
        grid(image)[0] = 0


def test_windows_that_grow_with_the_image():
    windows = WindowGrid(sizes=[4], aspect_ratios=[1], stride=1, longest_side=10)
    small = windows(np.zeros((8, 10, 1)))
    np.testing.assert_allclose(small, WindowGrid([4], [1], 1)(np.zeros((8, 10, 1))))
    np.testing.assert_allclose(windows(np.zeros((24, 30, 1))), 3 * small)


def test_recall_is_told_for_the_numbers_that_there_are():
    boxes = np.float32([[0, 0, 1, 1]] * 40 + [[0, 0, 4, 4]])
    example = Example("x", np.zeros((8, 8, 1), np.uint8), np.float32([[0, 0, 4, 4]]), np.zeros(1), np.zeros(1, bool))
    found = measured_recall(lambda image, id: boxes, [example])
    assert found["counts"] == [10, 30, None] and found["numbers"] == [10, 30, 41] and found["most"] == 41
    np.testing.assert_array_equal(found["recall"], [[0, 0], [0, 0], [1, 1]])


def test_recall_by_hand():
    example = Example("x", np.zeros((8, 8, 1), np.uint8),
                      np.array([[0, 0, 4, 4], [4, 4, 8, 8], [1, 1, 2, 2]], np.float32),
                      np.zeros(3, np.int32), np.array([False, False, True]))
    proposals = lambda image, id: np.array([[0, 0, 4, 4], [4, 4, 8, 6]], np.float32)  # noqa: E731
    # The second overlaps by exactly 0.5; the first alone finds one of the two that count.
    np.testing.assert_array_equal(recall(proposals, [example], (0.5, 0.6), (1, 2, None)),
                                  [[0.5, 0.5], [1, 0.5], [1, 0.5]])
    np.testing.assert_array_equal(recall(proposals, [example, example], (0.6,)), [[0.5]])
    np.testing.assert_array_equal(recall(proposals, [], (0.5,)), [[0]])


def test_the_default_grid_finds_the_digits():
    scenes = DigitScenes("test", {"test": 50})
    assert recall(WindowGrid(), scenes, (0.5,))[0, 0] > 0.97


def test_faults_name_the_parameter_and_the_value():
    with pytest.raises(GlimpseError, match=r"WindowGrid.sizes must be a list of numbers above 0, got \[0\]"):
        WindowGrid(sizes=[0])
    with pytest.raises(GlimpseError, match="WindowGrid.stride must lie in .* got 0"):
        WindowGrid(stride=0)
