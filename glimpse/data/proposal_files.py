"""Proposals that somebody else computed, from files."""

import io
import subprocess
import sys
from pathlib import Path

import gin
import numpy as np

from glimpse.data.array_files import read_arrays
from glimpse.data.fields import one_line
from glimpse.data.text_files import require_regular
from glimpse.errors import GlimpseError, path_given, whole_number

MAT_BOXES = Path(__file__).with_name("mat_boxes.py")
SLACK = 1.0  # pixels that a proposal may lie outside its image, by rounding


@gin.register
class ProposalFiles:
    """Proposals by the id of an image.

    A .npz file holds one array [N, 4] an image, named by its id: xyxy in continuous pixels, best first.

    A .mat file is of Fast R-CNN's layout, as its selective search for VOC was published: a cell array `boxes` of arrays
    [N, 4], y1 x1 y2 x2, 1-based and including the last pixel, and a cell array `images` of the ids.

    No proposal may be empty or reversed. A .mat file is read in a process of its own, which a damaged one may crash.

    Args:
        paths: list of such files, such as those of trainval and test.
        most: at most the first so many of an image.
    """

    def __init__(self, paths=gin.REQUIRED, most=2000):
        self.most = whole_number("ProposalFiles.most", most)
        if not isinstance(paths, (list, tuple)) or not paths:
            raise GlimpseError(f"ProposalFiles.paths must be a list of files, got {paths!r}")
        self._boxes = {}
        for path in paths:
            path = path_given("ProposalFiles.paths", path)
            boxes = _read(path)
            twice = self._boxes.keys() & boxes.keys()
            if twice:
                raise GlimpseError(
                    f"{path}: image {min(twice)!r} has proposals in another file of ProposalFiles.paths too")
            self._boxes |= boxes

    def __call__(self, image, id):
        """Proposals of an image [H, W, C]: float32 [N, 4], xyxy in its pixels."""
        id = str(id)
        if id not in self._boxes:
            raise GlimpseError(f"ProposalFiles.paths hold no proposals of image {id!r}")
        boxes = np.array(self._boxes[id][:self.most], np.float32)
        height, width = image.shape[:2]
        cut = np.clip(boxes, 0, np.float32([width, height, width, height]))
        if not len(boxes) or not np.abs(boxes - cut).max() <= SLACK or not (cut[:, :2] < cut[:, 2:]).all():
            raise GlimpseError(f"ProposalFiles.paths: image {id!r} of {width}x{height} pixels has "
                               + ("proposals outside it" if len(boxes) else "no proposal"))
        return cut


def _read(path):
    """{id: boxes [N, 4] xyxy in continuous pixels}."""
    try:
        require_regular(path)
        if path.suffix not in _READERS:
            raise ValueError("it must be a .npz or .mat file")
        ids, boxes = _READERS[path.suffix](path)
        if len(set(ids)) < len(ids):
            raise ValueError(f"image {next(id for id in ids if ids.count(id) > 1)!r} is in it more than once")
        for id, each in zip(ids, boxes):
            if each.ndim != 2 or each.shape[1] != 4 or each.dtype.kind not in "uif":
                raise ValueError(f"image {id!r}: the boxes of every image must be an array [N, 4] of numbers")
            if (each[:, 2:] <= each[:, :2]).any():
                raise ValueError(f"image {id!r} has an empty or reversed proposal")
    except Exception as error:  # of many kinds, from two libraries; the file is what they have in common
        reason = one_line(error)
        raise GlimpseError(f"{path} holds no proposals that can be read: {type(error).__name__}: {reason}") from error
    return dict(zip(ids, boxes))


def _npz(path):
    arrays = read_arrays(path)
    return list(arrays), list(arrays.values())


def _mat(path):
    read = subprocess.run([sys.executable, "-P", MAT_BOXES, path], stdin=subprocess.DEVNULL, capture_output=True)
    if read.returncode:
        lines = read.stderr.decode(errors="replace").splitlines()
        raise ValueError(lines[-1] if read.returncode > 0 and lines else f"its reader crashed ({read.returncode})")
    return _boxes_of_mat(read.stdout)


def _boxes_of_mat(written):
    """Ids and boxes of what that process has written: y1 x1 y2 x2, whose corners both belong to the boxes, so that 1 is
    taken from the upper left one only.
    """
    content = read_arrays(io.BytesIO(written))
    boxes = content["boxes"][:, [1, 0, 3, 2]] - np.float32([1, 1, 0, 0])
    return content["ids"].tolist(), np.split(boxes, np.cumsum(content["counts"])[:-1])


_READERS = {".npz": _npz, ".mat": _mat}
