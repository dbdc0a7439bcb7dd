"""What the system refuses -- a full disk, a missing permission -- as one line with the path and what to do.

Files are written in many places, by Python and by TensorFlow. None of them can mend such a fault, so it goes up to
where the program ends, and is put into words there.
"""

import errno
import os
import re
import sys

from glimpse.errors import GlimpseError

_CURES = {
    errno.ENOSPC: "make room there, and give the same command again",
    errno.EDQUOT: "make room there, and give the same command again",
    errno.EFBIG: "allow larger files there, and give the same command again",
    errno.EROFS: "name a directory that may be written",
    errno.EACCES: "give yourself the permission, or name another place",
    errno.EPERM: "give yourself the permission, or name another place",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EMFILE: "allow more of them, as by `ulimit -n 4096`, and give the same command again",
    errno.ENFILE: "close other programs, and give the same command again",
    errno.EIO: "look at the disk",
    errno.ESTALE: "look at the file server, and give the same command again",
    errno.ELOOP: "look at the links on that path",
    errno.ENOTDIR: "name a path that runs through directories alone",
    errno.EISDIR: "name a file",
    errno.ENOENT: "it may have been removed while the program ran",
    errno.EAGAIN: "close other programs, and give the same command again",
    errno.ENOMEM: "close other programs, or make the batches smaller",
}


def line_of(error):
    """The line that tells of an exception; None where it is no fault of the system."""
    if isinstance(error, OSError):
        number = {errno.EWOULDBLOCK: errno.EAGAIN}.get(error.errno, error.errno)
        return _line(number, error.filename, error.strerror) if number in _CURES else None
    if isinstance(error, UnicodeEncodeError) and _locale():
        return f"{error.object!a}: {_locale()}"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(error, tensorflow.errors.OpError):
        return _line_of_text(str(error))
    return None


def check_name(path):
    """Raises GlimpseError for a path that TensorFlow, which takes all as UTF-8, would write elsewhere."""
    if _locale() and not str(path).isascii():
        raise GlimpseError(f"{str(path)!a}: {_locale()}")


def _locale():
    """What to do about a locale that is not UTF-8; None where it is."""
    encoding = sys.getfilesystemencoding()
    return None if encoding == "utf-8" else (f"the locale's encoding is {encoding}, and the names of files here are "
                                             "read as UTF-8; set PYTHONUTF8=1")


def _line_of_text(text):
    """TensorFlow hands on the text of a fault alone: its own, or that of an OSError in one of its threads."""
    for number in _CURES:
        said = re.escape(os.strerror(number))
        found = re.search(rf"(?P<own>[^\s;]+); {said}|\[Errno {number}\] {said}(: '(?P<python>[^']*)')?", text)
        if found:
            return _line(number, found["own"] or found["python"], os.strerror(number))
    return None


def _line(number, path, said):
    where = f"{os.fsdecode(path)}: " if isinstance(path, (str, bytes, os.PathLike)) else ""
    return " ".join(f"{where}{said}; {_CURES[number]}".splitlines())
