"""Pictures of glimpse sequences: one as a strip, many as a contact sheet.

What is drawn is a `glimpse.evaluation.sequences.GlimpseSequence` and its image, in the colours of
`glimpse.visualization.panels`.
"""

import math
import textwrap

import numpy as np
from matplotlib.figure import Figure

from glimpse.visualization.names import as_written
from glimpse.visualization.panels import (
    ANSWER,
    MEDIUM,
    SMALL,
    axes_at,
    badge,
    contrast,
    draw_box,
    draw_image,
    draw_number,
    draw_truth,
    frame,
    legend_at,
    not_empty,
    step_colours,
    text_at,
)

# Of a strip, in inches: the side of the scene, the side of a glimpse's panels, from one glimpse to the next.
SCENE, PANEL, PITCH = 3.0, 1.45, 1.61
MOST_BARS = 5
CHARACTERS = 14  # of a caption's type to an inch, at most


def plot_strip(image, sequence, pooled, class_names, shown=None, annotated=True):
    """Draws one glimpse sequence: where it looked, what it saw there, and what it answered after each glimpse.

    On the left the scene with all glimpses, and a closer view with the boxes answered after each of them. A column for
    each glimpse: the crop of the picture, the pooled feature map (norm over channels, one scale for all glimpses), and
    the probabilities of the classes that were ever most probable. Below, the IoU of the answered box with the ground
    truth and, if the class is the true one, the reward P * IoU.

    Args:
        image: uint8 [H, W, C].
        sequence: GlimpseSequence.
        pooled: float [T, pooled_height, pooled_width, D].
        class_names: K names, background not among them.
        shown: the number of glimpses to show, 1..T; the others leave their places empty, so that the figures for 1 to
            T are the frames of an animation. None shows all.
        annotated: whether the objects of the image are known; of a photograph of one's own they are not.

    Returns:
        matplotlib.figure.Figure.
    """
    count, class_names = len(sequence.glimpses), [as_written(name) for name in class_names]
    shown = shown or count
    rows, labels = _bars(sequence, class_names)
    bars = 0.16 * len(rows) + 0.08
    first = 0.75 + SCENE + 0.068 * max(map(len, labels))  # left edge of the first column
    has_truth = sequence.truth is not None
    height = max(4.85 + bars + 1.9 * has_truth, 2 * SCENE + 1.65)
    figure = Figure(figsize=(first + count * PITCH + 0.55, height), facecolor="white")
    text_at(figure, 0.2, height - 0.18, _title(sequence, class_names, annotated), fontsize=MEDIUM + 1, va="top")

    top = height - 0.85
    _draw_scene(figure, top, image, sequence, shown)
    answer = "final box" if shown == count else f"box after glimpse {shown}"
    legend_at(figure, 0.2, top - 2 * SCENE - 0.6, answer, has_truth)
    norms = np.linalg.norm(pooled, axis=-1)
    for step in range(shown):
        left = first + step * PITCH
        heat = _draw_glimpse(figure, left, top, image, sequence, step, norms)
        panel = axes_at(figure, left, top - 2 * PANEL - 0.67 - bars, PANEL, bars)
        _draw_probabilities(panel, sequence.probabilities[step, rows], step, count)
        if step == 0:
            panel.set_yticks(range(len(labels)), labels, fontsize=SMALL)
            panel.get_yticklabels()[rows.index(1 + sequence.label)].set_weight("bold")
            panel.tick_params(axis="y", length=0)
    scale = figure.colorbar(heat, cax=axes_at(figure, first + count * PITCH - 0.04, top - 2 * PANEL - 0.3, 0.1, PANEL))
    scale.ax.tick_params(labelsize=SMALL)
    scale.set_label("norm over channels", fontsize=SMALL)
    if has_truth:
        panel = axes_at(figure, first, top - 2 * PANEL - 2.52 - bars, (count - 1) * PITCH + PANEL, 1.1)
        _draw_overlaps(panel, sequence, shown)
    return figure


def plot_contact_sheet(groups, class_names, caption):
    """Draws many glimpse sequences small, a column a group, each with what the glimpses after the first changed.

    Args:
        groups: {title: list of (image, GlimpseSequence with a ground truth)}.
        class_names: K names.
        caption: how the sequences were chosen, and out of how many; a line that is too long for the sheet is broken.

    Returns:
        matplotlib.figure.Figure.
    """
    count = len(next(iter(groups.values()))[0][1].glimpses)
    class_names = [as_written(name) for name in class_names]
    scene, line, lines = 1.75, 2.47, min(count, 2)  # the crops stand in one or two lines beside their scene
    across, pitch = math.ceil(count / lines), (scene + 0.08) / lines
    cell = scene + 0.1 + across * pitch + 0.3
    width = 0.2 + cell * len(groups)
    caption = [part for text in caption.splitlines() for part in textwrap.wrap(text, int(CHARACTERS * (width - 0.3)))]
    head = 0.56 + 0.18 * len(caption)  # from the upper edge to the first scene
    height = head + 0.4 + max(map(len, groups.values())) * line
    figure = Figure(figsize=(width, height), facecolor="white")
    text_at(figure, 0.15, height - 0.15, "\n".join(caption), fontsize=MEDIUM, va="top", linespacing=1.4)
    for place, (title, sequences) in enumerate(groups.items()):
        left = 0.15 + place * cell
        text_at(figure, left, height - head + 0.12, title, fontsize=MEDIUM + 1, weight="bold", va="bottom")
        for row, (image, sequence) in enumerate(sequences):
            bottom = height - head - row * line - scene
            whole = axes_at(figure, left, bottom, scene, scene)
            draw_image(whole, image)
            for step, colour in enumerate(step_colours(count)):
                draw_box(whole, sequence.glimpses[step], colour)
                down, over = divmod(step, across)
                crop = axes_at(figure, left + scene + 0.1 + over * pitch, bottom + scene + 0.08 - (down + 1) * pitch,
                               pitch - 0.08, pitch - 0.08)
                draw_image(crop, image, sequence.glimpses[step])
                frame(crop, colour)
                crop.text(0.04, 0.95, str(step + 1), transform=crop.transAxes, va="top", **badge(colour))
            draw_box(whole, sequence.boxes[-1], ANSWER)
            draw_truth(whole, sequence.truth)
            text_at(figure, left, bottom - 0.06, _outcome(sequence, class_names), fontsize=SMALL, va="top",
                    linespacing=1.3)
    legend_at(figure, 0.15, 0.15, "final box", True)
    return figure


# Texts.


def _title(sequence, class_names, annotated):
    name, said = class_names[sequence.label], sequence.probabilities[-1, 1 + sequence.label]
    text = f"{as_written(sequence.name)}: {name} {said:.2f}{_most_probable(sequence, class_names)}"
    if sequence.truth is None:
        return f"{text}; no annotated object there" if annotated else text
    truth = "true class" if sequence.true_label == sequence.label else f"in truth {class_names[sequence.true_label]}"
    return f"{text}, {truth}, IoU {sequence.overlaps[-1]:.2f}"


def _outcome(sequence, class_names):
    """Three lines: whose sequence, of which class, and what the glimpses after the first changed."""
    said, overlaps = sequence.probabilities[:, 1 + sequence.label], sequence.overlaps
    change = f"P {said[0]:.2f}, IoU {overlaps[0]:.2f}"
    if len(said) > 1:
        change = (f"P {said[0]:.2f} → {said[-1]:.2f}, IoU {overlaps[0]:.2f} → {overlaps[-1]:.2f}, "
                  f"gain {sequence.gain:+.2f}")
    name = class_names[sequence.label] + _most_probable(sequence, class_names)
    return "\n".join([as_written(sequence.name), name, change.replace("-", "\N{MINUS SIGN}")])


def _most_probable(sequence, class_names):
    """What the network held most probable in the end, where that is another class or background."""
    most = sequence.probabilities[-1].argmax()
    if most == 1 + sequence.label:
        return ""
    return f" (most probable: {['background', *class_names][most]} {sequence.probabilities[-1, most]:.2f})"


def _bars(sequence, class_names):
    """The bars of a strip: places in its probabilities, and labels.

    The class itself, the true one and background, then what was ever most probable; in the order of the last step.
    """
    true = [] if sequence.true_label is None else [1 + sequence.true_label]
    order = np.argsort(-sequence.probabilities.max(axis=0), kind="stable").tolist()
    rows = list(dict.fromkeys([1 + sequence.label, *true, 0, *order]))[:MOST_BARS]
    rows.sort(key=lambda row: -sequence.probabilities[-1, row])
    return rows, [["background", *class_names][row] + " (true)" * (row in true) for row in rows]


# Parts of a strip.


def _draw_scene(figure, top, image, sequence, shown):
    """The scene with the glimpses, and below it a square around all boxes, with the answers."""
    count = len(sequence.glimpses)
    whole = axes_at(figure, 0.2, top - SCENE, SCENE, SCENE, "where it looked")
    close = axes_at(figure, 0.2, top - 2 * SCENE - 0.35, SCENE, SCENE, "boxes answered after each glimpse, closer")
    for axes, boxes in ((whole, sequence.glimpses), (close, sequence.boxes)):
        draw_image(axes, image)
        for step, colour in enumerate(step_colours(count)[:shown]):
            if axes is whole or step < shown - 1:
                draw_box(axes, boxes[step], colour)
            draw_number(axes, boxes[step], step, count)
        draw_box(axes, sequence.boxes[shown - 1], ANSWER, linewidth=2)
        draw_truth(axes, sequence.truth)
    truth = [] if sequence.truth is None else [sequence.truth]
    corners = np.stack([*sequence.boxes, sequence.glimpses[0], *truth])
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    (x, y), half = (low + high) / 2, 0.6 * (high - low).max() + 0.5
    close.set(xlim=(x - half, x + half), ylim=(y + half, y - half), facecolor="0.85")


def _draw_glimpse(figure, left, top, image, sequence, step, norms):
    """The crop of a glimpse, and its pooled map laid over the same place; returns the latter for a scale of colours."""
    glimpse, colour = sequence.glimpses[step], step_colours(len(sequence.glimpses))[step]
    crop = axes_at(figure, left, top - PANEL, PANEL, PANEL)
    draw_image(crop, image, glimpse)
    heat = axes_at(figure, left, top - 2 * PANEL - 0.3, PANEL, PANEL)
    x1, y1, x2, y2 = not_empty(glimpse)
    mapped = heat.imshow(norms[step], cmap="cividis", vmin=0, vmax=norms.max() or 1, extent=(x1, x2, y2, y1),
                         interpolation="nearest")
    heat.set_title(f"{glimpse[2] - glimpse[0]:.0f} × {glimpse[3] - glimpse[1]:.0f} pixels", fontsize=SMALL, pad=3)
    for axes in (crop, heat):
        frame(axes, colour)
    style = {"fontsize": SMALL + 1, "ha": "center", "va": "center"}
    text_at(figure, left + PANEL / 2, top + 0.15, f"glimpse {step + 1}" + " (proposal)" * (step == 0), **style)
    if step == 0:
        text_at(figure, left - 0.2, top - PANEL / 2, "picture", rotation=90, **style)
        text_at(figure, left - 0.2, top - 1.5 * PANEL - 0.3, "features", rotation=90, **style)
    return mapped


def _draw_probabilities(axes, probabilities, step, count):
    colour = step_colours(count)[step]
    axes.barh(range(len(probabilities)), probabilities, height=0.7, color=colour, edgecolor="black", linewidth=0.5)
    for place, probability in enumerate(probabilities):
        inside = probability > 0.7  # of the bar, for there is no room beyond its end
        axes.text(probability + (-0.03 if inside else 0.03), place, f"{probability:.2f}", va="center_baseline",
                  ha="right" if inside else "left", fontsize=SMALL - 0.5, color=contrast(colour) if inside else "black")
    axes.set(xlim=(0, 1), ylim=(len(probabilities) - 0.5, -0.5))
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=SMALL - 1)
    axes.set_xlabel("probability", fontsize=SMALL, labelpad=1)
    axes.set_title(f"answer after glimpse {step + 1}", fontsize=SMALL + 1, pad=3)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_overlaps(axes, sequence, shown):
    """IoU, and the reward of the true class, over the glimpses; each point stands below the column of its glimpse."""
    count, steps, overlaps = len(sequence.glimpses), range(1, shown + 1), sequence.overlaps[:shown]
    axes.plot(steps, overlaps, color="black", linewidth=1.2, label="IoU", zorder=2)
    axes.scatter(steps, overlaps, c=step_colours(count)[:shown], edgecolors="black", s=40, linewidths=0.8, zorder=3)
    if sequence.label == sequence.true_label:
        axes.plot(steps, sequence.rewards[:shown], color="0.45", linewidth=1.2, linestyle=(0, (4, 2)), marker="s",
                  markersize=4, label="P × IoU", zorder=1)
    for step, overlap in zip(steps, overlaps):
        axes.annotate(f"{overlap:.2f}", (step, overlap), (0, 6), textcoords="offset points", ha="center",
                      fontsize=SMALL)
    axes.set(xlim=(1 - PANEL / PITCH / 2, count + PANEL / PITCH / 2), ylim=(0, 1.18))
    axes.set_ylabel("IoU with the\nground truth", fontsize=SMALL + 1)
    axes.set_xlabel("glimpses taken", fontsize=SMALL + 1)
    axes.set_xticks(range(1, count + 1))
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.legend(fontsize=SMALL, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.02, 1.0), borderaxespad=0,
                handlelength=1.8, columnspacing=1)
