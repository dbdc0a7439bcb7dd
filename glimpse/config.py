"""Gin files and bindings -> a parsed configuration. The one place that parses, and that knows gin's peculiarities."""

import contextlib
import pathlib

import gin

from glimpse.errors import GlimpseError

_HERE = pathlib.Path(__file__).resolve().parent
# Inside the package where it was installed from a wheel, beside it in a checkout.
CONFIGS = next((path for path in (_HERE / "configs", _HERE.parent / "configs") if path.is_dir()), _HERE.parent / "configs")
gin.add_config_file_search_path(str(CONFIGS))
# gin would look for every file in a Python package of that name too, and fails where there is a mere directory of it, such
# as a user's own data/.
gin.config._FILE_READERS[:] = [reader for reader in gin.config._FILE_READERS if reader[0] is open]


@contextlib.contextmanager
def configuration(gin_file, gin_params=()):
    """Parses a file (a path, or one below configs/) and bindings ("NAME = value") over it; clears gin at the end.

    A fault in the file, in a binding, or in a value that a constructor refuses inside the `with` becomes a
    GlimpseError of one line that names the file and the bindings.

    Yields: the configuration as text, macros and bindings as parsed.
    """
    where = " ".join([str(gin_file), *(f"--gin_param={param!r}" for param in gin_params)])
    try:
        with _one_line_errors(where):
            _parse(gin_file, gin_params)
        with _one_line_errors(where, only=GlimpseError):
            yield gin.config_str()
    finally:
        gin.clear_config()


def _parse(gin_file, gin_params):
    if not any(path.is_file() for path in (pathlib.Path(gin_file), CONFIGS / gin_file)):
        raise GlimpseError(f"no such file, neither here nor below {CONFIGS}")
    # First the file alone, to learn which macros it knows: gin takes a misspelt macro for a new one.
    gin.parse_config_files_and_bindings([str(gin_file)], [], finalize_config=False)
    given = {param.split("=")[0].strip() for param in gin_params}
    for name, value in macros().items():
        if value == "%gin.REQUIRED" and name not in given:
            raise GlimpseError(f"needs {name}: give --gin_param='{name}=...', a text in quotes of its own")
    for param in gin_params:
        name = param.split("=")[0].strip()
        if "=" not in param:
            raise GlimpseError(f"{param!r} is no binding: write NAME=value")
        if "." not in name and name not in macros():
            raise GlimpseError(f"no macro {name!r}; there are {', '.join(sorted(macros()))}")
    gin.clear_config()
    gin.parse_config_files_and_bindings([str(gin_file)], list(gin_params))


@contextlib.contextmanager
def _one_line_errors(where, only=Exception):
    try:
        yield
    except only as error:
        # gin appends lines on where in the configuration a call was made; they belong to the message.
        message = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise GlimpseError(f"{where}: {message}") from error


def macros():
    """The macros of the parsed configuration, name -> value; references as text, such as "@learned()"."""
    plain = (bool, int, float, str, type(None), list, tuple, dict)
    return {scope: bindings["value"] if isinstance(bindings["value"], plain) else repr(bindings["value"])
            for (scope, selector), bindings in gin.config._CONFIG.items() if selector == "gin.macro"}


def unused_bindings():
    """Bindings that nothing has read so far, such as those of a part that the configuration does not use."""
    used = {}
    for (_, selector), parameters in gin.config._OPERATIVE_CONFIG.items():  # a reference in a macro is called in its scope
        used.setdefault(selector, set()).update(parameters)
    return sorted(f"{selector}.{name}" for (_, selector), bindings in gin.config._CONFIG.items()
                  if selector != "gin.macro" for name in bindings if name not in used.get(selector, ()))
