"""Files are written whole or not at all; texts are UTF-8."""

import json
import os
import pathlib
import re
import threading


def write_whole(path, content):
    """Writes text or bytes under a temporary name, then renames it: a reader sees all of a file or none of it."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path):
    """A text file, which is UTF-8 whatever the locale says."""
    return pathlib.Path(path).read_text(encoding="utf-8")


def write_json(path, value):
    """Writes `value` as JSON, whole, a list of numbers on one line.

    Raises: ValueError for a number that is not finite, which JSON does not have.
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    # No text can match: in JSON a string holds no line break.
    text = re.sub(r"\[\n[-+.\w\s,]*\n\s*\]", lambda numbers: re.sub(r"\n\s*", "", numbers[0]).replace(",", ", "), text)
    write_whole(path, text + "\n")
