"""A picture file as a data set of one example without annotations."""

import pathlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from glimpse.data.example import Example
from glimpse.errors import GlimpseError

MODES = {1: "L", 3: "RGB"}


def read_photo(path, shape):
    """Reads a picture in the channels that a network expects, and shrinks it to the size that it was trained on.

    Args: path of a file that Pillow reads; shape (H, W, channels) of the images that the network knows. A larger
      picture is shrunk, keeping its proportions, until it fits into H x W; a smaller one stays as it is.
    Returns: an Example without objects, its id the name of the file.
    Raises: GlimpseError where the file cannot be read.
    """
    path = pathlib.Path(path)
    try:
        photo = Image.open(path).convert(MODES[shape[2]])
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise GlimpseError(f"--photo={path} cannot be read as a picture ({error}); "
                           "name a PNG, JPEG or other file that Pillow reads") from error
    photo.thumbnail((shape[1], shape[0]))
    image = np.asarray(photo).reshape(photo.height, photo.width, shape[2])
    return Example(path.stem, image, np.zeros([0, 4], np.float32), np.zeros(0, np.int32), np.zeros(0, bool))
