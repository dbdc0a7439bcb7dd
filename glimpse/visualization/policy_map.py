"""Picture of a policy: where it looks next, by how the proposal misses its object."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from glimpse.geometry import boxes
from glimpse.visualization.panels import MEDIUM, SMALL, axes_at, text_at

# A shift of 0.15 of the proposal's side, or sides 1.15 times longer or shorter, leaves an IoU of about 3/4.
LARGEST_SHIFT, LARGEST_RATIO = 0.15, 1.15
MISSES = ("well placed", "too small", "too large", "too far left", "too far right", "too high", "too low")

MEAN, OBJECT = "#D55E00", "black"


def misses(proposals, objects):
    """How each proposal misses its object, by the largest of its faults.

    With delta = encode(object, proposal) = (dx, dy, log width ratio, log height ratio), the faults are |dx| and |dy|,
    each as a fraction of LARGEST_SHIFT, and the size |mean of the two log ratios| as a fraction of log(LARGEST_RATIO).
    A proposal of which no fault is above 1 is well placed; else the largest fault, on a tie the first of size, dx, dy,
    says how: "too small" if the object is larger, "too far left" if the object's centre lies to the right, "too high"
    if it lies below, and so on.

    Args:
        proposals: float32 [N, 4], xyxy.
        objects: float32 [N, 4], xyxy, the object that each proposal overlaps.

    Returns:
        int [N], places in MISSES.
    """
    deltas = np.asarray(boxes.encode(objects, proposals))
    size = deltas[:, 2:].mean(axis=1) / math.log(LARGEST_RATIO)
    faults = np.stack([size, *(deltas[:, :2].T / LARGEST_SHIFT)], axis=1)
    largest = np.abs(faults).argmax(axis=1)
    fault = np.take_along_axis(faults, largest[:, None], axis=1)[:, 0]
    return np.where(np.abs(fault) <= 1, 0, 1 + 2 * largest + (fault < 0))


def plot_policy_map(deltas, proposals, objects):
    """Draws the density of the further glimpses in the frame of their proposals, a column for each way of missing.

    For each further glimpse two lines of panels. Centres: in widths and heights of the proposal, which is the unit
    square around 0. Sizes: width and height over those of the proposal, which is at (1, 1), on logarithmic axes.
    Arrows lead from the mean of the glimpse before to the mean of this one.

    Args:
        deltas: float [N, T-1, 4], as `glimpse.geometry.boxes.encode`; T at least 2.
        proposals, objects: float32 [N, 4] xyxy, the object that each proposal overlaps.

    Returns:
        matplotlib.figure.Figure.

    Raises:
        ValueError: for T = 1, where no policy chose anything.
    """
    count, further = deltas.shape[:2]
    if not further:
        raise ValueError("deltas are [N, 0, 4]: with one glimpse there is no policy to draw")
    kinds, wanted = misses(proposals, objects), np.asarray(boxes.encode(objects, proposals))
    path = np.concatenate([np.zeros([count, 1, 4]), deltas], axis=1)  # the first glimpse is the proposal
    limits = _limits(path, wanted)

    side, gap, left, line = 1.3, 0.1, 1.0, 1.9
    height = 1.35 + 2 * further * line
    figure = Figure(figsize=(left + len(MISSES) * (side + gap) + 0.15, height), facecolor="white")
    caption = (f"Where the policy looks, relative to the proposal, by how the proposal misses its object; {count:,} "
               "proposals.\nsd: standard deviation over those of a panel, across and down.")
    text_at(figure, 0.15, height - 0.15, caption, fontsize=MEDIUM, va="top", linespacing=1.4)
    for column, name in enumerate(MISSES):
        chosen = kinds == column
        x = left + column * (side + gap)
        text_at(figure, x + side / 2, height - 0.8, f"{name}\n{chosen.sum():,}", ha="center", va="center",
                fontsize=MEDIUM)
        for row in range(2 * further):
            step, quantity = 1 + row // 2, ("centre", "size")[row % 2]
            y = height - 1.1 - row * line - side
            axes = axes_at(figure, x, y, side, side)
            _draw_panel(axes, path[chosen], wanted[chosen], step, quantity, limits)
            if column:
                axes.tick_params(labelleft=False)
            else:
                unit = ("shift in heights", "height ratio")[row % 2]
                axes.set_ylabel(f"glimpse {step + 1}: {quantity}\n{unit}", fontsize=SMALL)
            axes.set_xlabel(("shift in widths", "width ratio")[row % 2], fontsize=SMALL, labelpad=1)
    _draw_legend(figure)
    return figure


def _limits(path, wanted):
    """Half the width of the panels of centres, and the farthest log ratio of those of sizes."""
    mean_reach = np.abs(path[..., :2].mean(axis=0)).max() + 0.5 * np.exp(path[..., 2:].mean(axis=0).max())
    farthest = np.percentile(np.abs(path), 99.5, axis=(0, 1))
    return {"centre": 1.08 * max(0.8, mean_reach, farthest[:2].max()),
            "size": 1.15 * max(math.log(2), farthest[2:].max(), np.percentile(np.abs(wanted[:, 2:]), 99))}


def _draw_panel(axes, path, wanted, step, quantity, limits):
    """One quantity of one step, of the proposals of one kind: path [n, T, 4], wanted [n, 4], deltas."""
    part, limit = {"centre": slice(0, 2), "size": slice(2, 4)}[quantity], limits[quantity]
    axes.set(xlim=(-limit, limit), ylim=(limit, -limit) if quantity == "centre" else (-limit, limit))
    axes.set_aspect("equal")
    axes.tick_params(labelsize=SMALL - 1, length=2)
    if quantity == "centre":
        ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(-limit, limit)
        ticks, labels = zip(*((tick, f"{tick:g}") for tick in ticks if abs(tick) < limit))
        axes.set(xticks=ticks, xticklabels=labels, yticks=ticks, yticklabels=labels)
        axes.add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor="black", linewidth=1))
    else:
        step_of_ticks = 2 if limit < math.log(5) else 4
        ticks = [ratio for ratio in step_of_ticks ** np.arange(-3.0, 4) if abs(math.log(ratio)) < limit]
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks(np.log(ticks), [f"{ratio:g}" for ratio in ticks])
        axes.plot(0, 0, marker="s", markersize=5, markerfacecolor="none", color="black")
    if not len(path):
        axes.text(0.5, 0.9, "none", transform=axes.transAxes, ha="center", va="center", fontsize=SMALL)
        return

    places = path[:, step, part]
    edges = np.linspace(-limit, limit, 42)
    density, *_ = np.histogram2d(*np.clip(places, -limit, limit).T, bins=(edges, edges))
    axes.pcolormesh(edges, edges, np.ma.masked_equal(density.T, 0) / density.max(), cmap="Blues", vmin=-0.25, vmax=1,
                    rasterized=True)
    mean, before, target = (values.mean(axis=0) for values in (path[:, step], path[:, step - 1], wanted))
    if quantity == "centre":
        axes.add_patch(_outline(mean, edgecolor=MEAN, linewidth=1.2))
        axes.add_patch(_outline(target, edgecolor=OBJECT, linewidth=1, linestyle=(0, (3, 2))))
    else:
        axes.plot(*target[part], marker="x", markersize=6, color=OBJECT, linestyle="none")
    # A movement too short for an arrow is a dot.
    axes.quiver(*before[part], *(mean - before)[part], angles="xy", scale_units="xy", scale=1, color=MEAN, width=0.018,
                zorder=3)
    axes.set_title("sd {:.2f}, {:.2f}".format(*places.std(axis=0)), fontsize=SMALL - 1, pad=2)


def _outline(delta, **style):
    """The box that a delta leads to from the unit square around 0."""
    (x, y), (width, height) = delta[:2], np.exp(delta[2:])
    return Rectangle((x - width / 2, y - height / 2), width, height, fill=False, **style)


def _draw_legend(figure):
    handles = [
        Patch(facecolor="none", edgecolor="black", label="proposal"),
        Patch(facecolor="none", edgecolor=OBJECT, linestyle=(0, (3, 2)), label="object, mean"),
        Line2D([], [], color=OBJECT, marker="x", linestyle="none", label="object's size, mean"),
        Patch(facecolor="none", edgecolor=MEAN, label="glimpse, mean"),
        Line2D([], [], color=MEAN, marker=">", label="movement since the glimpse before, mean"),
        Patch(facecolor="#08306B", label="glimpses, density (darkest: the most in a panel)"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=SMALL, frameon=False,
                  borderaxespad=0.3)
