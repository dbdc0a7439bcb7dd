"""Whose code a run imports: the user's own modules are noted when it trains, and run again only as they were then.

A gin file imports modules, and importing a module runs it. Who evaluates a run directory that somebody else has made
is to run no code that came with it.
"""

import hashlib
import importlib.util
import json
import pathlib
import sys

from glimpse import gin_files
from glimpse.errors import GlimpseError
from glimpse.files import read_text, write_json

NOTE = "modules.json"
_PROGRAM = ("glimpse", "experiments")


def write_note(workdir, text, gin_file):
    """Notes the modules that the configuration `text` imports, and those that they import from beside the gin file.

    Returns:
        names of modules that have changed since the note that stood there.
    """
    path = pathlib.Path(workdir) / NOTE
    before = {each["name"]: each["sha256"] for each in _read(workdir)}
    note = _imported(text, gin_files.find(gin_file))
    if note or before:
        write_json(path, note)
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


def _read(workdir):
    path = pathlib.Path(workdir) / NOTE
    if not path.is_file():
        return []
    try:
        note = json.loads(read_text(path))
        return [{key: str(each[key]) for key in ("name", "path", "sha256")} for each in note]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); remove it, and name the run's own modules with "
                           "--allow_import=NAME") from error


def trusted(workdir, allowed=()):
    """What a run's configuration may import: glimpse, its noted modules as they were, and modules `allowed` by name.

    Returns:
        may_import, for `glimpse.config.configuration`; and the directories where the noted modules are.
    """
    noted = {each["name"]: each for each in _read(workdir)}
    faults = {name: _fault(pathlib.Path(each["path"]), each["sha256"], workdir) for name, each in noted.items()}
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
    if not path.is_absolute() or not path.is_file():
        return "is not there"
    return "" if _sha256(path) == sha256 else "is not what it was when the run was trained"


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
