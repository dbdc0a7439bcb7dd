"""Names of the data in pictures: shown as they are, whatever their characters.

matplotlib takes what stands between two dollars for mathematics, and draws boxes for characters that its font lacks.
"""

import functools
import logging
import unicodedata
import warnings

from matplotlib import font_manager, rcParams
from matplotlib.ft2font import FT2Font

# By the first word of a character's name in Unicode: the package of Debian and Ubuntu that has a font for it.
PACKAGES = dict.fromkeys(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"), "fonts-noto-cjk")
OTHER_PACKAGE, PICTURES, PICTURES_PACKAGE = "fonts-noto-core", range(0x1F000, 0x20000), "fonts-symbola"
_LOG = logging.getLogger(__name__)
_warned = set()  # scripts
# In its place stands one line that says what to install.
warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)


def as_written(name):
    """What to give matplotlib so that it shows this name as it is.

    The first name with characters that the fonts of `rcParams["font.family"]` lack adds to them a font that has them;
    where there is none, the log names the package to install.

    Args:
        name: any text; characters that do not print, such as line breaks, are shown as Python's escapes.

    Returns:
        The text for labels, titles, ticks and legends.
    """
    name = "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(name))
    for character in dict.fromkeys(name):
        if not character.isascii() and not _in_use(character):
            family = _family_with(character)
            if family:
                rcParams["font.family"] = [*rcParams["font.family"], family]
            else:
                _warn(character, name)
    return name.replace("$", r"\$")


def _in_use(character):
    """Whether one of the fonts in use has a character."""
    return any(_has(path, character) for path in
               font_manager.fontManager._find_fonts_by_props(font_manager.FontProperties()))


def _has(path, character):
    return bool(_font(path) and _font(path).get_char_index(ord(character)))


@functools.cache
def _font(path):
    """A font, None where matplotlib does not read its kind, or where it draws the name of a script for its letters."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return None
    return None if font.family_name.startswith("Last Resort") else font


@functools.cache
def _family_with(character):
    """The family of an installed font that has a character, None where there is none."""
    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    for path in set(font_manager.findSystemFonts()) - known:  # installed since matplotlib made its list
        if _font(path):
            manager.addfont(path)
    fonts = sorted(manager.ttflist, key=lambda entry: (entry.style != "normal", str(entry.weight) not in
                                                       ("400", "normal"), entry.name))
    return next((entry.name for entry in fonts if _has(entry.fname, character)), None)


def _warn(character, name):
    script = unicodedata.name(character, "unknown").split()[0]
    if script not in _warned:
        _warned.add(script)
        package = PICTURES_PACKAGE if ord(character) in PICTURES else PACKAGES.get(script, OTHER_PACKAGE)
        _LOG.warning("no font here has the character %s of the name %r: pictures show a box in its place; install one, "
                     "on Debian and Ubuntu the package %s", character, name, package)
