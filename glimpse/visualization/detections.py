"""What was detected in a picture, drawn on it, in the colours of `glimpse.visualization.panels`."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from glimpse.visualization.names import as_written
from glimpse.visualization.panels import ANSWER, SMALL, badge, contrast, draw_box, draw_image, step_colours

LEAST_SIDE = 480  # pixels of the longest side, below which text could not be read
INCHES = 4.5  # side of the square as large as the picture: what makes type and lines grow with it


def plot_detections(image, boxes, names, scores, glimpses=None):
    """Draws detections on a picture at its own resolution, the most confident on top.

    Each label stands above its box, or below, inside or at its other end where the edge of the picture, a number or the
    label of a more confident detection is in the way.

    Args:
        image: uint8 [H, W, 3].
        boxes: [D, 4], xyxy in pixels of the image, in order of confidence.
        names, scores: D names of classes, D numbers.
        glimpses: [D, T, 4], drawn beneath the boxes, with the numbers 1..T on their lower sides. Of several detections
            they are "1.1", "1.2", ..., "2.1", ..., and the labels begin with the number of the detection.

    Returns:
        matplotlib.figure.Figure that saves, at its own dpi, as W x H pixels; both a whole number of times larger if the
        picture is small.
    """
    height, width = np.array(image.shape[:2]) * max(1, -(-LEAST_SIDE // max(image.shape[:2])))
    dpi = np.sqrt(height * width) / INCHES
    # The canvas cuts off fractions of a pixel: the next larger numbers, lest a rounding error costs a whole one.
    figure = Figure(figsize=np.nextafter([width / dpi, height / dpi], np.inf), dpi=dpi)
    FigureCanvasAgg(figure)  # texts are measured on it
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw_image(axes, image)
    taken = []
    several = glimpses is not None and len(boxes) > 1
    for place, sequence in reversed(list(enumerate([] if glimpses is None else glimpses, start=1))):
        for glimpse, colour in zip(sequence, step_colours(len(sequence))):
            draw_box(axes, glimpse, colour, linewidth=1)
        taken += [_draw_number(axes, glimpse, step, len(sequence), f"{place}." * several)
                  for step, glimpse in enumerate(sequence)]
    for box in boxes[::-1]:
        draw_box(axes, box, ANSWER)
    for place, (box, name, score) in enumerate(zip(boxes, names, scores), start=1):
        taken.append(_draw_label(axes, box, f"{place}: " * several + f"{as_written(name)} {score:.2f}", taken))
    return figure


def _draw_number(axes, glimpse, step, count, before):
    """The number of a step on the lower side of its glimpse, further right for later ones; returns its Bbox."""
    number = axes.text(0, 0, f"{before}{step + 1}", transform=None, **badge(step_colours(count)[step]))
    (x1, y1), (x2, _) = _on_canvas(axes, glimpse)
    x = x1 + (x2 - x1) * (step / (count - 1) if count > 1 else 0)
    return _move(axes, number, lambda width, height: [(x - width / 2, y1 - height / 2)], [])


def _draw_label(axes, box, text, taken):
    """The label of a detection at the first of its places that is free, else where it hides least; returns its Bbox."""
    label = axes.text(0, 0, text, fontsize=SMALL, color=contrast(ANSWER), transform=None, zorder=6,
                      bbox={"boxstyle": "square,pad=0.15", "facecolor": ANSWER, "edgecolor": "none"})
    (x1, y1), (x2, y2) = _on_canvas(axes, box)
    return _move(axes, label, lambda width, height: [
        (left, bottom) for left in (x1, x2 - width) for bottom in (y2, y1 - height, y2 - height, y1)], taken)


def _on_canvas(axes, box):
    """Lower left and upper right corner of a box in pixels of the canvas, where y points upwards."""
    return axes.transData.transform([(box[0], box[3]), (box[2], box[1])])


def _move(axes, text, places, taken):
    """Moves a text to its place that hides least of those taken, the first of equals, in the picture; returns its Bbox.

    places: (width, height) -> list of (left, bottom), all in pixels of the canvas, the frame of the text included.
    """
    renderer = axes.figure.canvas.get_renderer()
    text.update_bbox_position_size(renderer)
    frame = text.get_bbox_patch().get_window_extent(renderer)
    limits = np.maximum([axes.bbox.width - frame.width, axes.bbox.height - frame.height], 0)
    inside = [Bbox.from_bounds(*np.clip(place, 0, limits), frame.width, frame.height)
              for place in places(frame.width, frame.height)]
    place = min(inside, key=lambda each: sum(_shared_area(each, other) for other in taken))
    text.set_position((place.x0 - frame.x0, place.y0 - frame.y0))
    return place


def _shared_area(place, other):
    shared = Bbox.intersection(place, other)
    return 0 if shared is None else shared.width * shared.height
