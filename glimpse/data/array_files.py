"""Files of arrays, .npz, read so that no change goes unseen and nothing is run."""

import io
import zipfile

import numpy as np

MOST_BYTES = 2**33  # of all arrays of a file, once they are unpacked
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(file):
    """The arrays of a .npz file.

    All of each is read, so that its checksum is held against it, which NumPy alone does not always do.

    Args:
        file: path, or file object.

    Returns:
        {name: array of numbers, Booleans or texts}; not to be written to.

    Raises:
        Exception: of many kinds, as the damage.
    """
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ValueError(f"its arrays would take more than {MOST_BYTES} bytes")
        names = [entry.filename.removesuffix(".npy") for entry in entries]
        if len(set(names)) < len(names):
            raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is in it more than once")
        return {name: _array(name, archive.read(entry)) for name, entry in zip(names, entries)}


def _array(name, content):
    """The array of a .npy file's bytes, which must have the length that its header tells."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"{name!r} is of version {version}")
    shape, by_columns, dtype = _HEADERS[version](file)
    if dtype.kind not in "buifU":
        raise ValueError(f"{name!r} holds {dtype}, neither numbers nor texts")
    count = 1
    for side in shape:
        count *= side
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{name!r} is not as long as an array {list(shape)} of {dtype}")
    return np.frombuffer(content, dtype, count, file.tell()).reshape(shape, order="F" if by_columns else "C")
