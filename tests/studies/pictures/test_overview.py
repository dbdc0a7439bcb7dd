import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from glimpse.studies.pictures.curves import plot_difference_over_iou, plot_learning_curves, plot_map_over_iou
from glimpse.studies.pictures.overview import (
    plot_difference_by_class,
    plot_errors_by_kind,
    plot_map_over_glimpses,
)


def cells(*rows):
    """Cells from (NUM_GLIMPSES, POLICY, mean); the intervals reach 0.02 to either side."""
    table = pd.DataFrame(rows, columns=["NUM_GLIMPSES", "POLICY", "mean"]).convert_dtypes()
    milliseconds = 10.0 * table["NUM_GLIMPSES"]
    return table.assign(low=table["mean"] - 0.02, high=table["mean"] + 0.02, milliseconds_per_image=milliseconds)


TABLE = cells((1, None, 0.5), (2, "fixed", 0.6), (2, "learned", 0.55), (5, "fixed", 0.7), (5, "learned", 0.6))


def differences(table):
    """The cells with paired differences to 0.5, with one glimpse none; the intervals reach 0.01 to either side."""
    differences = table["mean"].where(table["NUM_GLIMPSES"] > 1) - 0.5
    return table.assign(difference=differences, difference_low=differences - 0.01, difference_high=differences + 0.01)


def curves(table):
    return pd.concat([differences(table).assign(iou=iou, mean=table["mean"] - iou / 4) for iou in (0.5, 0.7, 0.9)])


def classes(table):
    return pd.concat([differences(table.assign(mean=table["mean"] - less)).assign(**{"class": name})
                      for name, less in (("cat", 0.0), ("dog", 0.3), ("bird", 0.1))])


def errors(table):
    """Errors of three kinds that are worth a tenth, a fifth and nothing of the cells' values."""
    return pd.concat([table.assign(kind=kind, **{end: share * table[end] for end in ("mean", "low", "high")})
                      for kind, share in (("classification", 0.1), ("localisation", 0.2), ("missed", 0.0))])


def trainings(table):
    """Curves of a loss, and of a reward that the learned policy alone has."""
    loss = [table.assign(quantity="class_loss", step=step) for step in (25, 50)]
    reward = [cells.assign(quantity="reward")[cells["POLICY"].eq("learned").fillna(False)] for cells in loss]
    return pd.concat([*loss, *reward])


def drawn(figure):
    """Draws a figure without a display and returns its renderer."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines_of(axes, colour):
    return [line for line in axes.lines if same_color(line.get_color(), colour)]


def test_lines_are_in_percent_and_start_at_the_shared_cell():
    figure = plot_map_over_glimpses(TABLE, metric="mAP 50:95")
    axes = figure.axes[0]
    assert axes.get_ylabel() == "mAP 50:95 (%)" and axes.get_xlabel() == "number of glimpses"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "5"]
    assert legend_texts(figure) == ["fixed", "learned", "number of glimpses = 1"]
    fixed, learned = lines_of(axes, "#0072B2")[0], lines_of(axes, "#D55E00")[0]
    np.testing.assert_allclose(fixed.get_ydata().astype(float), [50, 60, 70])
    np.testing.assert_allclose(learned.get_ydata().astype(float), [50, 55, 60])
    # Error bars of the policies stand side by side, around the true place; the shared point has no offset.
    assert fixed.get_xdata()[0] == learned.get_xdata()[0] == 1
    assert fixed.get_xdata()[1] < 2 < learned.get_xdata()[1]
    assert abs(fixed.get_xdata()[1] - 2) < 0.2


def test_the_bars_are_the_intervals():
    axes = plot_map_over_glimpses(TABLE).axes[0]
    bars = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([[low[1], high[1]] for low, high in bars], [[58, 62], [68, 72]])


def test_a_cell_with_one_seed_is_a_point_without_bars():
    table = TABLE.assign(low=np.nan, high=np.nan)
    figure = plot_map_over_glimpses(table)
    drawn(figure)
    assert all(container.lines[2] == () for container in figure.axes[0].containers)
    some = TABLE.assign(low=TABLE["low"].where(TABLE["POLICY"].eq("fixed") & TABLE["NUM_GLIMPSES"].eq(2)))
    figure = plot_map_over_glimpses(some)
    drawn(figure)
    segments = [segment for segment in figure.axes[0].containers[0].lines[2][0].get_segments() if len(segment)]
    assert sum(np.isfinite(segment).all() for segment in segments) == 1


def test_an_interval_that_misses_its_mean_by_a_rounding_is_drawn():
    figure = plot_map_over_glimpses(TABLE.assign(low=np.nextafter(TABLE["mean"].astype(float), 1), high=TABLE["mean"]))
    drawn(figure)
    bars = [bar for container in figure.axes[0].containers for bar in container.lines[2][0].get_segments()]
    assert len(bars) == len(TABLE) and all(low[1] <= high[1] for low, high in bars)


def test_several_shared_cells_belong_to_their_lines():
    by_size = [TABLE.assign(POOLED_SIZE=size, mean=TABLE["mean"] + size / 1000) for size in (3, 5)]
    axes = plot_map_over_glimpses(pd.concat(by_size)).axes[0]
    assert [container.get_label() for container in axes.containers] == [
        "fixed, POOLED_SIZE=3", "learned, POOLED_SIZE=3", "fixed, POOLED_SIZE=5", "learned, POOLED_SIZE=5",
        "number of glimpses = 1",
    ]
    np.testing.assert_allclose(axes.lines[0].get_ydata().astype(float), [50.3, 60.3, 70.3])


def test_another_axis_may_be_drawn_over():
    table = pd.DataFrame({"POOLED_SIZE": [1, 7, 3], "mean": [0.1, 0.3, 0.2], "low": np.nan, "high": np.nan})
    figure = plot_map_over_glimpses(table, x="POOLED_SIZE")
    assert figure.axes[0].get_xlabel() == "pooled size (cells)"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata().astype(float), [[1, 10], [3, 20], [7, 30]])
    assert not figure.legends  # a single line needs no name


SIZES = pd.DataFrame({
    "POOLED_SIZE": pd.Categorical(["7", "3x7", "3"] * 2, ["3", "3x7", "7"], ordered=True),
    "NUM_GLIMPSES": pd.array([1, 1, 1, 3, 3, 3]), "POLICY": pd.array([None] * 3 + ["fixed"] * 3, dtype="string"),
    "mean": [0.3, 0.2, 0.1, 0.6, 0.5, 0.4], "low": np.nan, "high": np.nan,
    "milliseconds_per_image": [9.0, 8, 7, 3, 2, 1],
})


def test_sizes_stand_side_by_side_in_their_order():
    figure = plot_map_over_glimpses(SIZES, "POOLED_SIZE")
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["3", "3x7", "7"]
    assert legend_texts(figure) == ["NUM_GLIMPSES=1", "NUM_GLIMPSES=3, fixed"]
    fixed = lines_of(figure.axes[0], "#0072B2")[0]
    np.testing.assert_allclose(fixed.get_xdata(), [0, 1, 2], atol=0.1)
    np.testing.assert_allclose(fixed.get_ydata(), [40, 50, 60])
    panel = plot_map_over_iou(pd.concat([SIZES.assign(iou=iou) for iou in (0.5, 0.9)]), "POOLED_SIZE").axes[1]
    assert [line.get_label() for line in panel.lines] == ["3", "3x7", "7"]


def test_differences_by_class_have_a_panel_a_glimpse_count():
    two, five = plot_difference_by_class(classes(TABLE)).axes
    assert (two.get_title(), five.get_title()) == ("number of glimpses: 2", "number of glimpses: 5")
    assert [tick.get_text() for tick in two.get_yticklabels()] == ["dog", "bird", "cat"]  # the top one gained most
    fixed = lines_of(five, "#0072B2")[0]
    np.testing.assert_allclose(np.sort(fixed.get_xdata()), [-10, 10, 20])
    by_place = fixed.get_xdata()[np.argsort(fixed.get_ydata())]
    np.testing.assert_allclose(by_place, [-10, 10, 20])
    segments = five.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(sorted(end[0] for segment in segments for end in segment), [-11, -9, 9, 11, 19, 21])


def test_learning_curves_leave_out_who_has_not_logged_the_quantity():
    loss, reward = (plot_learning_curves(trainings(TABLE), quantity) for quantity in ("class_loss", "reward"))
    assert [panel.get_title() for panel in loss.axes] == ["fixed", "learned"]
    panel, = reward.axes
    assert (panel.get_title(), panel.get_xlabel(), panel.get_ylabel()) == (
        "learned", "training step", "P × IoU (0 to 1)")
    np.testing.assert_allclose(panel.lines[0].get_xydata(), [[25, 0.55], [50, 0.55]])
    # A number of glimpses has one colour in both, though one glimpse has no reward.
    colours = [{line.get_label(): line.get_color() for line in figure.axes[-1].lines} for figure in (loss, reward)]
    assert list(colours[0]) == ["1", "2", "5"] and list(colours[1]) == ["2", "5"]
    assert all(same_color(colours[0][value], colours[1][value]) for value in "25")


def test_a_panel_a_policy_with_the_shared_cell_in_black():
    figure = plot_map_over_iou(curves(TABLE))
    assert [panel.get_title() for panel in figure.axes] == ["fixed", "learned"]
    assert legend_texts(figure) == ["1", "2", "5"]
    for panel in figure.axes:
        (shared,) = lines_of(panel, "black")
        np.testing.assert_allclose(shared.get_xdata(), [0.5, 0.7, 0.9])
        np.testing.assert_allclose(shared.get_ydata().astype(float), [37.5, 32.5, 27.5])
        assert len(panel.lines) == 3


def test_an_interval_beyond_what_map_can_be_does_not_stretch_the_axis():
    wide = curves(TABLE).assign(low=-0.2, high=1.3)
    assert all(panel.get_ylim() == (0, 100) for panel in plot_map_over_iou(wide).axes)


def test_differences_leave_one_glimpse_out_and_keep_the_colours():
    figure = plot_difference_over_iou(curves(TABLE))
    assert legend_texts(figure) == ["2", "5"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata().astype(float), [10, 10, 10])
    both = [plot(curves(TABLE)).axes[0].lines for plot in (plot_map_over_iou, plot_difference_over_iou)]
    np.testing.assert_allclose(both[0][1].get_color(), both[1][0].get_color())


PICTURES = {
    plot_map_over_glimpses: cells, plot_map_over_iou: curves, plot_difference_over_iou: curves,
    plot_difference_by_class: classes, plot_errors_by_kind: errors,
    (lambda table: plot_learning_curves(table, "class_loss")): trainings,
}


@pytest.mark.parametrize("policies", [1, 3, 4, 5])
@pytest.mark.parametrize("plot", PICTURES)
def test_the_legend_hides_nothing_and_is_not_cut_off(plot, policies):
    names = ["fixed", "learned", "random", "repeat", "a policy of a longer name"][:policies]
    table = cells((1, None, 0.5), *((count, name, 0.6) for count in (2, 3) for name in names))
    figure = plot(table if PICTURES[plot] is cells else PICTURES[plot](table))
    renderer = drawn(figure)
    legend = figure.legends[0].get_window_extent(renderer)
    assert all(not legend.overlaps(panel.get_tightbbox(renderer)) for panel in figure.axes if panel.axison)
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1 and figure.bbox.y0 <= legend.y0


def test_a_policy_keeps_its_colour_and_marker_in_every_picture():
    whole = cells((1, None, 0.5), *((2, name, 0.6) for name in ("fixed", "learned", "mine", "random", "repeat")))
    part = cells((1, None, 0.5), (2, "repeat", 0.6), (2, "learned", 0.6))
    seen = {}
    for plot in (plot_map_over_glimpses, plot_difference_by_class):
        for table in (whole, part):
            axes = plot(classes(table) if plot is plot_difference_by_class else table).axes[0]
            for container in axes.containers:
                mark = container.lines[0]
                seen.setdefault(container.get_label(), set()).add((mark.get_color(), mark.get_marker()))
    assert set(seen) == {"fixed", "learned", "mine", "random", "repeat", "number of glimpses = 1"}
    assert all(len(styles) == 1 for styles in seen.values())
    assert len(set.union(*seen.values())) == len({colour for colour, _ in set.union(*seen.values())}) == len(seen)


def many_policies(count=13):
    """Cells of many policies at two, three and five glimpses, some with close results; names of up to 26 letters."""
    names = [f"a policy of this name, no {place}" if place % 3 == 0 else f"policy {place}" for place in range(count)]
    rows = [(glimpses, name, 0.6 - (place // 2) * 0.01 + glimpses / 1000)
            for glimpses in (2, 3, 5) for place, name in enumerate(names) if glimpses < 5 or place != 4]
    return cells(*sorted(rows, key=lambda row: -row[2]), (1, None, 0.5)), names


def test_many_lines_are_named_at_their_ends_where_no_name_covers_another():
    table, names = many_policies()
    figure = plot_map_over_glimpses(table)
    renderer = drawn(figure)
    # Without the lines that lead to them.
    places = [Text.get_window_extent(text, renderer) for text in figure.axes[0].texts]
    for place, box in enumerate(places):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        assert box.x0 > figure.axes[0].get_window_extent(renderer).x1
        assert all(Bbox.intersection(box.padded(-1), other.padded(-1)) is None for other in places[:place])
    written = {text.get_text(): text for text in figure.axes[0].texts}
    assert set(written) == set(names) and legend_texts(figure) == ["number of glimpses = 1"]
    marks = {container.get_label(): container.lines[0] for container in figure.axes[0].containers}
    assert all(same_color(text.get_color(), marks[name].get_color()) for name, text in written.items())
    looks = {(line.get_color(), line.get_marker()) for line in marks.values()}
    assert len(looks) == len(names) + 1  # no two look alike
    # From top to bottom in the order of the result.
    heights = [Text.get_window_extent(written[name]).y0 for name in names if name != "policy 4"]
    assert heights == sorted(heights, reverse=True)


def test_many_lines_in_several_panels_have_a_legend_in_the_order_of_their_results():
    table, _ = many_policies()
    figure = plot_errors_by_kind(errors(table))
    assert [panel.get_title() for panel in figure.axes if panel.axison] == ["classification", "localisation", "missed"]
    assert legend_texts(figure) == [*table["POLICY"].dropna().drop_duplicates(), "number of glimpses = 1"]
    assert all(container.lines[2] == () for container in figure.axes[0].containers)  # bars alone would be seen


def test_errors_are_in_points_on_one_scale():
    first, second, third = [panel for panel in plot_errors_by_kind(errors(TABLE)).axes if panel.axison]
    learned = lines_of(second, "#D55E00")[0]
    np.testing.assert_allclose(learned.get_ydata().astype(float), [10, 11, 12])
    assert first.get_ylabel() == "mAP 50 to gain (points)" and first.get_ylim() == third.get_ylim()


def test_no_figure_stays_open():
    from matplotlib import pyplot
    drawn(plot_map_over_glimpses(TABLE))
    assert pyplot.get_fignums() == []  # they belong to the caller, not to pyplot


def test_figures_draw_without_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    backend = matplotlib.rcParams._get("backend")
    drawn(plot_map_over_glimpses(TABLE))
    assert matplotlib.rcParams._get("backend") == backend  # none was chosen for the user
