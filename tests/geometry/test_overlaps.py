import numpy as np

from glimpse.geometry.overlaps import covered, pairwise_iou


def test_pairwise_iou_by_hand():
    boxes = [[0, 0, 4, 2], [10, 10, 12, 12], [1, 1, 1, 1]]
    others = [[2, 0, 6, 2], [0, 0, 4, 2], [4, 0, 8, 2]]
    # Two boxes of 8 square pixels share 4 of 12; boxes that only touch share nothing; nor do empty ones.
    np.testing.assert_allclose(pairwise_iou(boxes, others), [[1 / 3, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert pairwise_iou(boxes, np.zeros((0, 4))).shape == (3, 0)


def test_covered_by_hand():
    boxes = [[0, 0, 4, 4], [2, 2, 6, 6], [8, 8, 9, 9], [1, 1, 1, 3]]
    np.testing.assert_allclose(covered(boxes, [[0, 0, 4, 2], [0, 0, 5, 5]]), [1, 9 / 16, 0, 0])
    assert covered(boxes, np.zeros([0, 4])).tolist() == [0, 0, 0, 0]
