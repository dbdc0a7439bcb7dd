"""Ratios as bars."""

import pytest

from glimpse.studies.pictures.ratios import plot_ratios


def test_bars_begin_at_one_and_are_as_long_as_the_ratio(assert_readable):
    figure = plot_ratios({"training step": {"T=1": 1.0, "T=3": 1.75}, "detection": {"a $5$ run": 0.5, "other": 12.0}},
                         "time over that of one glimpse")
    assert_readable(figure)
    for axes, ends in zip(figure.axes, ([1, 1.75], [0.5, 12])):
        assert [bar.get_x() + bar.get_width() for bar in axes.patches] == pytest.approx(ends)
