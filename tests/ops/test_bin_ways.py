"""Which way the maxima over bins are found."""
import numpy as np
import pytest
import tensorflow as tf

from glimpse.ops import bin_ways, roi_pool
from glimpse.ops.bin_ways import reads_of_groups, reads_that_win


@pytest.mark.parametrize("shape, bins, expected", [
    # Windows of 1 and 3 cells a side: 4 tables of 64 cells for 4 bins, of 1024 for 64 x 49.
    ([None, 8, 8, 2], (1, 2, 2), (4 + 16 * 4 * 16, 8 + 48 * 4 * 16)),
    ([8, 32, 32, 64], (64, 7, 7), (4 + 16 * 4 * 1024 / 3136, 8 + 48 * 4 * 1024 / 3136))])
def test_reads_that_win(shape, bins, expected):
    assert reads_that_win(shape, *bins) == pytest.approx(expected)


@pytest.mark.parametrize("rois, sides, expected", [
    (12, [9], "cells"), (12, [24], "cells"),   # bins of 3 and of 8 cells a side, all alike
    (12, [24, 6], "groups"),                   # 64 reads each in one go; 10 + 4 * (64 + 11 * 4) / 12 = 46 in groups
    (12, [24, 9], "cells"),                    # 10 + 4 * (64 + 11 * 9) / 12 = 64.3
    (12, [30, 6], "groups"), (12, [45], "groups"),
    (1500, [24], "table")])                    # a bin may take 4 + 16 * 16 * 2304 / 13500 = 48 reads
def test_the_way_that_is_taken(monkeypatch, rois, sides, expected):
    ways = {1.0: "table", 2.0: "groups", 3.0: "cells"}
    for value, name in ways.items():
        monkeypatch.setattr(bin_ways, f"_{name}_maximum", lambda features, rows, columns, value=value, **reach: tf.fill(
            [1, rois, 3, 3, 2], value))
    ends = np.float32([sides[0] - 1] + [sides[-1] - 1] * (rois - 1))
    boxes = np.stack([0 * ends, 0 * ends, ends, ends], axis=-1)[None]

    def way():
        pool = tf.function(lambda features, boxes: roi_pool(features, boxes, 3))
        return ways[float(pool(np.zeros((1, 48, 48, 2), "float32"), boxes)[0, 0, 0, 0, 0])]

    assert way() == expected
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    assert way() == expected.replace("groups", "table")


def test_reads_of_groups():
    assert reads_of_groups(1) == 14 and float(reads_of_groups(tf.constant(2.5))) == 20


def test_bins_are_read_cell_by_cell_only_where_that_can_be_cheaper():
    def reads_cells(rois):
        pool = tf.function(lambda *inputs: roi_pool(*inputs, 2))
        graph = pool.get_concrete_function(tf.TensorSpec([1, 8, 8, 2]), tf.TensorSpec([1, rois, 4])).graph
        return any(op.type in ("Case", "StatelessCase", "If", "StatelessIf") for op in graph.get_operations())

    # At most 4 + 16 * 4 * 64 / (4 * rois) reads: up to 204 RoIs that is the 9 of a bin of 3 x 3 cells.
    assert reads_cells(204) and not reads_cells(205)
