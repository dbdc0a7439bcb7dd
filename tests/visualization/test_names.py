"""Names of any characters in pictures."""

import logging
import unicodedata
import warnings

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from glimpse.visualization import names
from glimpse.visualization.names import as_written


def drawn(text):
    """What matplotlib makes of a text: the characters that it shows, and whether it takes them for mathematics."""
    figure = Figure()
    return figure.text(0, 0, text)._preprocess_math(text)


@pytest.mark.parametrize("name", ["cost_$5$", "$", "$$", r"a\$b", r"$\alpha$", "x^2_{3}", "50 %", r"\frac", "a$b$c$"])
def test_dollars_are_no_mathematics(name):
    assert drawn(as_written(name)) == (name, False)


def test_two_names_in_one_text_are_no_mathematics_either():
    assert drawn(f"{as_written('a$')}: {as_written('$b')}") == ("a$: $b", False)


def test_what_does_not_print_is_escaped():
    assert as_written("a\nb\tc") == r"a\nb\tc"


@pytest.fixture
def fonts():
    before = list(matplotlib.rcParams["font.family"])
    names._warned.clear()
    yield
    matplotlib.rcParams["font.family"] = before


def test_a_font_that_has_the_character_is_taken(fonts):
    """Cyrillic from the fonts that matplotlib brings along, where the one in use has digits alone."""
    matplotlib.rcParams["font.family"] = ["cmr10"]
    as_written("Собака")
    family = matplotlib.rcParams["font.family"][1]
    path = font_manager.findfont(family)
    assert all(names._has(path, character) for character in "Собака")


@pytest.mark.parametrize("name, package", [
    ("猫", "fonts-noto-cjk"), ("고양이", "fonts-noto-cjk"), ("🐈", "fonts-symbola"), ("ບໍ່", "fonts-noto-core")])
def test_a_missing_font_is_one_line_and_no_warning_of_matplotlib(fonts, caplog, monkeypatch, name, package):
    monkeypatch.setattr(names, "_family_with", lambda character: None)
    monkeypatch.setattr(names, "_in_use", lambda character: False)
    with warnings.catch_warnings(record=True) as said, caplog.at_level(logging.WARNING):
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        figure = Figure()
        figure.text(0.1, 0.1, as_written(name))
        FigureCanvasAgg(figure).draw()
        as_written(name)
    lines = [record.message for record in caplog.records if record.name == names.__name__]
    assert len(lines) == 1 and package in lines[0] and repr(name) in lines[0]
    assert not [each for each in said if "Glyph" in str(each.message)] and unicodedata.name(name[0])
