"""Image files -> pixels, and the checks that tell a sound file from a broken one before it is needed."""

import hashlib
import warnings

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from glimpse.data.fields import Fault
from glimpse.data.text_files import read_bytes, require_regular

FRAMES = ("stored", "upright")
MOST_PIXELS = 2**26  # 8192 x 8192, 200 MB of RGB
LIMIT = 2 * Image.MAX_IMAGE_PIXELS  # what Pillow itself refuses
ORIENTATION = 0x0112  # EXIF tag: how the stored pixels have to be turned to stand upright; 1 is not at all
_MODES = ("1", "L", "P", "RGB", "YCbCr", "CMYK", "LA", "PA", "RGBA")  # 8 bits a channel: others would be cut to white
_UNREADABLE = Exception  # decoders raise errors of many kinds; the file is what they have in common
# What libjpeg says of data that are lost, in place of which it paints grey. Other warnings of it harm no pixel.
_LOST = ("premature end", "bad huffman code", "instead of rst", "bad arithmetic code")
_whole = {}  # {SHA-256 of a file that this process has decoded to its end: its orientation}
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the limit here is lower


def probe_image(path, most_pixels=MOST_PIXELS):
    """Checks that a JPEG or PNG file holds a whole image, by decoding it once, and tells the size of the image.

    A JPEG file is decoded at an eighth of its size, which reads all of it in a fraction of the time. What was decoded
    once is known again by its content, such as that of a folder which is opened for training and for validation.

    Args:
        path: of a regular file.
        most_pixels: larger images are refused before they are decoded.

    Returns:
        {frame: (width, height)}, and whether EXIF says that the stored pixels are to be turned.

    Raises:
        Fault: names the file.
    """
    image = _open(path, most_pixels)
    try:
        digest = hashlib.sha256(read_bytes(path)).digest()
    except OSError as error:
        raise Fault("broken image file", path, error) from error
    if digest not in _whole:
        _whole[digest] = _decoded_orientation(image, path, most_pixels)
    orientation = _whole[digest]
    upright = image.size[::-1] if orientation in range(5, 9) else image.size
    return {"stored": image.size, "upright": upright}, orientation in range(2, 9)


def read_image(path, frame, most_pixels=MOST_PIXELS, channels=3):
    """The image of a JPEG or PNG file.

    CMYK is converted without a colour profile.

    Args:
        path: of a regular file.
        frame: "stored" takes the pixels as they lie in the file, "upright" turns them as EXIF says.
        most_pixels: larger images are refused before they are decoded.
        channels: 3 for RGB, in which grey is repeated; 1 for grey, to which colours are weighted by ITU-R 601.

    Returns:
        uint8 [H, W, channels].

    Raises:
        Fault: names the file.
    """
    image = _rgb(_open(path, most_pixels), path, frame)
    return np.asarray(image.convert("L"))[..., None] if channels == 1 else np.asarray(image)


def _open(path, most_pixels):
    try:
        require_regular(path)
        image = Image.open(path, formats=("JPEG", "PNG"))
    except FileNotFoundError as error:
        raise Fault("no such image file", path) from error
    except _UNREADABLE as error:
        raise Fault("no JPEG or PNG image", path, getattr(error, "strerror", None) or error) from error
    if image.width * image.height > most_pixels:
        raise Fault(f"an image of more than {most_pixels} pixels", path,
                    f"{image.width}x{image.height}; shrink it, or raise most_pixels of the data set's reader")
    if image.mode not in _MODES:
        raise Fault("pixels of more than 8 bits", path, f"mode {image.mode}; save it with 8 bits a channel")
    return image


def _decoded_orientation(image, path, most_pixels):
    """Decodes a file, just opened, to its end; returns what EXIF says of its orientation. Raises: Fault."""
    if image.format == "PNG":
        _check_sums(path, most_pixels)
    if image.format == "PNG" or not _is_whole_jpeg(path, image.mode):
        _rgb(image, path)
    try:
        return image.getexif().get(ORIENTATION, 1)
    except _UNREADABLE as error:
        raise Fault("EXIF data cannot be read", path, error) from error


def _check_sums(path, most_pixels):
    """Raises Fault where a checksum of a PNG file, which decoding does not look at, is wrong."""
    try:
        _open(path, most_pixels).verify()
    except _UNREADABLE as error:
        raise Fault("broken image file", path, error) from error


def _is_whole_jpeg(path, mode):
    """Whether a JPEG file was decoded to its end; False where that takes another decoder. Raises: Fault."""
    try:
        content = read_bytes(path)
        simplejpeg.decode_jpeg(content, "CMYK" if mode == "CMYK" else "GRAY", min_height=1, min_width=1, min_factor=8,
                               strict=True)
    except OSError as error:
        raise Fault("broken image file", path, error) from error
    except ValueError as error:
        if any(loss in str(error).lower() for loss in _LOST):
            raise Fault("broken image file", path, error) from error
        return False
    return True


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

