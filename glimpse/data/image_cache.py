"""Arrays that were computed from images, kept on disk under the content of the image."""

import hashlib
import io
from pathlib import Path

import numpy as np

from glimpse.errors import GlimpseError
from glimpse.files import write_whole


class ImageCache:
    """A directory of .npy files, one an image; each is written whole, so several processes may share it.

    Args: directory, made where it is not there; shape of each array, None where any size will do.
    Raises: GlimpseError, of `load` and `save`, that names the file.
    """

    def __init__(self, directory, shape):
        self.directory, self.shape = Path(directory), shape

    def path(self, image):
        """The file that belongs to an image uint8 [H, W, C]."""
        content = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16)
        content.update(repr(image.shape).encode())
        return self.directory / content.hexdigest()[:2] / f"{content.hexdigest()}.npy"

    def load(self, path):
        """The array in one of these files."""
        try:
            array = np.load(path, allow_pickle=False)
            if len(array.shape) != len(self.shape) or any(s not in (None, n) for s, n in zip(self.shape, array.shape)):
                raise ValueError(f"of shape {array.shape}")
            return array
        except (OSError, ValueError, EOFError) as error:
            raise GlimpseError(f"{path} is broken ({error}); remove it, and it is computed again") from error

    def save(self, path, array):
        """Writes the array of one of these files."""
        content = io.BytesIO()
        np.save(content, array)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content.getvalue())
        except OSError as error:
            raise GlimpseError(f"{path} cannot be written ({error}); name a directory with room that you may write to") from error
