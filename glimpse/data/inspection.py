"""What a data set holds, counted: what one looks at before training."""

from typing import NamedTuple

import numpy as np

from glimpse.data.example import outlines


class Counts(NamedTuple):
    """What one split holds, an entry an image or an object.

    image_sizes: int [I, 2], height and width. objects: int [I], how many each image shows. labels: int [G]. difficult:
    bool [G]. sides: float [G], square roots of the share of the picture that a box covers. ratios: float [G], width /
    height. pixels: float [G], square roots of the area of a box, in the pixels of the network's input. faults:
    {"image": [Fault, ...], "object": [...]}, what was left out.
    """

    class_names: tuple
    image_sizes: np.ndarray
    objects: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    sides: np.ndarray
    ratios: np.ndarray
    pixels: np.ndarray
    faults: dict


def count(examples, framing=None):
    """The Counts of a data set (see `glimpse.data.example`), as a Framing scales its images."""
    found = list(outlines(examples))
    image_sizes = np.array([outline.size for outline in found], int).reshape(-1, 2)
    scales = np.array([(framing.scaled_size(*size)[0] / size[0] if framing else 1.0) for size in image_sizes.tolist()])
    objects = np.array([len(outline.labels) for outline in found], int)
    boxes = np.concatenate([np.empty([0, 4], np.float32), *(outline.boxes for outline in found)])
    widths, heights = (boxes[:, 2:] - boxes[:, :2]).T
    lengths = np.sqrt(widths * heights)
    return Counts(
        tuple(examples.class_names), image_sizes, objects,
        labels=np.concatenate([np.empty(0, int), *(outline.labels for outline in found)]),
        difficult=np.concatenate([np.empty(0, bool), *(outline.difficult for outline in found)]),
        sides=lengths / np.sqrt(np.repeat(image_sizes.prod(axis=1), objects)),
        ratios=widths / heights, pixels=lengths * np.repeat(scales, objects),
        faults={what: faults for what, faults in getattr(examples, "skipped", {}).items() if faults})


def spread(examples, most):
    """At most so many examples, evenly spread over the data set."""
    return [examples[int(place)] for place in np.unique(np.linspace(0, len(examples) - 1, min(most, len(examples)),
                                                                    dtype=int))]
