"""Bins read cell by cell."""
import numpy as np
import tensorflow as tf

from glimpse.ops.bin_cells import cells_argmax, cells_maximum


def test_every_bin_of_two_maps_up_to_the_reach():
    height, width = 6, 5
    maps = np.random.default_rng(0).integers(-3, 3, (2, height, width, 3)).astype("float32")   # many ties
    # Ends at and before the start are bins without cells.
    rows = np.int32([(b, e) for b in range(height + 1) for e in range(max(b - 1, 0), min(b + 3, height) + 1)])
    columns = np.int32([(b, e) for b in range(width + 1) for e in range(max(b - 1, 0), min(b + 4, width) + 1)])
    lines = rows[None] + height * np.arange(2, dtype="int32")[:, None, None]
    bins = dict(rows=(lines[:, None, :, 0], lines[:, None, :, 1]),
                columns=(columns[None, None, :, 0], columns[None, None, :, 1]))
    found = cells_maximum(tf.constant(maps), **bins, reach=(3, 4)).numpy()
    element = cells_argmax(tf.constant(maps), found, **bins, reach=(3, 4)).numpy()
    for b, i, j, c in np.ndindex(2, len(rows), len(columns), 3):
        cells = maps[b, rows[i, 0]:rows[i, 1], columns[j, 0]:columns[j, 1], c]
        if cells.size == 0:
            assert found[b, 0, i, j, c] == 0 and element[b, 0, i, j, c] == maps.size
            continue
        y, x = np.unravel_index(np.argmax(cells), cells.shape)   # the first of them
        assert found[b, 0, i, j, c] == cells.max()
        assert element[b, 0, i, j, c] == np.ravel_multi_index((b, rows[i, 0] + y, columns[j, 0] + x, c), maps.shape)
