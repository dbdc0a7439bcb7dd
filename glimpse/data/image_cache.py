"""Arrays that were computed from images, kept on disk under the content of the image."""

import hashlib
import io
from pathlib import Path

import numpy as np

from glimpse.errors import GlimpseError
from glimpse.files import write_whole


class ImageCache:
    """A directory of .npy files, one an image; each is written whole, so several processes may share it."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def path(self, image):
        """The file that belongs to an image uint8 [H, W, C]."""
        content = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16)
        content.update(repr(image.shape).encode())
        return self.directory / content.hexdigest()[:2] / f"{content.hexdigest()}.npy"

    def load(self, path):
        """The array in one of these files; raises GlimpseError where it is broken."""
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise GlimpseError(f"{path} is broken ({error}); remove it, and it is computed again") from error

    def save(self, path, array):
        """Writes the array of one of these files."""
        content = io.BytesIO()
        np.save(content, array)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
