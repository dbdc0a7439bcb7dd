import io

import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb
from PIL import Image

from glimpse.visualization.detections import plot_detections
from glimpse.visualization.panels import ANSWER, step_colours
from glimpse.visualization.writing import write_picture

NONE = np.zeros([0, 4])


def saved(figure):
    content = io.BytesIO()
    figure.savefig(content, dpi=figure.dpi)
    return np.asarray(Image.open(content).convert("RGB"))


def frames(figure):
    """Of labels and numbers: (text, Bbox in pixels)."""
    figure.canvas.draw()
    return [(text.get_text(), text.get_bbox_patch().get_window_extent()) for text in figure.axes[0].texts]


@pytest.mark.parametrize("height, width, times", [
    (96, 96, 5), (30, 41, 12), (480, 333, 1), (479, 300, 2), (701, 1003, 1), (3, 200, 3)])
def test_it_is_the_picture_to_the_pixel(tmp_path, height, width, times):
    image = np.random.default_rng(0).integers(0, 256, [height, width, 3], np.uint8)
    write_picture(tmp_path / "x.png", plot_detections(image, NONE, [], []))
    expected = image.repeat(times, axis=0).repeat(times, axis=1)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png").convert("RGB")), expected)


def test_no_size_loses_a_pixel_to_rounding():
    for height, width in np.random.default_rng(0).integers(480, 4000, [40, 2]):
        figure = plot_detections(np.zeros([height, width, 3], np.uint8), NONE, [], [])
        assert figure.canvas.get_width_height() == (width, height)


def test_it_shows_boxes_labels_and_glimpses():
    boxes = np.float32([[10, 20, 200, 260], [300, 100, 420, 180]])
    glimpses = boxes[:, None] + np.float32([[-8, -6, 4, 2], [5, 5, 9, 9], [0, 1, 2, 3]])
    figure = plot_detections(np.zeros([300, 500, 3], np.uint8), boxes, ["cat", "dog"], [0.987, 0.5], glimpses)
    shown = {colour: sorted((*patch.get_xy(), patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height())
                            for patch in figure.axes[0].patches if same_color(patch.get_edgecolor(), colour))
             for colour in (ANSWER, *step_colours(3))}
    np.testing.assert_allclose(shown.pop(ANSWER), boxes)
    np.testing.assert_allclose(list(shown.values()), glimpses.swapaxes(0, 1), atol=1e-4)
    texts = [text for text, _ in frames(figure)]
    assert texts[-2:] == ["1: cat 0.99", "2: dog 0.50"]
    assert sorted(texts[:-2]) == ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3"]
    alone = plot_detections(np.zeros([300, 500, 3], np.uint8), boxes[:1], ["cat"], [0.987], glimpses[:1])
    assert [text for text, _ in frames(alone)] == ["1", "2", "3", "cat 0.99"]
    orange = (np.abs(saved(figure) - 255 * np.array(to_rgb(ANSWER))) < 40).all(axis=2)  # lines have soft edges
    assert orange[20, 60:190].all() and orange[140, 10] and not orange[140, 60:190].any()


@pytest.mark.parametrize("size", [(96, 96), (480, 640), (1500, 2000)])
def test_labels_stay_in_the_picture_and_off_each_other(size):
    """Boxes in the corners, as large as the picture, and two of nearly the same place."""
    height, width = size
    relative = np.array([[0, 0, 0.2, 0.2], [0.8, 0, 1, 0.2], [0, 0.8, 0.2, 1], [0.85, 0.8, 1, 1], [0, 0, 1, 1],
                         [0.4, 0.4, 0.6, 0.6], [0.41, 0.4, 0.6, 0.61]])
    boxes = relative * [width, height, width, height]
    names = ["seven", "a potted plant", "cat", "dog", "whole", "inner", "other"]
    image, scores = np.zeros([height, width, 3], np.uint8), np.linspace(1, 0.4, 7)
    figure = plot_detections(image, boxes, names, scores, glimpses=boxes[:, None])
    found = frames(figure)
    assert len(found) == 14
    across, up = figure.canvas.get_width_height()
    for place, (text, frame) in enumerate(found):
        assert frame.x0 > -0.5 and frame.y0 > -0.5 and frame.x1 < across + 0.5 and frame.y1 < up + 0.5, text
        if place >= 7:  # labels; the numbers of glimpses may lie on each other
            assert 0.015 * np.sqrt(across * up) < frame.height < 0.05 * np.sqrt(across * up)
            for other, taken in found[7:place]:
                assert not frame.padded(-1).overlaps(taken.padded(-1)), (text, other)
