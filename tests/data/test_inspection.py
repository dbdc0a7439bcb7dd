"""Counts of a data set, by hand."""

import numpy as np

from glimpse.data.framing import Framing
from glimpse.data.inspection import count, spread
from glimpse.data.voc import VOC
from tests.data.photo_files import write_image, write_voc


def test_counts(tmp_path):
    write_image(tmp_path / "JPEGImages" / "b.jpg", size=(60, 40))
    objects = [("cat", 1, 1, 20, 15), ("dog", 1, 1, 40, 30, 1), ("cow", 1, 1, 2, 2)]
    write_voc(tmp_path, {"a": objects, "b": []}, size=None)
    data = VOC("train", tmp_path, ["cat", "dog"], on_fault="skip")
    counts = count(data, Framing(short_side=60, longest_side=80))
    np.testing.assert_array_equal(counts.image_sizes, [[30, 40], [60, 40]])
    np.testing.assert_array_equal(counts.objects, [2, 0])
    np.testing.assert_array_equal(counts.labels, [0, 1])
    np.testing.assert_array_equal(counts.difficult, [False, True])
    np.testing.assert_allclose(counts.sides, [0.5, 1])
    np.testing.assert_allclose(counts.ratios, [20 / 15, 40 / 30], rtol=1e-6)
    np.testing.assert_allclose(counts.pixels, [2 * np.sqrt(300), 2 * np.sqrt(1200)], rtol=1e-6)
    assert counts.class_names == ("cat", "dog") and len(counts.faults["object"]) == 1 and "image" not in counts.faults


class Numbers:
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index


def test_examples_are_spread_over_the_whole():
    assert spread(Numbers(), 4) == [0, 3, 6, 9]
    assert spread(Numbers(), 99) == list(range(10)) and spread(Numbers(), 1) == [0]
