"""Image files -> pixels, and the checks that tell a sound file from a broken one before it is needed."""

import numpy as np
from PIL import Image, ImageOps

from glimpse.errors import GlimpseError

FRAMES = ("stored", "upright")
ORIENTATION = 0x0112  # EXIF tag: how the stored pixels have to be turned to stand upright; 1 is not at all
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_MODES = ("1", "L", "P", "RGB", "YCbCr", "CMYK", "LA", "PA", "RGBA")  # 8 bits a channel: others would be cut to white
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class Fault(GlimpseError):
    """One defect of a data set: `kind` is what it has in common with others of its kind, `where` and `detail` are its own."""

    def __init__(self, kind, where, detail=""):
        super().__init__(f"{where}: {kind}{detail and f' ({detail})'}")
        self.kind = kind


def probe_image(path):
    """Checks a file without decoding it, where it can be trusted, and tells the size of its image.

    JPEG and PNG files that end as they should are trusted to be whole; others, and those with transparency, are decoded.

    Returns: {frame: (width, height)}, and whether EXIF says that the stored pixels are to be turned. Raises: Fault.
    """
    image = _open(path)
    if not _ends_well(path, image.format) or image.has_transparency_data:
        _rgb(image, path)
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except _UNREADABLE as error:
        raise Fault("EXIF data cannot be read", path, error) from error
    upright = image.size[::-1] if orientation in range(5, 9) else image.size
    return {"stored": image.size, "upright": upright}, orientation in range(2, 9)


def read_image(path, frame):
    """The image of a JPEG or PNG file, uint8 [H, W, 3].

    Grey is repeated over the three channels; CMYK is converted without a colour profile. `frame`: "stored" takes the
    pixels as they lie in the file, "upright" turns them as EXIF says. Raises: Fault.
    """
    return np.asarray(_rgb(_open(path), path, frame))


def _open(path):
    try:
        image = Image.open(path, formats=("JPEG", "PNG"))
    except FileNotFoundError as error:
        raise Fault("no such image file", path) from error
    except _UNREADABLE as error:
        raise Fault("no JPEG or PNG image", path, error) from error
    if image.mode not in _MODES:
        raise Fault("pixels of more than 8 bits", path, f"mode {image.mode}; save it with 8 bits a channel")
    return image


def _rgb(image, path, frame="stored"):
    try:
        image.load()
        image = ImageOps.exif_transpose(image) if frame == "upright" else image
        if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:
            raise Fault("transparent pixels", path, "what lies under them is undefined; paint a background first")
        return image.convert("RGB")
    except _UNREADABLE as error:
        if isinstance(error, Fault):
            raise
        raise Fault("broken image file", path, error) from error


def _ends_well(path, format):
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read().rstrip(b"\0\r\n ").endswith(_ENDS.get(format, b"never"))
