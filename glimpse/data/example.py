"""What every data set yields."""

from typing import NamedTuple

import numpy as np


class Example(NamedTuple):
    """One annotated image.

    id: a text or a number, as the data set has it. image: uint8 [H, W, C]. boxes: float32 [G, 4], xyxy in continuous
    pixels of `image`, width = x2 - x1. labels: int32 [G], 0 .. K-1. difficult: bool [G], objects that evaluation
    neither asks for nor counts as wrong.
    A data set is anything with `class_names`, `len()` and `[index] -> Example`.
    """

    id: str | int
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray


class First:
    """The first `count` images of a data set, as a data set."""

    def __init__(self, examples, count):
        self.class_names, self._examples, self._count = examples.class_names, examples, min(count, len(examples))

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        if not 0 <= index < self._count:
            raise IndexError(f"image {index} of {self._count}")
        return self._examples[index]
