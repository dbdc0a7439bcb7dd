"""Picture files of a user's own, as a run takes them: upright, in its channels, and no larger than it knows images."""

from pathlib import Path

import numpy as np

from glimpse.data.example import Example
from glimpse.data.framing import resized
from glimpse.data.image_files import probe_image, read_image


class OwnPictures:
    """JPEG and PNG files as a data set without annotations (see `glimpse.data.example`); ids are names without suffix.

    Every file is checked at the start, so that a fault shows before anything is done, and read when it is asked for.

    Args:
        paths: of the files.
        shape: (H, W, channels) of the images that the run was trained on.
        framing: of the run, or None where all its images are of one size. A photo larger than what the Framing makes of
            it, or than those images, is shrunk to that at the start, so that proposals too are sought in what the
            network sees; a smaller one stays as it is.

    Raises:
        Fault, see `glimpse.data.image_files`.
    """

    def __init__(self, paths, shape, framing):
        self._paths, self._channels = [Path(path) for path in paths], shape[2]
        self._shape, self._framing = shape, framing
        for path in self._paths:
            probe_image(path)

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, index):
        image = read_picture(self._paths[index], self._channels)
        image = shrunk(image, *self._size(*image.shape[:2]))
        nothing = np.zeros([0, 4], np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
        return Example(self._paths[index].stem, image, *nothing)

    def _size(self, height, width):
        """(height, width) that a photo of this size is shrunk to."""
        if self._framing is not None:
            return self._framing.scaled_size(height, width)
        factor = min(self._shape[0] / height, self._shape[1] / width)
        return max(1, round(height * factor)), max(1, round(width * factor))


def read_picture(path, channels=3):
    """The picture of a file, turned as its EXIF data say: uint8 [H, W, channels], grey for one channel, else RGB.

    Raises:
        Fault.
    """
    return read_image(path, "upright", channels=channels)


def shrunk(image, height, width):
    """An image uint8 [H, W, C] in this size, unless it is smaller already."""
    return image if height >= image.shape[0] else resized(image, height, width)


def scale_of(seen, image):
    """What boxes in an image are multiplied by to lie in `seen`, the same picture in another size: float32 [4]."""
    return np.array([seen.shape[1] / image.shape[1], seen.shape[0] / image.shape[0]] * 2, np.float32)
