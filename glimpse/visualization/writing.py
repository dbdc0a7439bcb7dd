"""Figures -> files, written whole. The same figure gives the same file."""

import io

import numpy as np
from PIL import Image

from glimpse.files import write_whole

PIXELS_PER_INCH = 200
FRAME_PIXELS_PER_INCH = 100
FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS = 1200, 3000


def write_figure(path, figure):
    """Writes a figure as `path`.png and `path`.pdf, on a white ground; returns the two paths."""
    paths = [path.with_name(f"{path.name}.{form}") for form in ("png", "pdf")]
    for each in paths:
        write_whole(each, drawn(figure, each.suffix[1:], PIXELS_PER_INCH))
    return paths


def write_picture(path, figure):
    """Writes a figure as the PNG `path`, at its own dpi."""
    write_whole(path, drawn(figure, pixels_per_inch=figure.dpi))


def write_animation(path, figures):
    """Writes figures of one size as the frames of `path`.gif, which starts again at the end; returns its path."""
    frames = [Image.open(io.BytesIO(drawn(figure))).convert("RGB") for figure in figures]
    # One palette for all frames, or colours would flicker; no dithering, or areas of one colour would.
    together = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames]))
    palette = together.quantize(256, Image.Quantize.MAXCOVERAGE)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    path, gif = path.with_name(f"{path.name}.gif"), io.BytesIO()
    pauses = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_FRAME_MILLISECONDS]
    frames[0].save(gif, format="gif", save_all=True, append_images=frames[1:], duration=pauses, loop=0)
    write_whole(path, gif.getvalue())
    return path


def drawn(figure, form="png", pixels_per_inch=FRAME_PIXELS_PER_INCH):
    """A figure as the bytes of a file."""
    content = io.BytesIO()
    # A PDF would hold the time of day.
    metadata = {"CreationDate": None} if form == "pdf" else {}
    figure.savefig(content, format=form, dpi=pixels_per_inch, facecolor="white", metadata=metadata)
    return content.getvalue()
