"""The log of a run: metrics.jsonl, a line each `log_every` steps."""

import json
import pathlib

from glimpse.files import read_text

METRICS = "metrics.jsonl"


def read_metrics(workdir):
    """The logged steps of a run: a list of dicts; a last line that was cut short is left out."""
    path = pathlib.Path(workdir) / METRICS
    lines = read_text(path).split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def log_by_columns(workdir):
    """The log of a run by columns, {"step": [25, ...], "class_loss": [2.13, ...]}, to six significant digits.

    Of the diagnostics of single glimpses, whose names hold a slash, `last_diagnostics` tells.
    """
    lines = read_metrics(workdir)
    return {name: [line[name] if name == "step" else float(f"{line[name]:.6g}") for line in lines]
            for name in (lines[0] if lines else {}) if "/" not in name}


def last_diagnostics(workdir):
    """Statistics of episodes in the last line of the log (`glimpse.training.diagnostics`): {"glimpse_2/gain": 0.21}."""
    last = (read_metrics(workdir) or [{}])[-1]
    return {name: float(f"{value:.6g}") for name, value in last.items() if "/" in name}
