"""Files are written whole or not at all; texts are UTF-8."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
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


def write_whole(path, content, lasting=True):
    """Writes text or bytes under a temporary name, then renames it: a reader sees all of a file or none of it.

    Args:
        path: of the file.
        content: text or bytes.
        lasting: it outlives a power cut too. That costs some 10 ms, too much for each file of a cache.
    """
    path = pathlib.Path(path)
    temporary = temporary_name(path)
    try:
        with naming(path):
            temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            if lasting:
                sync(temporary)
            os.replace(temporary, path)
            if lasting:
                sync(path.parent)
    finally:
        with contextlib.suppress(OSError):  # else it would stand in place of the fault
            temporary.unlink(missing_ok=True)


def temporary_name(path):
    """A name beside `path` that no other thread uses, and that `is_leftover` knows."""
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")


def is_leftover(name):
    """Whether a file or directory is named as by `temporary_name`: who was to rename it has been killed."""
    return re.fullmatch(r"\..+\.\d+\.\d+\.tmp", name) is not None


def remove_leftovers(directory):
    """Removes the files in a directory that killed processes left under a temporary name."""
    for path in list(pathlib.Path(directory).glob(".*.tmp")):
        if is_leftover(path.name):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def sync(path):
    """Returns once a file, or the list of the names in a directory, is on the disk itself."""
    if os.name != "posix":
        return  # Windows opens no directory
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(path):
    """Removes a file or a directory: to a reader all of it stands, or none."""
    temporary = temporary_name(path)
    os.replace(path, temporary)
    shutil.rmtree(temporary) if temporary.is_dir() and not temporary.is_symlink() else temporary.unlink()


def read_text(path):
    """A text file, which is UTF-8 whatever the locale says."""
    return pathlib.Path(path).read_text(encoding="utf-8")


def write_json(path, value, lasting=True):
    """Writes `value` as JSON as `write_whole` does, a list of numbers on one line.

    Raises:
        ValueError: for a number that is not finite, which JSON does not have.
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    # No text can match: in JSON a string holds no line break.
    text = re.sub(r"\[\n[-+.\w\s,]*\n\s*\]", lambda numbers: re.sub(r"\n\s*", "", numbers[0]).replace(",", ", "), text)
    write_whole(path, text + "\n", lasting)


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
