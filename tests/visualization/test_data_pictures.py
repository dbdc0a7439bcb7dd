"""Pictures of a data set: histograms, recall, and HTML of images with their boxes."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from glimpse.data.example import Example
from glimpse.visualization.data_pictures import pictures_html, plot_box_sizes, plot_recall

NAMES = ("<b>cat</b> & $5$", "dog")


def test_histograms_hold_all_boxes_and_recall_is_in_percent():
    sides = {"train": np.array([0.0001, 0.1, 0.1, 1]), "test": np.empty(0)}
    figure = plot_box_sizes(sides, {"train": np.array([0.01, 1, 1, 50]), "test": np.empty(0)})
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        heights = np.diff(axes.patches[0].get_path().vertices[:, 1])
        assert np.abs(heights).sum() == pytest.approx(2 * 100)  # up and down: also what lies beyond the ends
    recall = plot_recall({"train, IoU 0.5": ([10, 100, 1353.5], np.array([0.1, 0.4, 0.9]))})
    FigureCanvasAgg(recall).draw()
    np.testing.assert_allclose(recall.axes[0].lines[0].get_ydata(), [10, 40, 90])


def test_boxes_lie_where_they_are_and_names_are_text():
    boxes = np.float32([[100, 50, 300, 150], [0, 0, 20, 20]])
    example = Example("a<b", np.full((420, 840, 3), 90, np.uint8), boxes, np.array([0, 1]), np.array([False, True]))
    page = pictures_html([example], NAMES)
    assert 'viewBox="0 0 420 210"' in page  # half as large
    assert page.count('x="50.0" y="25.0" width="100.0" height="50.0"') == 2  # a box and its edge
    assert "&lt;b&gt;cat&lt;/b&gt; &amp; $5$" in page and "<b>" not in page and "a&lt;b: 840 × 420, 2 objects" in page
    assert "dog (difficult)</title>" in page and "dog (difficult)</text>" not in page  # no room for it
    image = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])))
    assert image.size == (420, 210) and image.format == "JPEG"


def test_grey_images():
    example = Example(1, np.zeros((20, 30, 1), np.uint8), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))
    assert 'viewBox="0 0 30 20"' in pictures_html([example], NAMES)
