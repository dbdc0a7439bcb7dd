"""Pictures of a data set: how large its boxes are, how many proposals find its objects, and images with their boxes."""

import base64
import html
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from glimpse.visualization.names import as_written

# Okabe and Ito, "Color Universal Design", 2008, and two more; a class after the tenth has the colour of an earlier one.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#FFFFFF", "#999999", "#882255")
LONGEST_SIDE = 420  # pixels of an image on the page
STYLE = """
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 0.9rem; }
figure { margin: 0; } figcaption { font-size: 0.8rem; }
svg { display: block; width: 100%; height: auto; border-radius: 4px; }
rect { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
rect.edge { stroke: #000; stroke-width: 3.5; }
svg text { font: 600 11px system-ui, sans-serif; paint-order: stroke; stroke: #000; stroke-width: 2px; }
.class { white-space: nowrap; margin-right: 1em; }
.chip { display: inline-block; width: 0.8em; height: 0.8em; border: 1px solid #000; margin-right: 0.3em; }
"""


def plot_box_sizes(sides, ratios):
    """Draws histograms of the boxes' sides, relative to the picture, and of their aspect ratios.

    Args:
        sides: {split: float [G]}, square roots of the share of the picture that a box covers.
        ratios: {split: float [G]}, width / height.

    Returns:
        matplotlib.figure.Figure.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained", facecolor="white")
    panels = figure.subplots(1, 2)
    for axes, values, bins, label in (
            (panels[0], {split: 100 * np.asarray(each) for split, each in sides.items()},
             np.geomspace(0.5, 100, 40), "side of the box, % of the picture's (square roots of the areas)"),
            (panels[1], ratios, np.geomspace(1 / 8, 8, 40), "width / height of the box")):
        for (split, each), colour in zip(values.items(), COLOURS[4:]):
            each = np.clip(each, bins[0], bins[-1])
            axes.hist(each, bins, weights=np.full(len(each), 100 / max(len(each), 1)), histtype="step", linewidth=1.5,
                      color=colour, label=as_written(split))
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("objects of the split (%)")
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"], minor=False)
    panels[1].set_xticks([0.125, 0.25, 0.5, 1, 2, 4, 8], ["1/8", "1/4", "1/2", "1", "2", "4", "8"], minor=False)
    for axes in panels:
        axes.minorticks_off()
    panels[0].legend(frameon=False)
    return figure


def plot_recall(recalls):
    """Draws the share of the objects that proposals find over their number.

    Args:
        recalls: {name of a line: (numbers of proposals, recall in 0..1 for each)}.

    Returns:
        matplotlib.figure.Figure.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for (name, (numbers, found)), marker, colour in zip(recalls.items(), "os^Dv<", COLOURS[4:] + COLOURS[:4]):
        axes.plot(numbers, 100 * np.asarray(found), marker=marker, markersize=5, label=as_written(name), color=colour)
    axes.set_xscale("log")
    axes.set_ylim(0, 102)
    axes.set_xlabel("proposals an image, the first so many")
    axes.set_ylabel("objects that one overlaps (%)")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def pictures_html(examples, class_names):
    """HTML of images with their boxes, each named where it is wide enough; under STYLE.

    Args:
        examples: iterable of Example.
        class_names: K names.
    """
    chips = "".join(f'<span class="class"><span class="chip" style="background:{_colour(label)}"></span>'
                    f'{html.escape(_one_line(name))}</span> ' for label, name in enumerate(class_names))
    return f'<p>{chips}</p>\n<div class="pictures">\n{"".join(_figure(each, class_names) for each in examples)}</div>\n'


def _figure(example, class_names):
    height, width = example.image.shape[:2]
    scale = min(1, LONGEST_SIDE / max(height, width))
    picture = Image.fromarray(example.image[..., 0] if example.image.shape[2] == 1 else example.image)
    picture = picture.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=82)
    shapes = "".join(_box(box * scale, class_names[label], _colour(label), difficult)
                     for box, label, difficult in zip(example.boxes, example.labels, example.difficult))
    size = f"{picture.width} {picture.height}"
    caption = f"{html.escape(_one_line(example.id))}: {width} × {height}, {len(example.labels)} objects"
    source = base64.b64encode(content.getvalue()).decode()
    return (f'<figure><svg viewBox="0 0 {size}" role="img" aria-label="{caption}">'
            f'<image href="data:image/jpeg;base64,{source}" width="{picture.width}" height="{picture.height}"/>'
            f'{shapes}</svg><figcaption>{caption}</figcaption></figure>\n')


def _box(box, name, colour, difficult):
    (x1, y1, x2, y2), name = box.tolist(), html.escape(_one_line(name)) + " (difficult)" * bool(difficult)
    place = f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
    dashes = ' stroke-dasharray="5 3"' * bool(difficult)
    label = f'<text x="{x1 + 3:.1f}" y="{y1 + 12:.1f}" fill="#fff">{name}</text>' if x2 - x1 > 7 * len(name) else ""
    return (f'<g><title>{name}</title><rect class="edge" {place}/>'
            f'<rect {place} stroke="{colour}"{dashes}/>{label}</g>')


def _colour(label):
    return COLOURS[label % len(COLOURS)]


def _one_line(name):
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(name))
