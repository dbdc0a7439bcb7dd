"""Proposals that somebody else computed, from files."""

from pathlib import Path

import gin
import numpy as np
import scipy.io

from glimpse.errors import GlimpseError, whole_number

SLACK = 1.0  # pixels that a proposal may lie outside its image, by rounding


@gin.register
class ProposalFiles:
    """Proposals by the id of an image.

    A .npz file holds one array [N, 4] an image, named by its id: xyxy in continuous pixels, best first.

    A .mat file is of Fast R-CNN's layout, as its selective search for VOC was published: a cell array `boxes` of arrays
    [N, 4], y1 x1 y2 x2, 1-based and including the last pixel, and a cell array `images` of the ids.

    Args:
      paths: list of such files, such as those of trainval and test.
      most: at most the first so many of an image.
    """

    def __init__(self, paths=gin.REQUIRED, most=2000):
        self.most = whole_number("ProposalFiles.most", most)
        if isinstance(paths, str) or not paths:
            raise GlimpseError(f"ProposalFiles.paths must be a list of files, got {paths!r}")
        self._boxes = {}
        for path in map(Path, paths):
            boxes = _read(path)
            twice = self._boxes.keys() & boxes.keys()
            if twice:
                raise GlimpseError(f"{path}: image {min(twice)!r} has proposals in another file of ProposalFiles.paths too")
            self._boxes |= boxes

    def __call__(self, image, id):
        """Proposals of an image [H, W, C]: float32 [N, 4], xyxy in its pixels."""
        if id not in self._boxes:
            raise GlimpseError(f"ProposalFiles.paths hold no proposals of image {id!r}")
        boxes = np.array(self._boxes[id][:self.most], np.float32)
        height, width = image.shape[:2]
        cut = np.clip(boxes, 0, np.float32([width, height, width, height]))
        if not len(boxes) or not np.abs(boxes - cut).max() <= SLACK:
            raise GlimpseError(f"ProposalFiles.paths: image {id!r} of {width}x{height} pixels has "
                               + ("proposals outside it" if len(boxes) else "no proposal"))
        return cut


def _read(path):
    """{id: boxes [N, 4] xyxy in continuous pixels}."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as content:
                boxes = dict(content)
        elif path.suffix == ".mat":
            content = scipy.io.loadmat(path, variable_names=("boxes", "images"))
            ids = [str(np.squeeze(cell)) for cell in content["images"].ravel()]
            # From corners that both belong to the box: 1 less for the upper left one only.
            boxes = dict(zip(ids, (cell[:, [1, 0, 3, 2]] - np.float32([1, 1, 0, 0]) for cell in content["boxes"].ravel()),
                             strict=True))
        else:
            raise ValueError("it must be a .npz or .mat file")
        if any(each.ndim != 2 or each.shape[1] != 4 for each in boxes.values()):
            raise ValueError("the boxes of every image must be an array [N, 4]")
    except Exception as error:  # of many kinds, from two libraries; the file is what they have in common
        raise GlimpseError(f"{path} holds no proposals that can be read: {type(error).__name__}: {error}") from error
    return boxes
