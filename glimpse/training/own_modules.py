"""Whose code a run imports: the user's own modules are noted when it trains, and run again only as they were then.

A gin file imports modules, and importing a module runs it. Who evaluates a run directory that somebody else has made
is to run no code that they have chosen: not what came with it, and nothing else that its note names either, such as a
file in a folder that all may write. So a note counts for the user who trained alone: it is signed with a key that is
kept outside of all runs.
"""

import contextlib
import hashlib
import hmac
import importlib.util
import json
import logging
import os
import pathlib
import secrets
import sys

from glimpse import gin_files
from glimpse.errors import GlimpseError
from glimpse.files import write_json
from glimpse.json_files import fields, list_of, nothing, one_of_shapes, read_json, text

NOTE = "modules.json"
_PROGRAM = ("glimpse", "experiments")
_LOG = logging.getLogger(__name__)
_MODULES = list_of(fields({"name": text, "path": text, "sha256": text}))
_SHAPE = one_of_shapes('{"modules": [{"name", "path", "sha256"}, ...], "signature": text}', _MODULES,
                       fields({"modules": _MODULES, "signature": one_of_shapes("a text or null", text, nothing)}))


def write_note(workdir, text, gin_file):
    """Notes the modules that the configuration `text` imports, and those that they import from beside the gin file.

    Returns:
        names of modules that have changed since the note that stood there.
    """
    before = {each["name"]: each["sha256"] for each in _read(workdir)[0]}
    note = _imported(text, gin_files.find(gin_file))
    if note or before:
        try:
            signature = _signature(note, _key(make=True))
        except OSError as error:
            _LOG.warning("%s cannot be written (%s): later uses of this run need --allow_import=NAME", _key_file(),
                         error.strerror)
            signature = None
        write_json(pathlib.Path(workdir) / NOTE, {"modules": note, "signature": signature})
    return [each["name"] for each in note if before.get(each["name"], each["sha256"]) != each["sha256"]]


def _imported(text, gin_file):
    named = {".".join(parts[:length]) for parts in (name.split(".") for name in gin_files.imports(text))
             for length in range(1, len(parts) + 1)}
    beside = None if gin_files.is_shipped(gin_file) else gin_file.resolve().parent
    note = []
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if not path or name.split(".")[0] in _PROGRAM or not pathlib.Path(path).is_file():
            continue
        path = pathlib.Path(path).resolve()
        if name in named or (beside in path.parents and "site-packages" not in path.parts and name != "__main__"):
            note.append({"name": name, "path": str(path), "sha256": _sha256(path)})
    return note


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _key_file():
    """The file of this user's key, outside of all runs."""
    return pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config") / "glimpse" / "key"


def _key(make=False):
    """This user's key; made where there is none, if asked for. Raises: OSError."""
    path = _key_file()
    if make and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".key.{secrets.token_hex(8)}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            with contextlib.suppress(FileExistsError):  # of another run that starts just now
                os.link(temporary, path)
        finally:
            temporary.unlink()
    return path.read_bytes()


def _signature(modules, key):
    return hmac.new(key, json.dumps(modules, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _read(workdir):
    """The noted modules, and whether this user has noted them."""
    path = pathlib.Path(workdir) / NOTE
    if not path.is_file():
        return [], False
    note = read_json(path, _SHAPE, "remove it, and name the run's own modules with --allow_import=NAME")
    if isinstance(note, list):  # without a signature
        return note, False
    try:
        key = _key()
    except OSError:
        return note["modules"], False
    own = len(key) == 32 and hmac.compare_digest(_signature(note["modules"], key).encode(),
                                                 (note["signature"] or "").encode())
    return note["modules"], own


def trusted(workdir, allowed=()):
    """What a run's configuration may import: glimpse, modules that this user noted, as they were, and `allowed` ones.

    Returns:
        may_import, for `glimpse.config.configuration`; and the directories where the noted modules are.
    """
    modules, own = _read(workdir)
    noted = {each["name"]: each for each in modules}
    faults = {name: _fault(pathlib.Path(each["path"]), each["sha256"], workdir) if own else
              "was not noted by a training of yours on this computer" for name, each in noted.items()}
    sound = {name for name, fault in faults.items() if not fault} | {name for name in noted if _among(name, allowed)}

    def may_import(name):
        if name.split(".")[0] == "glimpse" or _among(name, allowed):
            return
        cure = f"--allow_import={name} runs it as it is now, if you trust it"
        if name not in noted:
            raise GlimpseError(f"imports {name!r}, which is no module of this program and none that was noted when the "
                               f"run was trained; {cure}")
        for other in sorted({name, *noted} - sound):  # what it imports counts as well
            raise GlimpseError(f"imports {name!r}, and {noted[other]['path']} {faults[other]}; {cure}")
        _check_place(name, pathlib.Path(noted[name]["path"]))

    return may_import, sorted({str(_top_directory(each)) for name, each in noted.items() if name in sound})


def _among(name, allowed):
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


def _fault(path, sha256, workdir):
    if pathlib.Path(workdir).resolve() in path.resolve().parents:
        return "came with the run"
    try:
        if not path.is_absolute() or not path.is_file():
            return "is not there"
        return "" if _sha256(path) == sha256 else "is not what it was when the run was trained"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _top_directory(each):
    """The directory on the import path: that of x.py for "x", that of a/ for "a" and for "a.x"."""
    path = pathlib.Path(each["path"])
    module = path.parent if path.name == "__init__.py" else path
    return module.parents[each["name"].count(".")]


def _check_place(name, path):
    """Raises GlimpseError where another module of that name would be imported."""
    top, directory = name.split(".")[0], str(_top_directory({"name": name, "path": str(path)}))
    module = sys.modules.get(top)
    spec = importlib.util.find_spec(top) if module is None else None
    found = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if found and pathlib.Path(directory) not in pathlib.Path(found).resolve().parents:
        raise GlimpseError(f"imports {name!r}, which is now {found}, and was {path}; rename one of them")
