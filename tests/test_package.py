"""What is installed, and the floors of the house: a room imports only from those below it."""

import ast
import configparser
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# From the ground up; the rooms of one floor do not know each other.
FLOORS = [
    ["errors", "files", "randomness"],
    ["gin_faults", "json_files", "system_faults"],
    ["gin_files"],
    ["config", "geometry"],
    ["ops"],
    ["layers", "data", "visualization"],
    ["network"],
    ["evaluation"],
    ["explorer", "training"],
    ["studies"],
]


def imports(path):
    """The modules of this project that a file imports, with all that stands inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in ("glimpse", "experiments"))


def test_every_room_has_its_floor():
    rooms = {path.stem for path in (ROOT / "glimpse").iterdir() if not path.name.startswith("__")}
    assert rooms == {room for floor in FLOORS for room in floor}


@pytest.mark.parametrize("room", [room for floor in FLOORS for room in floor])
def test_a_room_imports_only_from_those_below(room):
    floor = next(place for place, rooms in enumerate(FLOORS) if room in rooms)
    below = {room, *(each for rooms in FLOORS[:floor] for each in rooms)}
    path = ROOT / "glimpse" / room
    for file in path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
        for name in imports(file):
            assert name.split(".")[0] == "glimpse" and name.split(".")[1] in below, f"{file} imports {name}"


def test_the_entry_points_of_one_program_do_not_know_those_of_another():
    for file in (ROOT / "experiments").glob("*.py"):
        known = {name.split(".")[1] for name in imports(file) if name.startswith("experiments.")}
        assert known <= {"launch"}, f"{file} imports {known}"


def test_everything_is_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = set(setup["options"]["packages"].split())
    folders = {file.parent.relative_to(ROOT) for top in ("glimpse", "experiments")
               for file in (ROOT / top).rglob("*.py")}
    assert packages == {".".join(folder.parts) for folder in folders} | {"glimpse.configs"}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)
    patterns = {name: value.replace(",", " ").split() for name, value in setup["options.package_data"].items()}
    beside = [file for file in (ROOT / "glimpse").rglob("*") if file.suffix not in (".py", ".pyc") and file.is_file()]
    assert len(beside) > 3
    for file in beside:
        package = ".".join(file.parent.relative_to(ROOT).parts)
        assert any(file.match(pattern) for pattern in patterns[package]), file
