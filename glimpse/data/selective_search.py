"""Selective search: some two thousand boxes an image, from grouping alike regions; computed once and kept on disk.

Uijlings, van de Sande, Gevers and Smeulders, "Selective Search for Object Recognition", IJCV 2013, as OpenCV has it:
pip install 'glimpse[proposals]'. These are the proposals of Fast R-CNN (Girshick 2015), there from the authors' code.
"""

import contextlib
import ctypes
import hashlib
import io
import logging
from pathlib import Path

import gin
import numpy as np

from glimpse.errors import GlimpseError, one_of, whole_number
from glimpse.files import write_whole

MODES = {"fast": "switchToSelectiveSearchFast", "quality": "switchToSelectiveSearchQuality"}
_LOG = logging.getLogger(__name__)


@gin.register
class SelectiveSearch:
    """Proposals by selective search, kept in `cache` under the content of the image and the mode.

    What is not there yet is computed when asked for, in seconds an image; `python -m experiments.propose` computes those
    of whole splits beforehand, on all cores.

    Args:
      cache: directory; made where it is not there.
      mode: "fast" or "quality", which finds two to three times as many in four times as long.
      most: at most so many proposals an image, the most object-like first.
    """

    def __init__(self, cache=gin.REQUIRED, mode="fast", most=2000):
        self.mode = one_of("SelectiveSearch.mode", mode, MODES)
        self.most = whole_number("SelectiveSearch.most", most)
        self.cache = Path(cache) / f"selective-search-{mode}"
        self._told = False

    def __call__(self, image, id=None):
        """Proposals of an image uint8 [H, W, 3]: float32 [N, 4], xyxy in its pixels."""
        path = self.path(image)
        if not path.exists():
            if not self._told:
                _LOG.warning("selective search of image %s, and of others not in %s, is computed now; "
                             "python -m experiments.propose does it beforehand, on all cores", id, self.cache)
                self._told = True
            self.compute(image)
        try:
            boxes = np.load(path, allow_pickle=False)
            if boxes.ndim != 2 or boxes.shape[1] != 4:
                raise ValueError(f"of shape {boxes.shape}")
        except (OSError, ValueError, EOFError) as error:
            raise GlimpseError(f"{path} holds no proposals ({error}); remove it, and it is computed again") from error
        return boxes[:self.most].astype(np.float32)

    def path(self, image):
        """The file that holds the proposals of an image."""
        content = hashlib.blake2b(np.ascontiguousarray(image).tobytes() + repr(image.shape).encode(), digest_size=16)
        return self.cache / content.hexdigest()[:2] / f"{content.hexdigest()}.npy"

    def compute(self, image):
        """Computes and keeps the proposals of an image."""
        boxes = selective_search(image, self.mode)
        content, path = io.BytesIO(), self.path(image)
        np.save(content, boxes.astype(np.uint16))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())


def selective_search(image, mode):
    """Boxes int32 [N, 4] xyxy of an image uint8 [H, W, 3], the most object-like first.

    The same image gives the same boxes in the same order: OpenCV orders them by rank times a number from the C library's
    `rand`, which is seeded here (where that library cannot be
    had by its name, as on Windows, the order may differ).
    """
    try:
        import cv2
        searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    except (ImportError, AttributeError) as error:
        raise GlimpseError("selective search needs OpenCV with its contributed modules, and no other build of OpenCV "
                           "beside it: pip install 'glimpse[proposals]'") from error
    cv2.setNumThreads(1)  # the work is shared out by image
    with contextlib.suppress(TypeError, AttributeError, OSError):
        ctypes.CDLL(None).srand(0)
    searcher.setBaseImage(np.ascontiguousarray(image[..., ::-1]))  # blue, green, red
    getattr(searcher, MODES[mode])()
    x, y, width, height = searcher.process().T
    return np.stack([x, y, x + width, y + height], axis=1)
