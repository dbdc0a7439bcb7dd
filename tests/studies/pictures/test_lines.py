import pandas as pd
import pytest
from matplotlib.figure import Figure

from glimpse.studies.pictures.lines import _apart, lines_over, panel_grid, positions_of


def styles(rows, columns, x="NUM_GLIMPSES"):
    lines, _ = lines_over(pd.DataFrame(rows, columns=columns), x)
    return {line.label: line.style for line in lines}


def test_lines_of_one_policy_differ_in_their_dashes():
    by_size = styles([(2, "fixed", 3), (2, "learned", 3), (2, "fixed", 5)], ["NUM_GLIMPSES", "POLICY", "SIZE"])
    small, learned, large = (by_size[name] for name in ("fixed, SIZE=3", "learned, SIZE=3", "fixed, SIZE=5"))
    assert small["color"] == large["color"] != learned["color"]
    assert small["linestyle"] != large["linestyle"] and small["linestyle"] == learned["linestyle"] == "-"


def test_further_policies_have_colours_of_their_own():
    found = styles([(2, "zoom"), (2, "fixed"), (2, "edges")], ["NUM_GLIMPSES", "POLICY"])
    assert len({style["color"] for style in found.values()} | {"black"}) == 4
    assert styles([(2, "edges"), (2, "zoom")], ["NUM_GLIMPSES", "POLICY"])["zoom"] == found["zoom"]


def test_without_policies_each_line_has_its_own_colour_and_a_single_one_is_black():
    rates = styles([(2, 0.1), (2, 0.2)], ["NUM_GLIMPSES", "RATE"])
    assert list(rates) == ["RATE=0.1", "RATE=0.2"] and rates["RATE=0.1"]["color"] != rates["RATE=0.2"]["color"]
    assert styles([(2,)], ["NUM_GLIMPSES"])[""]["color"] == "black"


def test_what_has_no_policy_is_black_where_others_have_one():
    rows = [("3x7", 1, None), ("3x7", 3, "fixed")]
    found = styles(rows, ["POOLED_SIZE", "NUM_GLIMPSES", "POLICY"], x="POOLED_SIZE")
    assert found["NUM_GLIMPSES=1"]["color"] == "black" and found["NUM_GLIMPSES=3, fixed"]["color"] == "#0072B2"


def test_positions():
    assert positions_of(pd.Series([5, 1, 5, 2], dtype="Int64")) == {1: 1.0, 2: 2.0, 5: 5.0}
    sizes = pd.Series(pd.Categorical(["7", "3x7"], ["1", "3x7", "7"], ordered=True))
    assert positions_of(sizes) == {"3x7": 0.0, "7": 1.0}


@pytest.mark.parametrize("count, across, lowest, leftmost", [
    (1, 1, [0], [0]), (3, 3, [0, 1, 2], [0]), (4, 2, [2, 3], [0, 2]), (5, 3, [2, 3, 4], [0, 3])])
def test_panels(count, across, lowest, leftmost):
    figure, panels, low, left = panel_grid(count)
    assert isinstance(figure, Figure) and len(panels) == count
    assert figure.axes[0].get_gridspec().ncols == across
    assert [list(panels).index(panel) for panel in low] == lowest
    assert [list(panels).index(panel) for panel in left] == leftmost


def test_names_at_the_ends_are_moved_apart_and_no_further():
    assert _apart([1, 5, 9], 2) == [1, 5, 9]
    assert _apart([1, 1, 9], 2) == [0, 2, 9]
    assert _apart([0, 1, 1, 10], 2) == pytest.approx([-4 / 3, 2 / 3, 8 / 3, 10])  # three share their middle, 2/3
    assert _apart([0, 2.5, 3], 2) == pytest.approx([-1 / 6, 11 / 6, 23 / 6])  # moved apart, the last two meet the first


def test_lines_stand_in_the_order_of_the_table_and_keep_their_style():
    rows = [(2, "b", 1), (2, "a", 2), (3, "b", 2), (3, "a", 2)]
    columns = ["NUM_GLIMPSES", "POLICY", "SIZE"]
    found, reverse = styles(rows, columns), styles(rows[::-1], columns)
    assert list(found) == ["b, SIZE=1", "a, SIZE=2", "b, SIZE=2"]
    assert list(reverse) == ["a, SIZE=2", "b, SIZE=2", "b, SIZE=1"] and found == reverse


def test_a_policy_with_many_lines_has_a_colour_for_each():
    found = styles([(2, "learned", size) for size in range(9)] + [(2, "fixed", 1)], ["NUM_GLIMPSES", "POLICY", "SIZE"])
    assert len({(style["color"], style["marker"]) for style in found.values()}) == 10
    assert found["fixed, SIZE=1"]["color"] == "#0072B2"


def test_cells_at_one_place_are_no_line_even_where_one_lacks_an_axis():
    """Heads as in the paper, and others, of one policy at T = 3; a pooling that T = 1 alone has."""
    table = pd.DataFrame([(1, None, None, None), (1, None, None, "deformable"), (3, "refine", None, None),
                          (2, "refine", "last", None), (3, "refine", "last", None)],
                         columns=["NUM_GLIMPSES", "POLICY", "FUSION", "POOLING"]).convert_dtypes()
    lines, shared = lines_over(table, "NUM_GLIMPSES")
    assert {line.label: line.cells.index.tolist() for line in lines} == {
        "POOLING=deformable": [1], "refine": [0, 2], "refine, FUSION=last": [0, 3, 4]}
    assert shared.index.tolist() == [0]
