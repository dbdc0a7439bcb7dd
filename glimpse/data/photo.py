"""Picture files of a user's own, as a run takes them: upright, in its channels, and no larger than it knows images."""

from pathlib import Path

import numpy as np
from PIL import Image

from glimpse.data.example import Example
from glimpse.data.images import read_image


class PhotoFiles:
    """JPEG and PNG files as a data set without annotations (see `glimpse.data.example`); ids are names without suffix.

    Every file is read once at the start, so that a fault shows before anything is done, and again when it is asked for.

    Args:
      paths: of the files.
      shape: (H, W, channels) of the images that the run was trained on.
      framing: of the run. A Framing scales photos as it did in training, so they stay as they are; without one (None),
        all training images are of one size, and a larger photo is shrunk to fit into it (see `fitted`).

    Raises: Fault, see `glimpse.data.images`.
    """

    def __init__(self, paths, shape, framing):
        self._paths, self._channels = [Path(path) for path in paths], shape[2]
        self._largest = shape[:2] if framing is None else None
        for path in self._paths:
            read_photo(path, self._channels)

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, index):
        image = read_photo(self._paths[index], self._channels)
        image = image if self._largest is None else fitted(image, *self._largest)
        nothing = np.zeros([0, 4], np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
        return Example(self._paths[index].stem, image, *nothing)


def read_photo(path, channels=3):
    """The picture of a file, turned as its EXIF data say: uint8 [H, W, channels], grey for one channel, else RGB.

    Raises: Fault.
    """
    image = read_image(path, "upright")
    return np.asarray(Image.fromarray(image).convert("L"))[..., None] if channels == 1 else image


def fitted(image, height, width):
    """An image uint8 [H, W, C], shrunk in its proportions to fit into height x width; a smaller one stays as it is."""
    if image.shape[0] <= height and image.shape[1] <= width:
        return image
    shrunk = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    shrunk.thumbnail((width, height))
    return np.asarray(shrunk).reshape(shrunk.height, shrunk.width, -1)


def scale_of(seen, image):
    """What boxes in an image are multiplied by to lie in `seen`, the same picture in another size: float32 [4]."""
    return np.array([seen.shape[1] / image.shape[1], seen.shape[0] / image.shape[0]] * 2, np.float32)
