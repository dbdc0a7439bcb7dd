"""Files are written whole or not at all; texts are UTF-8."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import sys
import threading


@contextlib.contextmanager
def naming(path):
    """An OSError inside the `with` names this file, which that of a failed write does not."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_whole(path, content):
    """Writes text or bytes under a temporary name, then renames it: a reader sees all of a file or none of it."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with naming(path):
            temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # else it would stand in place of the fault
            temporary.unlink(missing_ok=True)


def read_text(path):
    """A text file, which is UTF-8 whatever the locale says."""
    return pathlib.Path(path).read_text(encoding="utf-8")


def write_json(path, value):
    """Writes `value` as JSON, whole, a list of numbers on one line.

    Raises:
        ValueError: for a number that is not finite, which JSON does not have.
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    # No text can match: in JSON a string holds no line break.
    text = re.sub(r"\[\n[-+.\w\s,]*\n\s*\]", lambda numbers: re.sub(r"\n\s*", "", numbers[0]).replace(",", ", "), text)
    write_whole(path, text + "\n")


def file_name_of(text, most=160):
    """A file name, or a part of one, that stands for any text, such as the id of an image or the name of a class.

    It lies in no other directory, stands for no other text, and reads as the text does where that can be: letters,
    digits and spaces of every script stay, what else a path or a shell may take for its own becomes %XX as in URLs. A
    dot or space at the beginning and at the end does, too. Of a text too long for a file name the first part is kept,
    with a hash of it all.

    Args:
        text: any text or number.
        most: number of bytes that are not exceeded.
    """
    def plain(place, character):
        at_end = place in (0, len(text) - 1)
        try:
            character.encode(sys.getfilesystemencoding())
        except UnicodeEncodeError:
            return False
        return character.isprintable() and (not character.isascii() or character.isalnum() or character in "-_+=@,()"
                                            or character in ". " and not at_end)

    text = str(text)
    name = "".join(character if plain(place, character) else
                   "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
                   for place, character in enumerate(text)) or "%"
    if len(name.encode()) > most:
        mark = "~" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = name.encode()[:most - len(mark)].decode(errors="ignore") + mark
    return name
