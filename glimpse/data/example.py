"""What every data set yields."""

import functools
from typing import NamedTuple

import numpy as np

from glimpse.errors import GlimpseError


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


class NoSplit(GlimpseError):
    """Raised by data that were found to have no such split, and can be used without it."""


class Outline(NamedTuple):
    """An Example without its pixels; size: (height, width)."""

    id: str | int
    size: tuple
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray


def outlines(examples):
    """Yields the Outline of each example; of a data set that has no `outline(index)` the pixels are read for it."""
    for index in range(len(examples)):
        if hasattr(examples, "outline"):
            yield examples.outline(index)
        else:
            id, image, *objects = examples[index]
            yield Outline(id, image.shape[:2], *objects)


class Part:
    """Some examples of a data set, in the order of `places`; all else is as the data set has it."""

    def __init__(self, examples, places):
        self._examples, self._places = examples, list(places)
        for name in ("outline", "stamp"):  # what a data set may tell of an example without reading it
            if hasattr(examples, name):
                setattr(self, name, functools.partial(self._of_place, getattr(examples, name)))

    def __getattr__(self, name):
        if name.startswith("_"):  # asked for by pickle before there are any examples
            raise AttributeError(name)
        return getattr(self._examples, name)

    def __len__(self):
        return len(self._places)

    def __getitem__(self, index):
        return self._of_place(self._examples.__getitem__, index)

    def _of_place(self, told, index):
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        return told(self._places[index])
