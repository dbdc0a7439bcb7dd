"""Gin files and bindings -> a parsed configuration. The one place that parses, and that knows gin's peculiarities.

Each file is read twice: by `_statements`, which imports and registers nothing, to check macros, imports and includes;
then by gin. What gin or a constructor says of a fault becomes one line by `glimpse.gin_faults`.
"""

import contextlib
import functools
import math
import pathlib
import sys
from typing import NamedTuple

import gin
from gin import config_parser

from glimpse import gin_faults
from glimpse.errors import GlimpseError

_HERE = pathlib.Path(__file__).resolve().parent
# Inside the package where it was installed from a wheel, beside it in a checkout.
CONFIGS = next((path for path in (_HERE / "configs", _HERE.parent / "configs") if path.is_dir()), _HERE.parent / "configs")
_including = []  # directories of the files that gin has open
_own = []  # statements of the user's own files and bindings, while their configuration is in force


class Reference(NamedTuple):
    """What stands for a part or a macro in a file that is read without gin: "@learned()", "%SEED"."""

    text: str

    def __repr__(self):
        return self.text


class _References(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name, evaluate):
        return Reference(f"@{scoped_configurable_name}{'()' * evaluate}")

    def macro(self, macro_name):
        return Reference(f"%{macro_name}")


@contextlib.contextmanager
def configuration(gin_file, gin_params=(), root="Experiment", may_import=None):
    """Parses a file (a path, or one below configs/) and bindings ("NAME = value") over it; clears gin at the end.

    A fault in the file, in a binding, or in a value that a constructor refuses inside the `with` becomes a GlimpseError
    of one line that names the file and the bindings. While it is in force, the directory of the file is on the import
    path, after all else.

    Args:
        gin_file: text or Path.
        gin_params: list of texts.
        root: "Experiment" or "study", what the file has to set.
        may_import: for the configuration of a run directory, which includes no other file: called with the name of
            each module before it is imported; raises GlimpseError for one that is not to be run.

    Yields: the configuration as text, macros and bindings as parsed.
    """
    where = " ".join([str(gin_file), *(f"--gin_param={param!r}" for param in gin_params)])
    with contextlib.ExitStack() as stack:
        stack.callback(gin.clear_config)
        stack.callback(_own.clear)
        with gin_faults.one_line(where):
            path = find(gin_file)
            if path is None:
                raise GlimpseError(f"no such file, neither here nor below {CONFIGS}")
            if may_import is None and not is_shipped(path):  # of a run, what was noted is on it already
                stack.enter_context(import_directories([path.parent]))
            _parse(path, gin_params, root, may_import)
        with gin_faults.one_line(where, of_constructors=True):
            yield gin.config_str()


def find(name, beside=None):
    """The path of a gin file: beside the one that names it, from here, or below configs/; None where it is not there.

    What a shipped file names is a shipped file.
    """
    places = [CONFIGS] if beside and is_shipped(beside) else [beside or pathlib.Path(), pathlib.Path(), CONFIGS]
    try:
        return next((place / name for place in places if (place / name).is_file()), None)
    except OSError:  # too long a name
        return None


@functools.cache
def is_shipped(path):
    """Whether a file is one of those below configs/."""
    return CONFIGS.resolve() in (pathlib.Path(path).resolve(), *pathlib.Path(path).resolve().parents)


@contextlib.contextmanager
def import_directories(directories):
    """Directories on the import path, after all that is there, so that nothing of theirs hides another module."""
    added = {str(pathlib.Path(directory).resolve()) for directory in directories} - set(sys.path)
    sys.path.extend(added)
    try:
        yield
    finally:
        for directory in added:
            sys.path.remove(directory)


def _readable(name):
    return find(name, _including[-1] if _including else None) is not None


@contextlib.contextmanager
def _open(name):
    path = find(name, _including[-1] if _including else None)
    _including.append(path.parent)
    try:
        with open(path, encoding="utf-8-sig") as file:  # an editor's byte order mark is no part of the first name
            yield file
    finally:
        _including.pop()


# gin would look for every file in a Python package of that name too, and for an included one from here alone.
gin.config._FILE_READERS[:] = [(_open, _readable)]


def _parse(path, gin_params, root, may_import):
    statements = []
    for statement in _statements(path):
        if may_import is not None:  # before an included file is read
            _check_trust(statement, may_import)
        statements.append(statement)
    if may_import is None:
        _check_root(statements, root)
    gin.parse_config_file(str(path.absolute()))
    given = [_binding(param) for param in gin_params]
    _own.extend([each for each in statements if not is_shipped(each.location.filename)] + given)
    if may_import is None:
        _check_macros(statements, given)
    for param in gin_params:
        gin.parse_config(param)
    gin_faults.check_parameters()
    gin.finalize()


def _check_trust(statement, may_import):
    if isinstance(statement, config_parser.IncludeStatement):
        raise GlimpseError(f"line {statement.location.line_num}: includes {statement.filename!r}; the configuration of a "
                           "run includes no other file")
    if isinstance(statement, config_parser.ImportStatement):
        may_import(statement.module)


def _statements(path, including=()):
    """The statements of a file and of those that it includes, in order. Raises GlimpseError with file and line."""
    if path.resolve() in including:
        raise GlimpseError(f"{path} includes itself")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); it must be a text in UTF-8") from error
    for statement in _statements_of(text, str(path)):
        yield statement
        if isinstance(statement, config_parser.IncludeStatement):
            included = find(statement.filename, path.parent)
            if included is None:
                raise GlimpseError(f"{path}, line {statement.location.line_num}: includes {statement.filename!r}, which "
                                   f"is neither beside it nor here nor below {CONFIGS}")
            yield from _statements(included, (*including, path.resolve()))


def _statements_of(text, name):
    try:
        parser = config_parser.ConfigParser(text, _References())
        parser._filename = name  # gin takes it from a file object alone
        yield from (each for each in parser if not isinstance(each, config_parser.BlockDeclaration))
    except Exception as error:  # of the parser, of the tokenizer, of ast.literal_eval
        line = getattr(error, "lineno", None)
        content = getattr(error, "text", None) or (text.splitlines()[line - 1] if line else text)
        raise GlimpseError(f"{name}{f', line {line}' * bool(line)}: {gin_faults.cure(content, error)}") from error


def _binding(param):
    """The statement of one --gin_param."""
    if "=" not in param:
        raise GlimpseError(f"{param!r} is no binding: write NAME=value")
    statements = list(_statements_of(param, "--gin_param"))
    if len(statements) != 1 or not isinstance(statements[0], config_parser.BindingStatement):
        raise GlimpseError(f"{param!r} is not one binding: write NAME=value, and --gin_param again for another")
    return statements[0]


def name_of(statement):
    """NAME, Configurable.parameter or scope/Configurable.parameter of a binding."""
    return f"{statement.scope}{'/' * bool(statement.scope)}{statement.selector}{'.' * bool(statement.arg_name)}{statement.arg_name}"


def _bindings(statements):
    return [each for each in statements if isinstance(each, config_parser.BindingStatement)]


def _check_root(statements, root):
    set_here = {each.selector.rsplit(".")[-1] for each in _bindings(statements) if each.arg_name}
    if root not in set_here and "study" in set_here:
        raise GlimpseError("is a study; experiments.sweep runs it, and its study.experiment names the experiment")
    if root not in set_here and "Experiment" in set_here:
        raise GlimpseError("is an experiment; experiments.train runs it, and a study names it as study.experiment")
    if root not in set_here:
        raise GlimpseError(f"sets nothing of {root}; include a file that does, such as "
                           "'experiments/digits.gin'" if root == "Experiment" else
                           f"sets nothing of {root}; write study.experiment and study.grids")


def _check_macros(statements, given):
    """Raises GlimpseError for a macro that nothing refers to, which gin takes for a new one, and for one that nobody sets."""
    files, bindings = _bindings(statements), _bindings(statements) + given
    used = {name: each for each in bindings for name in _macros_in(each.value) if name != "gin.REQUIRED"}
    for each in given + files:
        name = name_of(each)
        if each.arg_name or name in used:
            continue
        there = gin_faults.closest(name, used)
        if each in given:
            raise GlimpseError(f"no macro {name!r}; there are {there}")
        if not is_shipped(each.location.filename):
            raise GlimpseError(f"{each.location.filename}, line {each.location.line_num}: nothing uses the macro {name!r}; "
                               f"there are {there}")
    values = {name_of(each): each.value for each in bindings if not each.arg_name}
    for name, each in used.items():
        if name not in values:
            raise GlimpseError(f"{each.location.filename}, line {each.location.line_num}: %{name} has no value; write "
                               f"{name} = ..., or one of {gin_faults.closest(name, values)}")
    for name, value in values.items():
        if value == Reference("%gin.REQUIRED"):
            raise GlimpseError(f"needs {name}: give --gin_param='{name}=...', a text in quotes of its own")
        _check_circle(name, values)


def _check_circle(name, values):
    seen, waiting = set(), [name]
    while waiting:
        for inner in _macros_in(values.get(waiting.pop())):
            if inner == name:
                raise GlimpseError(f"the macro {name} is made of itself; give it a value")
            if inner not in seen:
                seen.add(inner)
                waiting.append(inner)


def _flat(value):
    """A value, and all that a list, tuple or dict holds."""
    yield value
    if isinstance(value, (list, tuple)) and not isinstance(value, Reference):
        for each in value:
            yield from _flat(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(key)
            yield from _flat(each)


def _macros_in(value):
    return [each.text[1:] for each in _flat(value) if isinstance(each, Reference) and each.text[0] == "%"]


def settings(text):
    """The bindings of a configuration's text, {"Experiment.seed": 0, "Trainer.optimizer": @Adam()}; nothing is imported.

    Macros are replaced by their values; those that nothing refers to stand for themselves.
    """
    bound = {name_of(each): each.value for each in _bindings(_statements_of(text, "the configuration"))}
    used = {name for value in bound.values() for name in _macros_in(value)}
    return {name: _filled_in(value, bound) for name, value in bound.items() if name not in used}


def _filled_in(value, bound, depth=100):
    if isinstance(value, Reference):
        known = value.text[0] == "%" and value.text[1:] in bound and depth
        return _filled_in(bound[value.text[1:]], bound, depth - 1) if known else value
    if isinstance(value, (list, tuple)):
        return type(value)(_filled_in(each, bound, depth) for each in value)
    if isinstance(value, dict):
        return {key: _filled_in(each, bound, depth) for key, each in value.items()}
    return value


def macros_set_in(path):
    """The names of the macros that a file, or one that it includes, sets."""
    with gin_faults.one_line(str(path)):
        return {name_of(each) for each in _bindings(_statements(pathlib.Path(path))) if not each.arg_name}


def imports(text):
    """The modules that a configuration's text imports, by their names."""
    return [each.module for each in _statements_of(text, "the configuration")
            if isinstance(each, config_parser.ImportStatement)]


def value_of(param):
    """The value of a binding that is not laid over the file, with the macros in force: "x.y = [%SEED]" -> [0]."""
    statement = _binding(param)
    known = macros()
    for name in _macros_in(statement.value):
        if name not in known:
            raise GlimpseError(f"{param!r}: %{name} has no value; there are {gin_faults.closest(name, known)}")
    return _as_text(_filled_in(statement.value, known))


def _as_text(value):
    """A value whose references are texts, "@learned()"."""
    if isinstance(value, Reference):
        return value.text
    if isinstance(value, (list, tuple)):
        return type(value)(_as_text(each) for each in value)
    return {key: _as_text(each) for key, each in value.items()} if isinstance(value, dict) else value


def macros():
    """The macros of the parsed configuration, name -> value as JSON has it; references as text, such as "@learned()"."""
    return {scope: resolved(bindings["value"])
            for (scope, selector), bindings in gin.config._CONFIG.items() if selector == "gin.macro"}


def setting(name):
    """The value that the parsed configuration gives a parameter, "Experiment.train_steps"; None where it gives none."""
    try:
        return resolved(gin.query_parameter(name))
    except ValueError:
        return None


def resolved(value):
    """A value with macros replaced by theirs, and what JSON has no form for as text."""
    if isinstance(value, gin.config.ConfigurableReference):
        bound = gin.config._CONFIG.get(("/".join(value.scopes), "gin.macro")) if value.selector == "gin.macro" else None
        return resolved(bound["value"]) if bound else repr(value)
    if isinstance(value, (list, tuple)):
        return type(value)(resolved(each) for each in value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): resolved(each) for key, each in value.items()}
    plain = isinstance(value, (bool, int, str, type(None))) or isinstance(value, float) and math.isfinite(value)
    return value if plain else repr(value)


def _used():
    """What has been read so far: {"glimpse.network.policies.learned": {"deviation", ...}}; macros as {"SEED": {"value"}}."""
    used = {}
    # A reference in a macro is called in the scope of that macro.
    for (scope, selector), parameters in gin.config._OPERATIVE_CONFIG.items():
        used.setdefault(scope if selector == "gin.macro" else selector, set()).update(parameters)
    return used


def unused_bindings():
    """The user's own bindings and macros that nothing has read so far, such as those of a part that is not used."""
    used, names = _used(), []
    for each in _bindings(_own):
        if each.arg_name:
            selector, parameter = gin.config._REGISTRY.get_match(each.selector).selector, each.arg_name
        else:
            selector, parameter = name_of(each), "value"
        if parameter not in used.get(selector, ()):
            names.append(name_of(each))
    return sorted(set(names))


def is_used(name):
    """Whether a binding of this name, "CosineDecay.decay_steps", has been read so far."""
    selector, _, parameter = name.rsplit("/")[-1].rpartition(".")
    configurable = gin.config._REGISTRY.get_match(selector) if selector else None
    return configurable is None or parameter in _used().get(configurable.selector, ())
