"""Reads proposals from a .mat file in a process of its own, for a damaged file can crash SciPy's reader, or mislead it.

    python -P mat_boxes.py FILE > BOXES.npz

writes three arrays: ids of the images, how many boxes each has, and the boxes of all [N, 4], as the file has them.
"""

import io
import os
import sys

import numpy as np
import scipy.io


def main(path):
    limit_memory(2**32 + 64 * os.path.getsize(path))
    content = scipy.io.loadmat(path, variable_names=("boxes", "images"))
    ids = [str(np.squeeze(cell)) for cell in content["images"].ravel()]
    boxes = list(content["boxes"].ravel())
    if len(ids) != len(boxes):
        raise ValueError(f"{len(ids)} images, but boxes of {len(boxes)}")
    for id, each in zip(ids, boxes):
        if each.ndim != 2 or each.shape[1] != 4 or each.dtype.kind not in "uif":
            raise ValueError(f"the boxes of image {id!r} are no array [N, 4] of numbers")
    file = io.BytesIO()
    np.savez(file, ids=np.array(ids, np.str_), counts=[len(each) for each in boxes],
             boxes=np.concatenate([np.empty([0, 4]), *boxes]).astype(np.float32))
    sys.stdout.buffer.write(file.getvalue())


def limit_memory(size):
    """Lets this process have no more than `size` bytes, lest a damaged length takes all there are; not on Windows."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
