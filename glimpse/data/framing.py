"""Photographs of all sizes -> the images of one batch: scaled, mirrored, padded, with their boxes."""

import copy

import gin
import numpy as np
from PIL import Image, ImageEnhance

from glimpse.errors import GlimpseError, pair, real_number, whole_number
from glimpse.randomness import generator

MULTIPLE = 32  # sides of a batch: strided layers then fall alike on an image, whatever stands beside it in the batch
SMALLEST = "smallest"
PADDING = (124, 116, 104)  # the mean colour of ImageNet, next to nothing once a backbone has subtracted its own


@gin.register
class Framing:
    """Scale, flip and padding of the images of a data set.

    Args:
        short_side, longest_side: an image is scaled so that its short side is the first, unless its longest would
            exceed the second. 600 and 1000 are Fast R-CNN's (Girshick 2015, section 3.1).
        canvas: (height, width) of every batch, multiples of 32, into which every scaled image fits. RoI pooling is
            compiled for it, which is faster on a CPU. None: each batch is as large as its images ask for. "smallest":
            the smallest that holds every training image; a batch of which one does not fit, such as one turned upright
            among pictures that lie, is as large as it asks for.
        flip: fraction of the training images that are mirrored left to right.
        least_scale: a training image is made smaller besides, by a factor between this and 1; at 1 none is.
        colour_jitter: brightness, contrast and saturation of a training image are multiplied by factors between 1 less
            this and 1 plus this; at 0 they stay.
    """

    def __init__(self, short_side=600, longest_side=1000, canvas=None, flip=0.5, least_scale=1.0, colour_jitter=0.0):
        self.short_side = whole_number("Framing.short_side", short_side)
        self.longest_side = whole_number("Framing.longest_side", longest_side, minimum=self.short_side)
        self.grows = canvas == SMALLEST
        self.canvas = None if canvas is None or self.grows else pair("Framing.canvas", canvas)
        if self.canvas and any(side % MULTIPLE for side in self.canvas):
            raise GlimpseError(f"Framing.canvas must be multiples of {MULTIPLE}, got {canvas!r}")
        self.flip = real_number("Framing.flip", flip, minimum=0, maximum=1)
        self.least_scale = real_number("Framing.least_scale", least_scale, minimum=0.01, maximum=1)
        self.colour_jitter = real_number("Framing.colour_jitter", colour_jitter, minimum=0, maximum=1)

    @property
    def jitters(self):
        """Whether a training image differs each time that it is shown, by more than being mirrored."""
        return self.least_scale < 1 or self.colour_jitter > 0

    def variations(self, count, seed, step):
        """How the images of a training batch differ from what they are: for each, keyword arguments of `place`."""
        random = generator(seed, "jitter", step)
        flips = generator(seed, "flip", step).random(count) < self.flip
        scales = random.uniform(self.least_scale, 1, count)
        colours = random.uniform(1 - self.colour_jitter, 1 + self.colour_jitter, [count, 3])
        return [{"flip": bool(flip), "smaller": scale, "colours": colour}
                for flip, scale, colour in zip(flips, scales.tolist(), colours.tolist())]

    def smallest_canvas(self, sizes):
        """The canvas that images of these sizes, pairs (height, width), ask for."""
        return _multiples(np.max([self.scaled_size(*size) for size in set(sizes)], axis=0))

    def with_canvas(self, canvas):
        """The same Framing with the canvas that "smallest" stands for."""
        chosen = copy.copy(self)
        chosen.canvas = pair("the canvas", canvas)
        return chosen

    def scaled_size(self, height, width):
        """(height, width) that an image of this size is scaled to."""
        factor = min(self.short_side / min(height, width), self.longest_side / max(height, width))
        return tuple(max(1, round(side * factor)) for side in (height, width))

    def place(self, example, proposals, flip=False, smaller=1.0, colours=(1.0, 1.0, 1.0), drawn=True):
        """An Example and its proposals [N, 4] in the pixels of the scaled image.

        Args:
            example, proposals: as the data set has them.
            flip: whether the image is mirrored.
            smaller: factor by which it is smaller than it would be.
            colours: factors of brightness, contrast and saturation.
            drawn: otherwise the image is an empty one of that size, and boxes alone are scaled.

        Returns:
            Example, proposals float32 [N, 4], scale float32 [4], which pixels of the example's image were multiplied by
            (x, y, x, y).
        """
        height, width = example.image.shape[:2]
        scaled_height, scaled_width = (max(1, round(side * smaller)) for side in self.scaled_size(height, width))
        image = (recoloured(resized(example.image, scaled_height, scaled_width), colours) if drawn else
                 np.broadcast_to(np.uint8(0), (scaled_height, scaled_width, example.image.shape[2])))
        scale = np.array([scaled_width / width, scaled_height / height] * 2, np.float32)
        boxes, proposals = example.boxes * scale, proposals * scale
        if flip:
            image, boxes, proposals = image[:, ::-1], mirrored(boxes, scaled_width), mirrored(proposals, scaled_width)
        return example._replace(image=image, boxes=boxes), proposals, scale

    def stack(self, images):
        """Images of different sizes at the top left of one canvas each: uint8 [B, H, W, C]."""
        largest = np.max([image.shape[:2] for image in images], axis=0)
        canvas = self.canvas or _multiples(largest)
        if any(largest > canvas) and self.grows:
            canvas = _multiples(np.maximum(largest, canvas))
        if any(largest > canvas):
            raise GlimpseError(
                f"Framing.canvas must be at least {largest[0]}x{largest[1]} (height x width) for images scaled to "
                f"short_side={self.short_side} and longest_side={self.longest_side}, got {canvas[0]}x{canvas[1]}")
        stacked = np.empty([len(images), *canvas, images[0].shape[2]], np.uint8)
        padding = PADDING if stacked.shape[3] == 3 else [round(np.mean(PADDING))]
        stacked[:] = np.tile(np.uint8(padding), (canvas[1], 1))  # by lines: 40 times faster than by pixels
        for place, image in zip(stacked, images):
            place[:image.shape[0], :image.shape[1]] = image
        return stacked


def _multiples(size):
    """(height, width), rounded up."""
    return tuple((-(-np.asarray(size) // MULTIPLE) * MULTIPLE).tolist())


def resized(image, height, width):
    """An image uint8 [H, W, C], grey or RGB, in this size."""
    if image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)


def recoloured(image, factors):
    """An image uint8 [H, W, C], grey or RGB, with its brightness, contrast and saturation multiplied by `factors`."""
    if all(factor == 1 for factor in factors):
        return image
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    for kind, factor in zip((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors):
        picture = kind(picture).enhance(factor)
    return np.asarray(picture).reshape(image.shape)


def mirrored(boxes, width):
    """Boxes [N, 4] xyxy in an image that was mirrored left to right, `width` pixels wide."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
