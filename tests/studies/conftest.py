import json

import pytest

from glimpse.studies.runs import read_study

MAP = "voc10_map@0.50"


@pytest.fixture
def write_run():
    """Writes a finished run with one metric into a study; `more` overrides parts of its results."""

    def write(study, name, value, **more):
        directory = study / name
        directory.mkdir(parents=True)
        results = {
            "configuration": {"SEED": 7},
            "metrics": {"validation": {MAP: value / 2}, "test": {MAP: value}},
            "proposal_recall": {"test@0.5": 0.9},
            "parameters": 100,
            "milliseconds_per_image": 2.0,
            "seconds": {"train": 1.5},
            "versions": {"keras": "3.12.0"},
            "machine": {"cores": 2},
        }
        (directory / "results.json").write_text(json.dumps(results | more))

    return write


@pytest.fixture
def write_study(write_run):
    """Writes runs, {name: value of the metric}, and reads the study."""

    def write(study, values):
        for name, value in values.items():
            write_run(study, name, value)
        return read_study(study)

    return write
