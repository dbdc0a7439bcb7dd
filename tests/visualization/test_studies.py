import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color

from glimpse.visualization.studies import plot_difference_over_iou, plot_map_over_glimpses, plot_map_over_iou


def cells(*rows):
    """Cells from (NUM_GLIMPSES, POLICY, mean); the intervals reach 0.02 to either side."""
    table = pd.DataFrame(rows, columns=["NUM_GLIMPSES", "POLICY", "mean"]).convert_dtypes()
    return table.assign(low=table["mean"] - 0.02, high=table["mean"] + 0.02)


TABLE = cells((1, None, 0.5), (2, "fixed", 0.6), (2, "learned", 0.55), (5, "fixed", 0.7), (5, "learned", 0.6))


def curves(table):
    differences = table["mean"].where(table["NUM_GLIMPSES"] > 1) - 0.5
    table = table.assign(difference=differences, difference_low=differences - 0.01, difference_high=differences + 0.01)
    return pd.concat([table.assign(iou=iou, mean=table["mean"] - iou / 4) for iou in (0.5, 0.7, 0.9)])


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
    fixed, learned = axes.lines[0], next(line for line in axes.lines if line.get_color() == "#D55E00")
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
    segments = figure.axes[0].containers[0].lines[2][0].get_segments()
    assert not any(len(segment) and np.isfinite(segment).all() for segment in segments)


def test_an_interval_that_misses_its_mean_by_a_rounding_is_drawn():
    drawn(plot_map_over_glimpses(TABLE.assign(low=np.nextafter(TABLE["mean"].astype(float), 1), high=TABLE["mean"])))


def test_several_shared_cells_belong_to_their_lines():
    by_size = [TABLE.assign(POOLED_SIZE=size, mean=TABLE["mean"] + size / 1000) for size in (3, 5)]
    axes = plot_map_over_glimpses(pd.concat(by_size)).axes[0]
    assert [container.get_label() for container in axes.containers] == [
        "fixed, POOLED_SIZE=3", "learned, POOLED_SIZE=3", "fixed, POOLED_SIZE=5", "learned, POOLED_SIZE=5"
    ]  # fmt: skip
    np.testing.assert_allclose(axes.lines[0].get_ydata().astype(float), [50.3, 60.3, 70.3])


def test_another_axis_may_be_drawn_over():
    table = pd.DataFrame({"POOLED_SIZE": [1, 7, 3], "mean": [0.1, 0.3, 0.2], "low": np.nan, "high": np.nan})
    figure = plot_map_over_glimpses(table, x="POOLED_SIZE")
    assert figure.axes[0].get_xlabel() == "pooled size"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata().astype(float), [[1, 10], [3, 20], [7, 30]])
    assert not figure.legends  # a single line needs no name


def test_a_panel_a_policy_with_the_shared_cell_in_black():
    figure = plot_map_over_iou(curves(TABLE))
    assert [panel.get_title() for panel in figure.axes] == ["fixed", "learned"]
    assert legend_texts(figure) == ["1", "2", "5"]
    for panel in figure.axes:
        (shared,) = lines_of(panel, "black")
        np.testing.assert_allclose(shared.get_xdata(), [0.5, 0.7, 0.9])
        np.testing.assert_allclose(shared.get_ydata().astype(float), [37.5, 32.5, 27.5])
        assert len(panel.lines) == 3


def test_differences_leave_one_glimpse_out_and_keep_the_colours():
    figure = plot_difference_over_iou(curves(TABLE))
    assert legend_texts(figure) == ["2", "5"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata().astype(float), [10, 10, 10])
    both = [plot(curves(TABLE)).axes[0].lines for plot in (plot_map_over_iou, plot_difference_over_iou)]
    np.testing.assert_allclose(both[0][1].get_color(), both[1][0].get_color())


@pytest.mark.parametrize("policies", [1, 3, 4, 5])
@pytest.mark.parametrize("plot", [plot_map_over_glimpses, plot_map_over_iou, plot_difference_over_iou])
def test_the_legend_hides_nothing_and_is_not_cut_off(plot, policies):
    names = ["fixed", "learned", "random", "repeat", "a policy of a longer name"][:policies]
    table = cells((1, None, 0.5), *((count, name, 0.6) for count in (2, 3) for name in names))
    figure = plot(table if plot is plot_map_over_glimpses else curves(table))
    renderer = drawn(figure)
    legend = figure.legends[0].get_window_extent(renderer)
    assert all(not legend.overlaps(panel.get_tightbbox(renderer)) for panel in figure.axes if panel.axison)
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1 and figure.bbox.y0 <= legend.y0


def test_figures_draw_without_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    backend = matplotlib.rcParams._get("backend")
    drawn(plot_map_over_glimpses(TABLE))
    assert matplotlib.rcParams._get("backend") == backend  # none was chosen for the user
