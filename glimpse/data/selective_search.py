"""Selective search: some two thousand boxes an image, from grouping alike regions; computed once and kept on disk.

Uijlings, van de Sande, Gevers and Smeulders, "Selective Search for Object Recognition", IJCV 2013, as OpenCV has it:
pip install 'glimpse[proposals]'. These are the proposals of Fast R-CNN (Girshick 2015), there from the authors' code.
"""

import contextlib
import ctypes
import logging
import threading

import gin
import numpy as np

from glimpse.data.array_cache import ArrayCache
from glimpse.data.framing import resized
from glimpse.data.own_pictures import scale_of
from glimpse.errors import GlimpseError, one_of, path_given, whole_number

MODES = {"fast": "switchToSelectiveSearchFast", "quality": "switchToSelectiveSearchQuality"}
_RAND = threading.Lock()  # the C library has one generator for all threads
_LOG = logging.getLogger(__name__)


@gin.register
class SelectiveSearch:
    """Proposals by selective search, kept in `cache` under the content of the image and the mode.

    What is not there yet is computed when asked for, in seconds an image; `python -m experiments.propose` computes
    those of whole splits beforehand, on all cores.

    Args:
        cache: directory; made where it is not there.
        mode: "fast" or "quality", which finds two to three times as many in four times as long.
        most: at most so many proposals an image, the most object-like first.
        longest_side: a larger image is searched in this size, for the time grows with its pixels; None: as it is.
    """

    def __init__(self, cache=gin.REQUIRED, mode="fast", most=2000, longest_side=None):
        self.mode = one_of("SelectiveSearch.mode", mode, MODES)
        self.most = whole_number("SelectiveSearch.most", most)
        self.cache = ArrayCache(path_given("SelectiveSearch.cache", cache) / f"selective-search-{mode}", (None, 4))
        self.longest_side = None if longest_side is None else whole_number("SelectiveSearch.longest_side", longest_side)
        self._warned = False

    def __call__(self, image, id=None):
        """Proposals of an image uint8 [H, W, 3]: float32 [N, 4], xyxy in its pixels."""
        path = self.path(image)
        if not path.exists():
            if not self._warned:
                _LOG.warning("selective search of image %s, and of others not in %s, is computed now; "
                             "python -m experiments.propose does it beforehand, on all cores", id, self.cache.directory)
                self._warned = True
            self.compute(image)
        return self.cache.load(path)[:self.most].astype(np.float32) / scale_of(self._searched(image), image)

    def path(self, image):
        """The file that holds the proposals of an image."""
        return self.cache.path(self._searched(image))

    def compute(self, image):
        """Computes and keeps the proposals of an image."""
        self.cache.save(self.path(image), selective_search(self._searched(image), self.mode).astype(np.uint16))

    def _searched(self, image):
        """The image in the size in which it is searched."""
        longest = max(image.shape[:2])
        if self.longest_side is None or longest <= self.longest_side:
            return image
        return resized(image, *(max(1, round(side * self.longest_side / longest)) for side in image.shape[:2]))


def selective_search(image, mode):
    """Boxes int32 [N, 4] xyxy of an image uint8 [H, W, 3], the most object-like first.

    The same image gives the same boxes in the same order: OpenCV orders them by rank times a number from the C
    library's `rand`, which is seeded here (where that library cannot be had by its name, as on Windows, the order may
    differ).
    """
    try:
        import cv2
        searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    except (ImportError, AttributeError) as error:
        raise GlimpseError("selective search needs OpenCV with its contributed modules, and no other build of OpenCV "
                           "beside it: pip install 'glimpse[proposals]'") from error
    cv2.setNumThreads(1)  # the work is shared out by image
    searcher.setBaseImage(np.ascontiguousarray(image[..., ::-1]))  # blue, green, red
    getattr(searcher, MODES[mode])()
    with _RAND:
        with contextlib.suppress(TypeError, AttributeError, OSError):
            ctypes.CDLL(None).srand(0)
        x, y, width, height = searcher.process().T
    return np.stack([x, y, x + width, y + height], axis=1)
