"""What pictures of glimpses are composed of: scenes and crops with boxes, numbers and colours on them.

Glimpses, and the answers after them, are numbered and coloured along viridis, whose lightness rises evenly, so that
their order survives a print in grey. The box answered last is vermillion (Okabe and Ito, 2008), the ground truth is
dashed. Lines carry a light or a dark edge, to be seen on any scene. Boxes are xyxy in pixels; sizes and places of axes
are in inches, given by hand, so that pictures of every number of glimpses are laid out alike.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

ANSWER = "#D55E00"
SMALL, MEDIUM = 7.5, 9  # sizes of type, in points


def step_colours(count):
    """Colours of `count` steps, from dark to light."""
    return [colormaps["viridis"](place) for place in (np.linspace(0.12, 0.95, count) if count > 1 else [0.45])]


def axes_at(figure, left, bottom, width, height, title=None):
    """Axes without ticks at a place in inches from the lower left corner of the figure."""
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up), xticks=[], yticks=[])
    if title:
        axes.set_title(title, fontsize=SMALL + 1, pad=9)
    return axes


def text_at(figure, left, bottom, text, **style):
    """Text at a place in inches from the lower left corner of the figure."""
    across, up = figure.get_size_inches()
    figure.text(left / across, bottom / up, text, **style)


def legend_at(figure, left, bottom, answer, has_truth):
    """Names the two boxes that carry no number; `answer` is the name of the vermillion one."""
    across, up = figure.get_size_inches()
    handles = [_line(Line2D([], [], label=answer), ANSWER, 2)]
    handles += [_dashed(Line2D([], [], label="ground truth"))] * has_truth
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(left / across, bottom / up), fontsize=SMALL,
                  ncols=2, frameon=False, borderpad=0, borderaxespad=0, handlelength=2.8)


def draw_image(axes, image, box=None):
    """Shows an image uint8 [H, W, C], or what a box of it covers; pixel (0, 0) reaches from 0 to 1."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (0, 0, width, height) if box is None else not_empty(box)
    left, top = np.clip(np.floor([x1, y1]), 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil([x2, y2]), [left + 1, top + 1], [width, height]).astype(int)
    pixels = image[top:bottom, left:right]
    axes.imshow(pixels if image.shape[2] == 3 else pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255,
                extent=(left, right, bottom, top), interpolation="nearest")
    axes.set(xlim=(x1, x2), ylim=(y2, y1))


def not_empty(box):
    """The box, at least a thousandth of a pixel wide and high: one cut off at the border may have no area to show."""
    x1, y1, x2, y2 = box
    return x1, y1, max(x2, x1 + 1e-3), max(y2, y1 + 1e-3)


def frame(axes, colour):
    """Gives the axes a frame in the colour of their step."""
    axes.spines[:].set(color=colour, linewidth=2.5)


def draw_truth(axes, truth):
    """Draws the ground truth, if there is one."""
    if truth is not None:
        axes.add_patch(_dashed(_rectangle(truth)))


def draw_box(axes, box, colour, linewidth=1.5):
    axes.add_patch(_line(_rectangle(box), colour, linewidth))


def draw_number(axes, box, step, count):
    """The number of a step on the upper side of its box, further right for later steps: boxes may lie on each other."""
    x = box[0] + (box[2] - box[0]) * (step / (count - 1) if count > 1 else 0)
    axes.text(x, box[1], str(step + 1), ha="center", va="center", **badge(step_colours(count)[step]))


def badge(colour):
    """Style of a number in a disc."""
    disc = {"boxstyle": "circle,pad=0.18", "facecolor": colour, "edgecolor": contrast(colour), "linewidth": 0.8}
    return {"fontsize": 6.5, "weight": "bold", "color": contrast(colour), "bbox": disc, "zorder": 5}


def contrast(colour):
    """White on dark colours, black on light ones, by the luma of ITU-R BT.709."""
    return "white" if np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) < 0.5 else "black"


def _rectangle(box):
    x1, y1, x2, y2 = box
    return Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False)


def _line(artist, colour, linewidth):
    """Gives a line or patch its colour, and an edge that is light around dark colours and dark around light ones."""
    edge = Stroke(linewidth=linewidth + 1.2, foreground=contrast(colour))
    artist.set(color=colour, linewidth=linewidth, path_effects=[edge, Normal()])
    return artist


def _dashed(artist):
    """White dashes with a black edge: they stand out on dark and on light, and let a line below them show between."""
    edge = Stroke(linewidth=2.4, foreground="black")
    artist.set(color="white", linewidth=1.2, linestyle=(0, (4, 3)), path_effects=[edge, Normal()])
    return artist
