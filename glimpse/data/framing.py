"""Photographs of all sizes -> the images of one batch: scaled, mirrored, padded, with their boxes."""

import copy

import gin
import numpy as np
from PIL import Image

from glimpse.errors import GlimpseError, pair, real_number, whole_number

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
    """

    def __init__(self, short_side=600, longest_side=1000, canvas=None, flip=0.5):
        self.short_side = whole_number("Framing.short_side", short_side)
        self.longest_side = whole_number("Framing.longest_side", longest_side, minimum=self.short_side)
        self.grows = canvas == SMALLEST
        self.canvas = None if canvas is None or self.grows else pair("Framing.canvas", canvas)
        if self.canvas and any(side % MULTIPLE for side in self.canvas):
            raise GlimpseError(f"Framing.canvas must be multiples of {MULTIPLE}, got {canvas!r}")
        self.flip = real_number("Framing.flip", flip, minimum=0, maximum=1)

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

    def place(self, example, proposals, flip=False, drawn=True):
        """An Example and its proposals [N, 4] in the pixels of the scaled image, mirrored if `flip`.

        Unless `drawn`, the image is an empty one of the same size, and boxes alone are scaled.

        Returns:
            Example, proposals float32 [N, 4], scale float32 [4], which pixels of the example's image were multiplied by
            (x, y, x, y).
        """
        height, width = example.image.shape[:2]
        scaled_height, scaled_width = self.scaled_size(height, width)
        image = (resized(example.image, scaled_height, scaled_width) if drawn else
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


def mirrored(boxes, width):
    """Boxes [N, 4] xyxy in an image that was mirrored left to right, `width` pixels wide."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
