"""Gin files and bindings -> a parsed configuration. The one place that parses, and that knows gin's peculiarities.

Each file is read twice: by `glimpse.gin_files`, to check macros, imports and includes; then by gin. What gin or a
constructor says of a fault becomes one line by `glimpse.gin_faults`.
"""

import contextlib
import importlib.util
import math
import pathlib
import sys

import gin
from gin import config_parser

from glimpse import gin_faults, gin_files
from glimpse.errors import GlimpseError

LAUNCHERS = ("local", "ray", "slurm")  # what a study may be run by, and so what its file may set besides itself
_including = []  # directories of the files that gin has open
_own = []  # statements of the user's own files and bindings, while their configuration is in force


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

    Yields:
        the configuration as text, macros and bindings as parsed.
    """
    where = " ".join([str(gin_file), *(f"--gin_param={param!r}" for param in gin_params)])
    with contextlib.ExitStack() as stack:
        stack.callback(gin.clear_config)
        stack.callback(_own.clear)
        with gin_faults.one_line(where):
            path = gin_files.find(gin_file)
            if path is None:
                raise GlimpseError(f"no such file, neither here nor below {gin_files.CONFIGS}")
            if may_import is None and not gin_files.is_shipped(path):  # of a run, what was noted is on it already
                stack.enter_context(import_directories([path.parent]))
            _parse(path, gin_params, root, may_import)
        own = [gin_files.name_of(each) for each in gin_files.bindings(_own)]
        with gin_faults.one_line(where, of_constructors=True, own=own):
            yield gin.config_str()


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
    return gin_files.find(name, _including[-1] if _including else None) is not None


@contextlib.contextmanager
def _open(name):
    path = gin_files.find(name, _including[-1] if _including else None)
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
    for statement in gin_files.statements_of_file(path):
        if may_import is not None:  # before an included file is read
            _check_trust(statement, may_import)
        statements.append(statement)
    if may_import is None:
        _check_root(statements, root)
        for statement in statements:
            own = isinstance(statement, config_parser.ImportStatement) and statement.module.split(".")[0] != "glimpse"
            if own and not gin_files.is_shipped(path):
                _check_hidden(statement, path.parent)
    gin.parse_config_file(str(path))
    given = [gin_files.binding(param) for param in gin_params]
    _own.extend([each for each in statements if not gin_files.is_shipped(each.location.filename)] + given)
    if may_import is None:
        _check_lost(statements)
        _check_scopes(statements, given)
        _check_macros(statements, given)
    for param in gin_params:
        gin.parse_config(param)
    if may_import is None:
        _check_cut_off(statements, given)
    gin_faults.check_parameters()
    gin.finalize()


def _check_trust(statement, may_import):
    if isinstance(statement, config_parser.IncludeStatement):
        raise GlimpseError(f"line {statement.location.line_num}: includes {statement.filename!r}; the configuration "
                           "of a run includes no other file")
    if isinstance(statement, config_parser.ImportStatement):
        may_import(statement.module)


def _check_hidden(statement, directory):
    """Raises GlimpseError where a module beside the gin file has the name of one that comes before it."""
    name = statement.module.split(".")[0]
    files = (directory / f"{name}.py", directory / name / "__init__.py")
    beside = next((each for each in files if each.is_file()), None)
    if beside is not None:
        spec = importlib.util.find_spec(name) if name not in sys.modules else None
        found = getattr(sys.modules.get(name), "__file__", None) or getattr(spec, "origin", None) or "a part of Python"
        if pathlib.Path(found).resolve() != beside.resolve():
            raise GlimpseError(f"{gin_files.place_of(statement)}: imports {name!r}, which is {found} and not {beside}; "
                               "rename the latter")


def _check_root(statements, root):
    set_here = {each.selector.rsplit(".")[-1] for each in gin_files.bindings(statements) if each.arg_name}
    if root not in set_here and "study" in set_here:
        raise GlimpseError("is a study; experiments.sweep runs it, and its study.experiment names the experiment")
    if root not in set_here and "Experiment" in set_here:
        raise GlimpseError("is an experiment; experiments.train runs it, and a study names it as study.experiment")
    for each in gin_files.bindings(statements) if root == "study" and root in set_here else ():
        if each.arg_name and each.selector.rsplit(".")[-1] not in (root, *LAUNCHERS):
            raise GlimpseError(f"{gin_files.place_of(each)}: {gin_files.name_of(each)} has no effect on the runs of a "
                               "study; write it into the experiment's file, or into study.bindings, {'NAME': value}")
    if root not in set_here:
        cure = ("include a file that does, such as 'experiments/digits.gin'" if root == "Experiment" else
                "write study.experiment and study.grids")
        raise GlimpseError(f"sets nothing of {root}; {cure}")


def _full_name(statement):
    """As `name_of`, with the configurable's whole name: Adam and keras.optimizers.Adam are one."""
    if not statement.arg_name:
        return gin_files.name_of(statement)
    return gin_files.name_of(statement._replace(selector=gin.config._REGISTRY.get_match(statement.selector).selector))


def _check_lost(statements):
    """Raises GlimpseError where a later line replaces a value of the user's own, but not in a file that includes it."""
    last, above = {}, {}  # {name: its statement so far}; {file: the files that include it}
    for each in statements:
        file = each.location.filename
        if isinstance(each, config_parser.IncludeStatement):
            included = str(gin_files.find(each.filename, pathlib.Path(file).parent))
            above[included] = above.get(included, set()) | above.get(file, set()) | {file}
        elif isinstance(each, config_parser.BindingStatement):
            name = _full_name(each)
            before = last.get(name, each)
            last[name], set_at = each, before.location.filename
            if before.value == each.value or gin_files.is_shipped(set_at) or file in above.get(set_at, ()):
                continue
            cure = "keep one of them" if file == set_at else "write it after the include"
            raise GlimpseError(f"{gin_files.place_of(before)}: {gin_files.name_of(each)} = {before.value!r} is lost, "
                               f"for {gin_files.place_of(each)} sets it to {each.value!r}; {cure}")


def _check_cut_off(statements, given):
    """Raises GlimpseError where a binding of the user's own leaves a macro without effect, whose value is then untrue.

    Results tell the macros of a run. What is looked at are the parts that every run has. A directory may be another one
    for the features alone.
    """
    last, cut = {}, {}
    for each in gin_files.bindings(statements) + given:
        name = _full_name(each)
        before, last[name] = last.get(name), each
        own = each in given or not gin_files.is_shipped(each.location.filename)
        if own and before and _of_every_run(name) and each.arg_name != "feature_cache":
            cut |= {macro: each for macro in gin_files.macros_in(before.value)
                    if before.value == gin_files.macro(macro)}
    used = {macro for name, each in last.items() if _of_every_run(name) for macro in gin_files.macros_in(each.value)}
    for macro, each in cut.items():
        if macro not in used:
            raise GlimpseError(f"{gin_files.place_of(each)}: {gin_files.name_of(each)} = {each.value!r} leaves the "
                               f"macro {macro} without effect; write {macro} = {each.value!r}")


def _of_every_run(name):
    return name.split(".")[-2:-1] in (["Experiment"], ["GlimpseDetector"], ["Trainer"])


def _check_macros(statements, given):
    """Raises GlimpseError for a macro that nothing refers to, which gin takes for a new one, or that has no value."""
    files, bindings = gin_files.bindings(statements), gin_files.bindings(statements) + given
    used = {name: each for each in bindings for name in gin_files.macros_in(each.value) if name != "gin.REQUIRED"}
    for each in given + files:
        name = gin_files.name_of(each)
        if each.arg_name or name in used:
            continue
        there = gin_faults.closest(name, used)
        if each in given:
            raise GlimpseError(f"no macro {name!r}; there are {there}")
        if not gin_files.is_shipped(each.location.filename):
            raise GlimpseError(f"{gin_files.place_of(each)}: nothing uses the macro {name!r}; there are {there}")
    values = {gin_files.name_of(each): each.value for each in bindings if not each.arg_name}
    for name, each in used.items():
        if name not in values:
            raise GlimpseError(f"{gin_files.place_of(each)}: %{name} has no value; write {name} = ..., or one of "
                               f"{gin_faults.closest(name, values)}")
    for name, value in values.items():
        if value == gin_files.Reference("%gin.REQUIRED"):
            raise GlimpseError(f"needs {name}: give --gin_param='{name}=...', a text in quotes of its own")
        _check_circle(name, values)


def _check_scopes(statements, given):
    """Raises GlimpseError for a scope that no reference has, and for the macros of gin by their inner name."""
    files, bindings = gin_files.bindings(statements), gin_files.bindings(statements) + given
    known = {part for each in bindings for part in gin_files.scopes_in(each.value)}
    own_modules = any(isinstance(each, config_parser.ImportStatement) and each.module.split(".")[0] != "glimpse"
                      for each in statements)  # which may enter scopes that no gin file tells of
    for each in given + files:
        name = f"{gin_files.place_of(each)}: {gin_files.name_of(each)}"
        if each.arg_name and each.selector.rsplit(".")[-1] == "macro":
            raise GlimpseError(f"{name} is how gin itself calls a macro; write NAME = value")
        for part in each.scope.split("/") if each.scope and each.arg_name and not own_modules else ():
            if part not in known:
                raise GlimpseError(f"{name}: nothing has the scope {part!r}; there are "
                                   f"{gin_faults.closest(part, known)}")


def _check_circle(name, values):
    seen, waiting = set(), [name]
    while waiting:
        for inner in gin_files.macros_in(values.get(waiting.pop())):
            if inner == name:
                raise GlimpseError(f"the macro {name} is made of itself; give it a value")
            if inner not in seen:
                seen.add(inner)
                waiting.append(inner)


def value_of(param):
    """The value of a binding that is not laid over the file, with the macros in force: "x.y = [%SEED]" -> [0]."""
    statement = gin_files.binding(param)
    known = macros()
    for name in gin_files.macros_in(statement.value):
        if name not in known:
            raise GlimpseError(f"{param!r}: %{name} has no value; there are {gin_faults.closest(name, known)}")
    return _as_text(gin_files.filled_in(statement.value, known))


def _as_text(value):
    """A value whose references are texts, "@learned()"."""
    if isinstance(value, gin_files.Reference):
        return value.text
    if isinstance(value, (list, tuple)):
        return type(value)(_as_text(each) for each in value)
    return {key: _as_text(each) for key, each in value.items()} if isinstance(value, dict) else value


def macros():
    """The macros of the parsed configuration, name -> value as JSON has it; references as text, "@learned()"."""
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
    """What has been read so far, {"glimpse.network.policies.learned": {"deviation"}}; of macros {"SEED": {"value"}}.

    What was read in a scope counts for it, for those around it, and without one: "policy/keras.optimizers.Adam".
    """
    used = {}
    # A reference in a macro is called in the scope of that macro.
    for (scope, selector), parameters in gin.config._OPERATIVE_CONFIG.items():
        parts = scope.split("/") if scope and selector != "gin.macro" else []
        names = ["/".join([*parts[:end], selector]) for end in range(len(parts) + 1)]
        for name in [scope] if selector == "gin.macro" else names:
            used.setdefault(name, set()).update(parameters)
    return used


def unused_bindings():
    """The user's own bindings and macros that nothing has read so far, such as those of a part that is not used."""
    used, names = _used(), []
    for each in gin_files.bindings(_own):
        name, parameter = _full_name(each), "value"
        if each.arg_name:
            name, _, parameter = name.rpartition(".")
        if parameter not in used.get(name, ()):
            names.append(gin_files.name_of(each))
    return sorted(set(names))


def is_used(name):
    """Whether a binding of this name, "CosineDecay.decay_steps", has been read so far."""
    selector, _, parameter = name.rsplit("/")[-1].rpartition(".")
    configurable = gin.config._REGISTRY.get_match(selector) if selector else None
    return configurable is None or parameter in _used().get(configurable.selector, ())
