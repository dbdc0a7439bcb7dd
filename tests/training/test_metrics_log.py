import json

from glimpse.training.metrics_log import METRICS, last_diagnostics, log_by_columns, read_metrics


def test_a_log_line_cut_short_is_left_out(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    assert read_metrics(tmp_path / "none") == []


def test_the_log_by_columns(tmp_path):
    lines = [{"step": 12345678, "loss": 1.23456789, "reward": 2 / 3e7, "glimpse_2/gain": 0.1},
             {"step": 12345679, "loss": 2.0, "reward": -1e-9, "glimpse_2/gain": 1 / 3}]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert log_by_columns(tmp_path) == {
        "step": [12345678, 12345679], "loss": [1.23457, 2.0], "reward": [6.66667e-08, -1e-09]}
    assert last_diagnostics(tmp_path) == {"glimpse_2/gain": 0.333333}
    assert log_by_columns(tmp_path / "none") == last_diagnostics(tmp_path / "none") == {}
