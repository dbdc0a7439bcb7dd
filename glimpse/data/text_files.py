"""Text files of other people's making -> text, whatever their byte order mark and the computer's own encoding say."""

import codecs
import os
import re
import stat
import unicodedata
from pathlib import Path

from glimpse.errors import GlimpseError

_MARKS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
          # Without a mark, but XML and JSON begin with an ASCII character.
          (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"), (b"{\0", "utf-16-le"), (b"\0{", "utf-16-be")]
_DECLARED = re.compile(rb"""<\?xml[^>]*?\bencoding\s*=\s*["']([\w.:+-]+)["']""")


def require_regular(path):
    """Raises OSError where `path` is none of a regular file, such as a pipe, which would never end."""
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # such as a null character in the path
        raise OSError(str(error)) from error
    if not stat.S_ISREG(mode):
        raise OSError("it is no regular file")


def spellings(name):
    """A name, and the same with accents as one character and as two: macOS writes the latter, most tools the former."""
    return [name] if name.isascii() else [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]


def on_disk(folder, name):
    """The path of a file in a folder, as the disk spells it where it is there."""
    if name.isascii():
        return folder / name
    return next((folder / each for each in spellings(name) if os.path.exists(folder / each)), folder / name)


def read_bytes(path):
    """The content of a regular file. Raises: OSError."""
    require_regular(path)
    return Path(path).read_bytes()


def decoded(content):
    """Bytes -> text, as a byte order mark says, else UTF-8; the mark is dropped. Raises: UnicodeDecodeError."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding)


def decoded_xml(content):
    """Bytes of an XML file -> text, as its byte order mark, else its declaration says, else UTF-8.

    Any encoding of text that Python knows will do, where XML parsers know few. Raises: UnicodeError, LookupError.
    """
    declared = _DECLARED.match(content)
    return content.decode(declared[1].decode()) if declared else decoded(content)


def numbered_lines(path):
    """Pairs of a line's number in a text file, from 1, and the line without the spaces around it, empty ones left out.

    Raises:
        OSError, UnicodeDecodeError.
    """
    # Not splitlines, which also breaks at characters that a name may hold.
    numbered = enumerate(re.split("\r\n|\r|\n", decoded(read_bytes(path))), start=1)
    return [(place, line.strip()) for place, line in numbered if line.strip()]


def lines(path, hint=""):
    """The lines of a text file without the spaces around them, empty ones left out.

    Raises:
        GlimpseError: names the file, with `hint` on what it should be.
    """
    try:
        return [line for _, line in numbered_lines(path)]
    except UnicodeDecodeError as error:
        raise GlimpseError(f"{path} cannot be read: it is not in UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise GlimpseError(f"{path} cannot be read ({error.strerror or error}){hint}") from error
