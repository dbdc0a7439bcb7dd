"""The log of a run: metrics.jsonl, a line each `log_every` steps."""

import contextlib
import pathlib

from glimpse.errors import GlimpseError
from glimpse.json_files import dict_of, fields, from_json, number

METRICS = "metrics.jsonl"
VALIDATION_MAP = "validation_map"  # mAP 50:95 by VOC's protocol of 2010, in some of the lines


def read_metrics(workdir):
    """The logged steps of a run: a list of dicts; a last line that was cut short is left out.

    Raises:
        GlimpseError: names a line that cannot be read.
    """
    path, logged = pathlib.Path(workdir) / METRICS, []
    for place, line in enumerate(_whole_lines(path), start=1):
        try:
            logged.append(from_json(line.decode(), _line))
            if len(logged) > 1 and logged[-1]["step"] <= logged[-2]["step"]:
                raise ValueError(f"step {logged[-1]['step']} after step {logged[-2]['step']}")
            if _others(logged[-1]) != _others(logged[0]):
                raise ValueError("it has other fields than the first line")
        except ValueError as error:
            raise GlimpseError(f"{path}, line {place} cannot be read ({error}); mend that line or remove it, and the "
                               "run goes on") from error
    return logged


def last_step(workdir):
    """The last step in the log of a run that may be writing it; 0 where none can be read."""
    for line in reversed(_whole_lines(pathlib.Path(workdir) / METRICS)):
        with contextlib.suppress(ValueError):
            return from_json(line.decode(), _line)["step"]
    return 0


def _whole_lines(path):
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []


def _line(value, place):
    dict_of(number())(value, place)
    fields({"step": number(1, 2**53, whole=True)})(value, place)


def log_by_columns(workdir):
    """The log of a run by columns, {"step": [25, ...], "class_loss": [2.13, ...]}, to six significant digits.

    Of the diagnostics of single glimpses, whose names hold a slash, `last_diagnostics` tells; of the validation,
    `validation_by_columns`.
    """
    lines = read_metrics(workdir)
    return _columns(lines, [name for name in (lines[0] if lines else {}) if "/" not in name and name != VALIDATION_MAP])


def validation_by_columns(workdir):
    """The steps of a run that were validated, {"step": [100, ...], "validation_map": [0.312, ...]}; {} without any."""
    lines = [line for line in read_metrics(workdir) if VALIDATION_MAP in line]
    return _columns(lines, ["step", VALIDATION_MAP] if lines else [])


def best_step(lines, steps):
    """Of the lines of a log with one of these steps, the step with the best validation mAP, the first among equals.

    Returns:
        a step, or None where none of them was validated.
    """
    validated = [line for line in lines if VALIDATION_MAP in line and line["step"] in steps]
    return max(validated, key=lambda line: line[VALIDATION_MAP])["step"] if validated else None


def _columns(lines, names):
    return {name: [line[name] if name == "step" else float(f"{line[name]:.6g}") for line in lines] for name in names}


def _others(line):
    return line.keys() - {VALIDATION_MAP}


def last_diagnostics(workdir):
    """Statistics of episodes in the last line of the log (`glimpse.training.diagnostics`): {"glimpse_2/gain": 0.21}."""
    last = (read_metrics(workdir) or [{}])[-1]
    return {name: float(f"{value:.6g}") for name, value in last.items() if "/" in name}
