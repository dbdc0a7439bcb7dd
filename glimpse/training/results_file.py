"""The shape of results.json, and the one reader of it. What writes it is `glimpse.training.results`."""

from glimpse.json_files import (
    LARGEST,
    anything,
    dict_of,
    fields,
    list_of,
    nothing,
    number,
    one_of_shapes,
    read_json,
    text,
)

RESULTS = "results.json"
_FRACTION, _NUMBER, _AMOUNT = number(-1, 1), number(), number(0, LARGEST)
_COLUMNS = dict_of(list_of(_NUMBER))


def read_results_file(path, cure, needs_metrics=False):
    """The content of a results.json.

    Args:
        path: of the file.
        cure: text, what to do where it cannot be read.
        needs_metrics: whether it must tell of metrics, as that of a finished run does.

    Raises:
        GlimpseError: names the file, the place in it and the value.
    """
    def shape(value, place):
        _SHAPE(value, place)
        if needs_metrics and "metrics" not in value:
            raise ValueError("it has no metrics, and is not the result of a run")
    return read_json(path, shape, cure)


def _log(value, place):
    """A table by columns, one of them the step."""
    _COLUMNS(value, place)
    if value and ("step" not in value or len({len(column) for column in value.values()}) > 1):
        raise ValueError(f"{place.lstrip('.')} is no table with the column 'step'")


_OR_NULL = one_of_shapes("a number from 0 on, or null", _AMOUNT, nothing)
_SHAPE = fields(optional={
    "configuration": dict_of(anything),
    "policy_role": one_of_shapes("a text or null", text, nothing),
    "metrics": dict_of(dict_of(_FRACTION)),
    "policy": dict_of(dict_of(dict_of(dict_of(_NUMBER)))),
    "errors": dict_of(dict_of(fields(optional={"ap_gained": _FRACTION, "count": _AMOUNT}))),
    "proposal_recall": dict_of(number(0, 1)),
    "glimpses_per_proposal": dict_of(_AMOUNT),
    "parameters": _OR_NULL, "milliseconds_per_image": _OR_NULL, "peak_memory_mib": _OR_NULL,
    "seconds": dict_of(_AMOUNT),
    "versions": dict_of(text),
    "machine": dict_of(one_of_shapes("a text, a number or a list of texts", text, _NUMBER, list_of(text))),
    "code": one_of_shapes("an object with fields, or null", dict_of(anything), nothing),
    "diagnostics": dict_of(_NUMBER),
    **dict.fromkeys(("log", "validation_log"), one_of_shapes(
        "a table by columns of numbers, one of them 'step', or null", _log, nothing)),
})
