"""The table of window maxima."""
import numpy as np
import pytest
import tensorflow as tf

from glimpse.ops.bin_maximum import bin_maximum, window_sides


@pytest.mark.parametrize("length", [1, 2, 5, 16, 38, 50, 200])
@pytest.mark.parametrize("bins", [1, 2, 5, 7])
def test_two_windows_serve_every_bin_within_the_map(length, bins):
    sides = window_sides(length, bins)
    for size in range(1, length + 2):
        for i in range(bins):
            bin_length = min(-(-(i + 1) * size // bins), length) - min(i * size // bins, length)
            assert bin_length < 1 or any(side <= bin_length <= 2 * side for side in sides), (size, i)


def test_no_side_exceeds_the_map():
    assert all(max(window_sides(length, bins)) <= length for length in range(1, 60) for bins in range(1, 9))


@pytest.mark.parametrize("row_sides, column_sides", [((1,), (1,)), ((1, 3), (1,)), ((1, 3, 7), (1, 3))])
@pytest.mark.parametrize("dtype", [tf.float32, tf.int64])
def test_every_bin_of_two_maps(row_sides, column_sides, dtype):
    height, width = 8, 5
    maps = np.random.default_rng(0).integers(-99, 99, (2, height, width, 3))
    rows = np.int32([(b, e) for b in range(height + 1) for e in range(b, height + 1)])   # empty ones too
    columns = np.int32([(b, e) for b in range(width + 1) for e in range(b, width + 1)])
    lines = rows[None] + height * np.arange(2, dtype="int32")[:, None, None]
    found = bin_maximum(
        tf.cast(maps.reshape(-1, 3), dtype), -100, width,
        rows=(lines[:, None, :, 0], lines[:, None, :, 1]),
        columns=(columns[None, None, :, 0], columns[None, None, :, 1]),
        row_sides=row_sides, column_sides=column_sides).numpy()
    for b, i, j in np.ndindex(2, len(rows), len(columns)):
        cells = maps[b, rows[i, 0]:rows[i, 1], columns[j, 0]:columns[j, 1]].reshape(-1, 3)
        np.testing.assert_array_equal(found[b, 0, i, j], cells.max(axis=0, initial=-100))
