"""Tables of a report show any text as it is."""

import html
import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.studies.report.page import page
from glimpse.studies.report.tables import markdown


def cells_of(name):
    """The cells of a table with this text, as a browser shows them."""
    text = "# title\n\n" + markdown(pd.DataFrame({name: [name], "other column": ["x"]})) + "\n"
    return [html.unescape(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", page(text, {}), re.DOTALL)]


@pytest.mark.parametrize("name", [
    "a|b", "*cat*", "`cat`", "_cat_", "a_b", "<b>", "&amp;", "[cat](http://x)", "![cat](x)", "~~cat~~", "\\", "\\|",
    "a\\*b", "cost_$5$", "<http://x>", "58.7 [57.9, 59.7]", "-", "< 0.0001", "| --- |", "猫"])
def test_marks_are_shown(name):
    assert cells_of(name) == [name, "other column", name, "x"]


def test_line_breaks_are_escapes():
    assert cells_of("a\nb") == [r"a\nb", "other column", r"a\nb", "x"]


@given(st.text("ab |`*_<>&[](){}#!~\\-+.:/é\t", min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_text_is_shown(name):
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in name).strip()
    assert cells_of(name)[2] == shown


def test_what_tables_hold_today_is_left_as_it_is():
    table = pd.DataFrame({"NUM_GLIMPSES": ["3"], "POLICY": ["learned_constant"], "mAP": ["58.7 [57.9, 59.7]"]})
    assert markdown(table).splitlines()[::2] == ["| NUM_GLIMPSES | POLICY | mAP |",
                                                 "| 3 | learned_constant | 58.7 [57.9, 59.7] |"]
