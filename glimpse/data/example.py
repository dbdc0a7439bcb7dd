"""What every data set yields."""

from typing import NamedTuple

import numpy as np


class Example(NamedTuple):
    """One annotated image.

    id: a text or a number, as the data set has it. image: uint8 [H, W, C]. boxes: float32 [G, 4], xyxy in continuous
    pixels of `image`, width = x2 - x1. labels: int32 [G], 0 .. K-1. difficult: bool [G], objects that evaluation
    neither asks for nor counts as wrong.
    A data set is anything with `class_names`, `len()` and `[index] -> Example`. Where it also has `stamp(index)`, a
    value that changes whenever what an index gives does, an image is read no more once its feature map is known.
    """

    id: str | int
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
