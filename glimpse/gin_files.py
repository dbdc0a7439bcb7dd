"""Gin files read without gin: their statements, with file and line, while nothing is imported, registered or run.

Configurations are looked for, checked and compared by this.
"""

import contextlib
import functools
import io
import pathlib
import tokenize
from typing import NamedTuple

from gin import config_parser

from glimpse import gin_faults
from glimpse.errors import GlimpseError

_HERE = pathlib.Path(__file__).resolve().parent
# Inside the package where it was installed from a wheel, beside it in a checkout.
CONFIGS = _HERE / "configs" if (_HERE / "configs").is_dir() else _HERE.parent / "configs"


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


def find(name, beside=None):
    """The path of a gin file: beside the one that names it, from here, or below configs/; None where it is not there.

    What a shipped file names is a shipped file.
    """
    places = [CONFIGS] if beside and is_shipped(beside) else [beside or pathlib.Path(), pathlib.Path(), CONFIGS]
    try:
        return next(((place / name).absolute() for place in places if (place / name).is_file()), None)
    except OSError:  # too long a name
        return None


@functools.cache
def is_shipped(path):
    """Whether a file is one of those below configs/."""
    return CONFIGS.resolve() in (pathlib.Path(path).resolve(), *pathlib.Path(path).resolve().parents)


def statements_of_file(path, including=()):
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
                raise GlimpseError(f"{place_of(statement)}: includes {statement.filename!r}, which is neither beside "
                                   f"it nor here nor below {CONFIGS}")
            yield from statements_of_file(included, (*including, path.resolve()))


def _statements_of(text, name):
    try:
        parser = config_parser.ConfigParser(text, _References())
        parser._filename = name  # gin takes it from a file object alone
        yield from (each for each in parser if not isinstance(each, config_parser.BlockDeclaration))
    except Exception as error:  # of the parser, of the tokenizer, of ast.literal_eval
        line, lines = getattr(error, "lineno", None) or _unclosed(text, error), text.split("\n")
        content = getattr(error, "text", None) or (lines[line - 1] if line and line <= len(lines) else text)
        raise GlimpseError(f"{name}{f', line {line}' * bool(line)}: {gin_faults.cure(content[:200], error)}") from error


def _unclosed(text, error):
    """The line of a bracket or text that is opened and never closed; None where the error is another one."""
    if not isinstance(error, tokenize.TokenError):
        return None
    opened = []
    with contextlib.suppress(tokenize.TokenError):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.string in ("(", "[", "{"):
                opened.append(token.start[0])
            elif token.string in (")", "]", "}") and opened:
                opened.pop()
    return opened[-1] if opened else error.args[1][0]


def binding(param):
    """The statement of one --gin_param."""
    if "=" not in param:
        raise GlimpseError(f"{param!r} is no binding: write NAME=value")
    statements = list(_statements_of(param, "--gin_param"))
    if len(statements) != 1 or not isinstance(statements[0], config_parser.BindingStatement):
        raise GlimpseError(f"{param!r} is not one binding: write NAME=value, and --gin_param again for another")
    return statements[0]


def name_of(statement):
    """NAME, Configurable.parameter or scope/Configurable.parameter of a binding."""
    scope, name = f"{statement.scope}/" if statement.scope else "", statement.selector
    return f"{scope}{name}.{statement.arg_name}" if statement.arg_name else f"{scope}{name}"


def place_of(statement):
    """ "mine.gin, line 3"."""
    return f"{statement.location.filename}, line {statement.location.line_num}"


def bindings(statements):
    """Those of the statements that give something a value."""
    return [each for each in statements if isinstance(each, config_parser.BindingStatement)]


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


def macros_in(value):
    """The names of the macros that a value refers to."""
    return [each.text[1:] for each in _flat(value) if isinstance(each, Reference) and each.text[0] == "%"]


def macro(name):
    """The reference %NAME."""
    return Reference(f"%{name}")


def scopes_in(value):
    """The parts of the scopes of the references in a value, ["policy"] of @policy/keras.optimizers.Adam()."""
    return [part for each in _flat(value) if isinstance(each, Reference) and each.text[0] == "@"
            for part in each.text[1:].split("/")[:-1]]


def settings(text):
    """The bindings of a configuration's text, {"Experiment.seed": 0, "Trainer.optimizer": @Adam()}.

    Macros are replaced by their values; those that nothing refers to stand for themselves.
    """
    bound = {name_of(each): each.value for each in bindings(_statements_of(text, "the configuration"))}
    used = {name for value in bound.values() for name in macros_in(value)}
    return {name: filled_in(value, bound) for name, value in bound.items() if name not in used}


def filled_in(value, bound, depth=100):
    """A value with macros replaced by their values in `bound`, name -> value."""
    if isinstance(value, Reference):
        known = value.text[0] == "%" and value.text[1:] in bound and depth
        return filled_in(bound[value.text[1:]], bound, depth - 1) if known else value
    if isinstance(value, (list, tuple)):
        return type(value)(filled_in(each, bound, depth) for each in value)
    if isinstance(value, dict):
        return {key: filled_in(each, bound, depth) for key, each in value.items()}
    return value


def macros_set_in(path):
    """The names of the macros that a file, or one that it includes, sets."""
    with gin_faults.one_line(str(path)):
        return {name_of(each) for each in bindings(statements_of_file(pathlib.Path(path))) if not each.arg_name}


def imports(text):
    """The modules that a configuration's text imports, by their names."""
    return [each.module for each in _statements_of(text, "the configuration")
            if isinstance(each, config_parser.ImportStatement)]
