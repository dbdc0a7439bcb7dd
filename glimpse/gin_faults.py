"""What gin, and constructors that it calls, say of a fault -> one line with what there is and what to write."""

import contextlib
import difflib
import inspect
import pathlib
import re
import sys
import sysconfig
import traceback

import gin

from glimpse.errors import GlimpseError

_OURS = pathlib.Path(__file__).resolve().parents[1]
_LIBRARIES = [pathlib.Path(path).resolve() for path in {sys.prefix, *sysconfig.get_paths().values()}]
_PACKAGES = {"site-packages", "dist-packages"}  # also the user's, and those of another environment that .pth files name
_REQUIRED = re.compile(r"Required bindings for `([\w.]+)` not provided in config: \[(.*?)\]")
_CALL = "In call to configurable '"


@contextlib.contextmanager
def one_line(where, of_constructors=False, of_values=False, own=()):
    """Turns an exception inside the `with` into a GlimpseError of one line that begins with `where`.

    One that begins with an argument of the program, such as --image, stays as it is.

    Args:
        where: text, what the user gave.
        of_constructors: only for a GlimpseError, and for a fault of a constructor that gin has called with values of
            the configuration. A fault inside a module of the user's own keeps its traceback then.
        of_values: the same, of whatever is computed with these values, such as a first step.
        own: names of the user's own bindings.
    """
    try:
        yield
    except (MemoryError, *((OSError,) if of_constructors or of_values else ())):  # noqa: B030
        raise
    except Exception as error:
        if isinstance(error, GlimpseError) and hasattr(error, "status"):  # of a run, not of its configuration
            raise
        if isinstance(error, RecursionError):
            message = "its references lead back to where they began, such as @Experiment() in a part of Experiment"
        elif isinstance(error, GlimpseError):
            message = _refusal(str(error))
        elif of_constructors and _REQUIRED.search(str(error)):
            message = _missing(str(error))
        elif of_values and not _in_own_code(error, called=True):
            message = f"a value of the configuration does not fit: {_joined(str(error))[:300]}{_place(error)}"
        elif not of_constructors and not of_values:
            message = _parsing(error)
        elif of_constructors and _CALL in str(error) and not _in_own_code(error):
            message = _constructing(error, own)
        else:
            raise
        if not re.match("--(?!gin_param)", message):  # else it is another argument that is at fault, no setting
            message = f"{where}: {message}"
        raise GlimpseError(message) from error


def closest(name, names, most=None):
    """Names in one text, those most like `name` first; "and N more" where there are more than `most`."""
    def unlikeness(other):
        return -difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio(), other

    ordered = sorted(set(names), key=unlikeness)
    more = len(ordered) - (most or len(ordered))
    return ", ".join(ordered[:most]) + (f" and {more} more" if more > 0 else "") or "none"


def cure(content, error):
    """What to write in place of a line that gin cannot read."""
    name, _, value = (part.strip() for part in content.partition("="))
    if re.fullmatch(r"[A-Za-z_]\w*", value):
        return f"cannot read {content.strip()!r}: a text needs quotes, {name}='{value}'; a part is written @{value}()"
    if re.fullmatch(r"[\w./]+", name) and re.fullmatch(r"[^-+\d'\"@%\[\](){}][^'\"@%\[\](){}]*", value):
        return f"cannot read {content.strip()!r}: a text, such as a path, needs quotes of its own, {name}='{value}'"
    said = _joined(getattr(error, "msg", None) or str(error))
    return (f"cannot read {content.strip()!r} ({said}); write NAME = a number, a text in quotes, a list, @part() "
            "or %MACRO")


def _refusal(text):
    """A GlimpseError of a constructor: gin appends lines on where it was called; the first names what refuses."""
    said, *calls = text.split(_CALL)
    return _joined(said) + (f" (in {calls[0].split(chr(39))[0]})" if calls else "")


def _missing(text):
    name, parameters = _REQUIRED.search(text).groups()
    names = ", ".join(f"{name}.{each}" for each in re.findall("[a-z_]+", parameters))
    return f"gives no value to {names}; write NAME = value"


def _joined(text):
    """One line, without the colours of a terminal."""
    return " ".join(line.strip() for line in re.sub(r"\x1b\[\d*m", "", text).splitlines() if line.strip())


def _parsing(error):
    """A fault that gin itself has found, with the names that there are."""
    text = _joined(str(error))
    unknown = re.search(r"No configurable matching (?:reference )?'@?(?:[\w/]+/)?([\w.]+)(?:\(\))?'", text)
    parameter = re.search(r"Configurable '([\w./]+)' doesn't have a parameter named '(\w+)'", text)
    if unknown:
        known = (selector.rsplit(".")[-1] for selector in gin.config._REGISTRY._selector_map
                 if not selector.startswith("gin."))
        return f"{text} There are {closest(unknown[1], known, 12)}; a module of your own must be imported"
    if parameter:
        known = _parameters(gin.config._REGISTRY.get_match(parameter[1]).wrapped)
        return f"{text} It has {closest(parameter[2], known)}"
    if isinstance(error, ImportError):
        return f"{text}; modules are looked for beside the gin file and on PYTHONPATH{_place(error)}"
    return f"{text}{_place(error)}"


def check_parameters():
    """Raises GlimpseError for a binding that a constructor with **kwargs would pass on to nobody."""
    for (_, selector), bindings in gin.config._CONFIG.items():
        configurable = gin.config._REGISTRY[selector]
        known = _parameters(configurable.wrapped)
        for parameter in bindings:
            if inspect.isclass(configurable.wrapped) and parameter not in known:
                raise GlimpseError(f"{configurable.name} doesn't have a parameter named {parameter!r}. It has "
                                   f"{closest(parameter, known)}")


def _parameters(function):
    """The names that a function, or the constructors of a class and of its parents, take."""
    constructors = [function]
    if inspect.isclass(function):
        constructors = [each.__init__ for each in function.__mro__ if "__init__" in vars(each)]
    names = set()
    for constructor in constructors:
        try:
            parameters = inspect.signature(constructor).parameters.values()
        except (ValueError, TypeError):
            break
        names |= {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
        if not any(each.kind == each.VAR_KEYWORD for each in parameters):
            break
    return names - {"self"}


def _constructing(error, own):
    """A fault that a constructor has met in its values."""
    text = str(error)
    name = text.split(_CALL)[1].split("'")[0]
    said = _joined(text.split(_CALL)[0]).rstrip(".")[:300]
    values = [f"{name}.{parameter} = {str(value)[:60]}" for (_, selector), bindings in gin.config._CONFIG.items()
              if selector.rsplit(".")[-1] == name and name != "Experiment" for parameter, value in bindings.items()]
    without_call = _without_call(own)
    called = [f"{each} = @{name}" for each, value in _references() if each in own and value.evaluate
              and value.selector.rsplit(".")[-1] == name] if "required positional argument" in said else ()
    return "".join([
        f"{name} cannot be made: {said}{_place(error)}", f"; it was given {', '.join(values)}" if values else "",
        f"; perhaps () is missing: {', '.join(without_call)}" if without_call else "",
        f"; perhaps () is too much: {', '.join(called)}" if called else ""])


def _without_call(own):
    """The user's own references without (), as they would be with it: ["POLICY = @learned()"]."""
    return [f"{name} = {value}()" for name, value in _references() if name in own and not value.evaluate]


def _references():
    """Pairs of a name, such as "POLICY" or "Experiment.data", and the reference that it is set to."""
    return [(scope if selector == "gin.macro" else f"{selector.rsplit('.')[-1]}.{parameter}", value)
            for (scope, selector), bindings in gin.config._CONFIG.items() for parameter, value in bindings.items()
            if isinstance(value, gin.config.ConfigurableReference)]


def _frames(error):
    return traceback.extract_tb(error.__traceback__)


def _place(error):
    """ "(TypeError, proposals.py:31)", for who has to look into it."""
    frames = [frame for frame in _frames(error) if "/gin/" not in frame.filename and frame.filename != __file__]
    return f" ({_kind(error)}, {pathlib.Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _kind(error):
    return type(error).__name__  # gin's proxies keep it


def _in_own_code(error, called=False):
    """Whether a module of the user's own was at work, of what gin has called."""
    for frame in _frames(error):
        path = pathlib.Path(frame.filename)
        if path.parts[-2:] == ("gin", "config.py"):
            called = True
        elif called and path.is_file():
            parents = path.resolve().parents
            libraries = {_OURS / "glimpse", _OURS / "experiments", *_LIBRARIES} & set(parents)
            if not libraries and not _PACKAGES & set(path.parts):
                return True
    return False
