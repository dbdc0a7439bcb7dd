"""Digit scenes: a detection data set composed on the fly from scikit-learn's real handwritten digits.

The 1,797 digits of 8 x 8 pixels are the test part of the UCI set "Optical Recognition of Handwritten Digits"
(Alpaydin and Kaynak, 1998), 13 writers, whose samples stand together in its order. A scene holds several digits of
different size and aspect ratio among fragments of digits and noise.

In pointing scenes, the place that tells an object's class is not the object's own: the objects are dials, and a dial's
class is the digit that its hand points at, REACH diameters away. Other digits stand all around. All directions are
equally likely, so only who has read the hand knows where to look.
"""

import functools

import gin
import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

from glimpse.data.example import Example
from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.randomness import generator

# Contiguous fractions of the samples, because neighbours share a writer: a test digit's own sample is never trained on.
FRACTIONS = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}
INK = 0.3  # fraction of full ink from which a pixel of a drawn digit belongs to its box
MOST_OVERLAP = 0.05  # of the smaller box, so that every digit stays legible
# From the centre of a dial to that of its digit, in diameters: a glimpse of the dial must not see the digit.
REACH = 2.0
DIRECTIONS = 8  # that a hand may have


@functools.cache
def _digits(split):
    """The split's digits: list of (uint8 [8, 8] 0..255, label)."""
    images, labels = load_digits(return_X_y=True)
    first, last = (round(fraction * len(images)) for fraction in FRACTIONS[split])
    images = np.round(images[first:last] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return list(zip(images, labels[first:last].tolist()))


def _cut_to_ink(image):
    inked = image >= 255 * INK
    rows, = np.nonzero(inked.any(axis=1))
    columns, = np.nonzero(inked.any(axis=0))
    return image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


@gin.register
class DigitScenes:
    """Scene i of a split is a function of (seed, split, i) alone, composed when it is first asked for and then kept.

    Args:
        split: "train", "validation" or "test"; their digits come from disjoint samples.
        sizes: number of scenes in each split, {"train": 4000, ...}.
        seed: of the data set, apart from the seed of a run, so that all runs of a study see the same scenes.
        image_size: height and width of a scene in pixels.
        most_digits: a scene holds 1 to this many digits.
        digit_heights: (smallest, largest) height in pixels, drawn log-uniformly.
        stretches: (smallest, largest) horizontal stretch of a digit, drawn log-uniformly.
        fragments: number of pieces of digits strewn over a scene.
        noise: standard deviation of the Gaussian noise, as a fraction of full ink.
        pointing: the objects are dials, as many as `most_digits` says, each as large as the digit that it points at.
        others: number of digits in a pointing scene that no dial points at; a full scene takes fewer.
    """

    class_names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

    def __init__(self, split, sizes, seed=0, image_size=96, most_digits=5, digit_heights=(18, 48),
                 stretches=(0.7, 1.3), fragments=6, noise=0.08, pointing=False, others=2):
        self.split = one_of("split", split, FRACTIONS)
        if not isinstance(sizes, dict) or split not in sizes:
            raise GlimpseError(f"DigitScenes.sizes must name a number of scenes for {split!r}, got {sizes!r}")
        self.size = whole_number(f"DigitScenes.sizes[{split!r}]", sizes[split])
        self.seed = whole_number("DigitScenes.seed", seed, minimum=0)
        self.image_size = whole_number("DigitScenes.image_size", image_size, minimum=16)
        self.most_digits = whole_number("DigitScenes.most_digits", most_digits)
        self.digit_heights = _range("DigitScenes.digit_heights", digit_heights, 4)
        self.stretches = _range("DigitScenes.stretches", stretches, 0.1)
        if self.digit_heights[1] * max(1, self.stretches[1]) > self.image_size:
            raise GlimpseError(f"DigitScenes.digit_heights={digit_heights!r} with stretches={stretches!r} "
                               f"draws digits larger than the scene of {image_size} pixels")
        self.fragments = whole_number("DigitScenes.fragments", fragments, minimum=0)
        self.noise = real_number("DigitScenes.noise", noise, minimum=0, maximum=1)
        self.pointing = one_of("DigitScenes.pointing", pointing, (False, True))
        self.others = whole_number("DigitScenes.others", others, minimum=0)
        self._scenes = {}

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if not 0 <= index < self.size:
            raise IndexError(f"scene {index} of {self.size}")
        if index not in self._scenes:
            self._scenes[index] = self._compose(index)
        return self._scenes[index]

    def _compose(self, index):
        random = generator(self.seed, f"scene {self.split}", index)
        canvas = np.zeros((self.image_size, self.image_size), np.uint8)
        for _ in range(self.fragments):
            self._draw(random, canvas, self._fragment(random))
        boxes, labels = (self._dials if self.pointing else self._strewn)(random, canvas)
        noisy = canvas + random.normal(0, 255 * self.noise, canvas.shape)
        return Example(
            id=f"{self.split}-{index:05d}",
            image=np.clip(np.round(noisy), 0, 255).astype(np.uint8)[..., None],
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            labels=np.array(labels, np.int32),
            difficult=np.zeros(len(boxes), bool))

    def _strewn(self, random, canvas):
        """Draws the digits of a scene; returns their boxes and labels."""
        boxes, labels = [], []
        for _ in range(random.integers(1, self.most_digits + 1)):
            digit, label = self._digit(random)
            box = self._draw(random, canvas, digit, apart_from=boxes)
            if box is not None:
                boxes.append(box)
                labels.append(label)
        return boxes, labels

    def _dials(self, random, canvas):
        """Draws dials, each with the digit that it points at, and other digits; returns the dials' boxes and labels."""
        boxes, labels, taken = [], [], []
        for _ in range(random.integers(1, self.most_digits + 1)):
            diameter = round(self._height(random))
            digit, label = self._digit(random, diameter)
            for _ in range(100):
                angle = 2 * np.pi * random.integers(DIRECTIONS) / DIRECTIONS
                left, top = random.integers(0, self.image_size - diameter + 1, 2)
                centre = np.array([left, top]) + diameter / 2
                reach = REACH * diameter * np.array([np.cos(angle), np.sin(angle)])
                places = [(left, top, left + diameter, top + diameter), _around(centre + reach, digit.shape),
                          _around(centre + reach / 2, (diameter, diameter))]  # nothing between a dial and its digit
                if self._free(places, taken):
                    _ink(canvas, dial(diameter, angle), places[0])
                    _ink(canvas, digit, places[1])
                    boxes += places[:2]
                    labels += [label, label]
                    taken += places
                    break
        for _ in range(self.others):
            digit, label = self._digit(random)
            box = self._draw(random, canvas, digit, apart_from=taken)
            if box is not None:
                boxes.append(box)
                labels.append(label)
                taken.append(box)
        return boxes, labels

    def _free(self, boxes, taken):
        """Whether boxes lie in the scene and apart from those that are taken."""
        return (np.min(boxes) >= 0 and np.max(boxes) <= self.image_size
                and all(_overlap(box, other) <= MOST_OVERLAP for box in boxes for other in taken))

    def _height(self, random):
        return np.exp(random.uniform(*np.log(self.digit_heights)))

    def _digit(self, random, height=None):
        """A digit at its size in the scene, cut to its ink, and its label. height: drawn unless given."""
        digits = _digits(self.split)
        image, label = digits[random.integers(len(digits))]
        height = self._height(random) if height is None else height
        width = height * np.exp(random.uniform(*np.log(self.stretches)))
        drawn = Image.fromarray(image).resize((round(width), round(height)), Image.Resampling.BICUBIC)
        ink = _cut_to_ink(np.asarray(drawn))
        return np.round(ink * random.uniform(0.8, 1.0)).astype(np.uint8), label

    def _fragment(self, random):
        """A piece of a digit, at most half of it in each direction: clutter that looks like strokes."""
        digit, _ = self._digit(random)
        height, width = (max(2, size // 2) for size in digit.shape)
        top, left = (random.integers(0, size - part + 1) for size, part in zip(digit.shape, (height, width)))
        return digit[top:top + height, left:left + width]

    def _draw(self, random, canvas, ink, apart_from=()):
        """Draws `ink` at a random free place; returns its box xyxy, or None where 20 places were all taken."""
        height, width = ink.shape
        for _ in range(20):
            top, left = (random.integers(0, self.image_size - size + 1) for size in (height, width))
            box = (left, top, left + width, top + height)
            if all(_overlap(box, other) <= MOST_OVERLAP for other in apart_from):
                _ink(canvas, ink, box)
                return box
        return None


def dial(diameter, angle):
    """A ring with a hand from its centre to its rim: uint8 [diameter, diameter].

    Args:
        diameter: in pixels.
        angle: of the hand, in radians from the x axis towards the y axis, which points down.
    """
    fine = 4 * diameter  # drawn four times as large, so that its edges are smooth
    picture = Image.new("L", (fine, fine))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((0, 0, fine - 1, fine - 1), outline=255, width=fine // 9)
    rim = fine / 2 * (1 + np.array([np.cos(angle), np.sin(angle)]))
    pen.line((fine / 2, fine / 2, *rim), fill=255, width=fine // 6)
    return np.asarray(picture.resize((diameter, diameter), Image.Resampling.BOX))


def _ink(canvas, ink, box):
    left, top, right, bottom = box
    region = canvas[top:bottom, left:right]
    np.maximum(region, ink, out=region)


def _around(centre, shape):
    """The box xyxy of whole pixels of shape (height, width) around a centre (x, y)."""
    height, width = shape
    left, top = np.round(centre - np.array([width, height]) / 2).astype(int).tolist()
    return left, top, left + width, top + height


def _overlap(box, other):
    """Intersection over the smaller area of two boxes xyxy."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return max(width, 0) * max(height, 0) / smaller


def _range(name, value, minimum):
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not minimum <= value[0] <= value[1]:
        raise GlimpseError(f"{name} must be a pair (smallest, largest) of at least {minimum}, got {value!r}")
    return tuple(value)
