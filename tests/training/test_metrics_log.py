import json

import pytest

from glimpse.errors import GlimpseError
from glimpse.training.metrics_log import METRICS, last_diagnostics, last_step, log_by_columns, read_metrics


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


@pytest.mark.parametrize("line", ['{"step": 2, "lo', "[2]", '{"step": "2", "loss": 1}', '{"step": 2, "loss": NaN}', "",
                                  '{"step": 2, "loss": 1e308}', '{"step": 2}', '{"step": 1, "loss": 1.0}',
                                  '{"step": 2, "loss": 1, "loss": 2}', "[" * 3000])
def test_a_garbled_line_in_the_middle_is_named_and_the_last_step_is_known_all_the_same(tmp_path, line):
    (tmp_path / METRICS).write_text('{"step": 1, "loss": 2.0}\n' + line + '\n{"step": 3, "loss": 1.0}\n{"st')
    with pytest.raises(GlimpseError, match="metrics.jsonl, line 2 cannot be read .*remove it, and the run goes on"):
        read_metrics(tmp_path)
    assert last_step(tmp_path) == 3


def test_the_last_step_of_a_log_that_cannot_be_read(tmp_path):
    assert last_step(tmp_path) == 0
    (tmp_path / METRICS).write_bytes(b'{"step": 7}\n\xff\xfe\n')
    assert last_step(tmp_path) == 7
    (tmp_path / METRICS).write_bytes(b"\xff\n\n")
    assert last_step(tmp_path) == 0
    with pytest.raises(GlimpseError, match="line 1 cannot be read"):
        read_metrics(tmp_path)
