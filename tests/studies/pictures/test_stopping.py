from glimpse.studies.pictures.stopping import plot_map_over_milliseconds

ROWS = [
    {"run": "one", "glimpses": 1, "confidence": None, "ms": 10.0, "map": 0.5},
    {"run": "three", "glimpses": 3, "confidence": None, "ms": 30.0, "map": 0.6},
    {"run": "three", "glimpses": 3, "confidence": 0.9, "ms": 14.0, "map": 0.58},
    {"run": "three", "glimpses": 3, "confidence": 0.5, "ms": 12.0, "map": 0.55},
]


def test_a_point_a_number_of_glimpses_and_a_line_in_order_of_confidence():
    axes, = plot_map_over_milliseconds(ROWS).axes
    points, line = axes.lines
    assert points.get_xydata().tolist() == [[10, 50], [30, 60]]
    assert [[round(value, 6) for value in point] for point in line.get_xydata().tolist()] == [[12, 55], [14, 58]]
    assert [text.get_text() for text in axes.texts] == ["T = 1", "T = 3"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["all T", "at most 3, stopping at 0.5 to 0.9"]
    assert "ms" in axes.get_xlabel() and "%" in axes.get_ylabel()


def test_without_stopping_there_are_only_points():
    axes, = plot_map_over_milliseconds(ROWS[:2]).axes
    assert len(axes.lines) == 1 and axes.get_legend().get_title().get_text() == ""
