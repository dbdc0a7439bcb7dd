"""Bins read cell by cell, in groups of boxes of like size."""
import numpy as np
import pytest
import tensorflow as tf

from glimpse.ops.bin_groups import GROUP, cells_a_bin, groups_argmax, groups_maximum


@pytest.mark.parametrize("boxes", [1, GROUP - 1, GROUP, 2 * GROUP + 3])
@pytest.mark.parametrize("compiled", [False, True], ids=["op by op", "compiled"])
def test_bins_of_many_sizes_on_two_maps(boxes, compiled):
    height, width = 11, 13
    random = np.random.default_rng(boxes)
    maps = random.integers(-3, 3, (2, height, width, 3)).astype("float32")   # many ties

    def edges(length, bins):
        # Ends at and before the start are bins without cells.
        start = random.integers(0, length + 1, (2, boxes, bins), dtype="int32")
        return start, np.minimum(start + random.integers(-1, length + 1, start.shape, dtype="int32"), length)

    rows, columns = edges(height, 2), edges(width, 3)
    lines = tuple(edge + height * np.arange(2, dtype="int32")[:, None, None] for edge in rows)
    maximum, argmax = ((tf.function(way, jit_compile=True) if compiled else way)
                       for way in (groups_maximum, groups_argmax))
    found = maximum(tf.constant(maps), lines, columns).numpy()
    element = argmax(tf.constant(maps), found, lines, columns).numpy()
    for b, n, i, j, c in np.ndindex(*found.shape):
        (top, bottom), (left, right) = ([edge[b, n, k] for edge in axis] for axis, k in ((rows, i), (columns, j)))
        cells = maps[b, top:max(bottom, 0), left:max(right, 0), c]
        if cells.size == 0:
            assert found[b, n, i, j, c] == 0 and element[b, n, i, j, c] == maps.size
            continue
        y, x = np.unravel_index(np.argmax(cells), cells.shape)   # the first of them
        assert found[b, n, i, j, c] == cells.max()
        assert element[b, n, i, j, c] == np.ravel_multi_index((b, top + y, left + x, c), maps.shape)


def test_infinite_and_undefined_values():
    row = np.float32([-np.inf, -np.inf, np.nan, np.inf]).reshape(1, 1, 4, 1)
    bins = (np.int32([[[0], [0]]]), np.int32([[[1], [1]]])), (np.int32([[[0], [3]]]), np.int32([[[2], [4]]]))
    found = groups_maximum(tf.constant(row), *bins)
    np.testing.assert_array_equal(np.ravel(found), [-np.inf, np.inf])
    np.testing.assert_array_equal(np.ravel(groups_argmax(tf.constant(row), found, *bins)), [0, 3])
    # What equals nothing has no first element: as a bin without cells, whose gradient goes nowhere.
    undefined = tf.fill([1, 2, 1, 1, 1], np.float32(np.nan))
    np.testing.assert_array_equal(np.ravel(groups_argmax(tf.constant(row), undefined, *bins)), [4, 4])


def test_cells_a_bin_are_those_of_the_largest_bin_of_each_box():
    rows = np.int32([[[0, 2], [5, 6]]]), np.int32([[[2, 5], [6, 7]]])        # 2 and 3 lines; 1 and 1
    columns = np.int32([[[0], [3]]]), np.int32([[[4], [5]]])                 # 4 places; 2
    assert float(cells_a_bin(rows, columns)) == (3 * 4 + 1 * 2) / 2
