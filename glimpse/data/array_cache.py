"""Arrays that were computed from images, kept on disk under the content of the image."""

import hashlib
import io
from pathlib import Path

import numpy as np

from glimpse.data.array_files import read_arrays
from glimpse.data.fields import one_line
from glimpse.data.text_files import require_regular
from glimpse.errors import GlimpseError
from glimpse.files import write_whole


class ArrayCache:
    """A directory of .npz files, one an image; each is written whole, so several processes and threads may share it.

    Args:
        directory: made where it is not there.
        shape: of each array; None where any size will do.

    Raises:
        GlimpseError: of `load` and `save`, that names the file.
    """

    def __init__(self, directory, shape):
        self.directory, self.shape = Path(directory), shape

    def path(self, image):
        """The file that belongs to an image uint8 [H, W, C]."""
        content = hashlib.sha256(np.ascontiguousarray(image))
        content.update(repr(image.shape).encode())
        name = content.hexdigest()[:32]
        return self.directory / name[:2] / f"{name}.npz"

    def load(self, path):
        """The array in one of these files."""
        try:
            require_regular(path)
            array = read_arrays(path)["array"]
            if array.dtype.kind not in "uif":
                raise ValueError("not of numbers")
            if len(array.shape) != len(self.shape) or any(s not in (None, n) for s, n in zip(self.shape, array.shape)):
                raise ValueError(f"of shape {array.shape}")
            return array
        except Exception as error:  # of many kinds, as the damage; the file is what they have in common
            raise GlimpseError(f"{path} is broken ({one_line(error)}); remove it, and it is computed again") from error

    def save(self, path, array):
        """Writes the array of one of these files."""
        content = io.BytesIO()
        np.savez(content, array=array)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content.getvalue(), lasting=False)
        except OSError as error:
            raise GlimpseError(
                f"{path} cannot be written ({error}); name a directory with room that you may write to") from error
