import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from glimpse.evaluation.sequences import GlimpseSequence
from glimpse.geometry.overlaps import pairwise_iou
from glimpse.visualization.panels import ANSWER, draw_image, step_colours
from glimpse.visualization.strips import plot_contact_sheet, plot_strip

NAMES = ["aeroplane", "dining table", "cat", "dog", "potted plant", "sofa"]
TRUTH = np.float32([10, 12, 30, 44])


def sequence(count=3, label=1, true_label=1, **changes):
    random = np.random.default_rng(count)
    glimpses = TRUTH + np.float32([-2, -2, 2, 2]) * np.arange(count, dtype=np.float32)[:, None]
    boxes = TRUTH + random.uniform(-4, 4, [count, 4]).astype(np.float32)
    made = GlimpseSequence(3, "picture-0003, object 1 of 2", glimpses, random.dirichlet(np.ones(7), count), label,
                           boxes,
                           TRUTH, true_label, pairwise_iou(boxes, TRUTH[None])[:, 0])
    return made._replace(**changes)


WITHOUT_TRUTH = {"truth": None, "true_label": None, "overlaps": None}


def image(channels=1):
    return np.random.default_rng(0).integers(0, 255, [60, 50, channels], np.uint8)


def pooled(count):
    return np.random.default_rng(1).uniform(0, 1, [count, 3, 5, 8])


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title() == title)


def rectangles(axes, colour=None):
    return [(*patch.get_xy(), patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height())
            for patch in axes.patches if colour is None or same_color(patch.get_edgecolor(), colour)]


@pytest.mark.parametrize("count", [1, 3, 6])
@pytest.mark.parametrize("changes", [{}, {"true_label": 4}, WITHOUT_TRUTH], ids=["right", "wrong", "no truth"])
def test_a_strip_is_readable(assert_readable, count, changes):
    assert_readable(plot_strip(image(), sequence(count, **changes), pooled(count), NAMES))


def test_a_strip_shows_the_arrays():
    seen = sequence()
    figure = plot_strip(image(), seen, pooled(3), NAMES)
    scene = panel(figure, "where it looked")
    np.testing.assert_allclose(rectangles(scene), [*seen.glimpses, seen.boxes[-1], TRUTH], rtol=1e-6)
    np.testing.assert_allclose(rectangles(scene, ANSWER), seen.boxes[-1:], rtol=1e-6)
    assert [text.get_text() for text in scene.texts] == ["1", "2", "3"]
    closer = panel(figure, "boxes answered after each glimpse, closer")
    np.testing.assert_allclose(rectangles(closer), [*seen.boxes, TRUTH], rtol=1e-6)
    x, y = closer.get_xlim(), closer.get_ylim()[::-1]
    for x1, y1, x2, y2 in rectangles(closer):
        assert x[0] < x1 and x2 < x[1] and y[0] < y1 and y2 < y[1]

    for step in range(3):
        bars = panel(figure, f"answer after glimpse {step + 1}")
        assert len(bars.patches) == 5
        assert all(same_color(bar.get_facecolor(), step_colours(3)[step]) for bar in bars.patches)
        shown = {round(bar.get_width(), 6) for bar in bars.patches}
        assert shown <= set(seen.probabilities[step].round(6))
        assert {round(seen.probabilities[step, 0], 6), round(seen.probabilities[step, 2], 6)} <= shown
    labels = panel(figure, "answer after glimpse 1").get_yticklabels()
    assert [label.get_text() for label in labels if label.get_weight() == "bold"] == ["dining table (true)"]
    curves = figure.axes[-1]
    np.testing.assert_allclose(curves.lines[0].get_ydata(), seen.overlaps)
    np.testing.assert_allclose(curves.lines[1].get_ydata(), seen.probabilities[:, 2] * seen.overlaps)

    norms = np.linalg.norm(pooled(3), axis=-1)
    maps = [shown for axes in figure.axes for shown in axes.images if shown.get_array().shape == (3, 5)]
    np.testing.assert_allclose([shown.get_array() for shown in maps], norms)
    assert {shown.get_clim() for shown in maps} == {(0, norms.max())}
    np.testing.assert_allclose([shown.get_extent() for shown in maps], seen.glimpses[:, [0, 2, 3, 1]])


def test_a_missing_annotation_is_told_where_there_are_annotations():
    told = "; no annotated object there"
    seen = sequence(**WITHOUT_TRUTH)
    assert plot_strip(image(), seen, pooled(3), NAMES).texts[0].get_text().endswith(told)
    assert told not in plot_strip(image(), seen, pooled(3), NAMES, annotated=False).texts[0].get_text()


def test_a_wrong_class_is_named_and_has_no_reward():
    figure = plot_strip(image(), sequence(true_label=4), pooled(3), NAMES)
    assert "in truth potted plant" in figure.texts[0].get_text() and len(figure.axes[-1].lines) == 1
    labels = panel(figure, "answer after glimpse 1").get_yticklabels()
    assert "potted plant (true)" in [label.get_text() for label in labels]


def test_frames_have_one_size_and_fill_up():
    frames = [plot_strip(image(3), sequence(), pooled(3), NAMES, shown) for shown in (1, 2, 3)]
    assert len({tuple(frame.get_size_inches()) for frame in frames}) == 1
    assert [len(panel(frame, "where it looked").texts) for frame in frames] == [1, 2, 3]
    answers = [rectangles(panel(frame, "where it looked"), ANSWER) for frame in frames]
    np.testing.assert_allclose(np.squeeze(answers), sequence().boxes, rtol=1e-6)
    assert [len(frame.axes[-1].lines[0].get_xdata()) for frame in frames] == [1, 2, 3]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_contact_sheet_is_readable_and_tells_what_changed(assert_readable, count):
    groups = {title: [(image(channels), sequence(count))] * 2 for title, channels in (("best gains", 1), ("random", 3))}
    caption = "How they were chosen.\nOut of how many, by which rule; and so on and so forth"
    figure = plot_contact_sheet(groups, NAMES, caption + ", until the line is longer than the sheet is wide" * 3 + ".")
    assert_readable(figure)
    texts = [text.get_text() for text in figure.texts]
    assert {"best gains", "random"} < set(texts)
    outcome = next(text for text in texts if text.startswith("picture-0003"))
    first, second, *_ = outcome.splitlines()
    assert first == "picture-0003, object 1 of 2" and second.startswith("dining table")
    gain = f"{sequence(count).gain:+.2f}".replace("-", "\N{MINUS SIGN}")
    assert outcome.endswith(f"gain {gain}") if count > 1 else "gain" not in outcome
    assert len(figure.axes) == 4 * (1 + count)


@pytest.mark.parametrize("box", [(10.4, 5.2, 20.6, 9), (50, 60, 50, 60), (0, 0, 50, 60), (49.9, 3, 50, 3)])
def test_a_crop_shows_what_the_box_covers(box):
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    draw_image(axes, image(), np.float32(box))
    left, right, bottom, top = axes.images[0].get_extent()
    assert left <= box[0] and right >= box[2] and top <= box[1] and bottom >= box[3]
    np.testing.assert_array_equal(axes.images[0].get_array(), image()[top:bottom, left:right, 0])
    assert axes.get_xlim() == pytest.approx((box[0], max(box[2], box[0] + 1e-3)))
