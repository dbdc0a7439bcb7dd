"""Files of a sound run, mutated at random: each is read, or refused in one line that names it; nothing else comes out.

A mutation is a function of its number, which a failure tells. More than the suite runs, by hand:

    GLIMPSE_MUTATIONS=100000 python -m pytest -n 0 tests -k mutat
"""

import collections
import copy
import json
import os
import random
import zlib

import numpy as np
import pandas as pd
import pytest

from glimpse import config, gin_files
from glimpse.errors import GlimpseError
from glimpse.evaluation.average_precision import resampled_maps
from glimpse.evaluation.matches import match, matches_file, read_matches, write_matches
from glimpse.files import write_json
from glimpse.studies.report import sections
from glimpse.studies.report.contents import read_contents
from glimpse.studies.report.document import summary_text
from glimpse.studies.runs import read_study
from glimpse.training import own_modules, run
from glimpse.training.metrics_log import METRICS, last_diagnostics, last_step, log_by_columns
from glimpse.training.trained_on import DATA, TrainedOn, read_trained_on, write_trained_on
from tests.data import mutated

MUTATIONS = int(os.environ.get("GLIMPSE_MUTATIONS", 2400))
NAMES = ("NUM_GLIMPSES=1,SEED=0", "NUM_GLIMPSES=1,SEED=1", "NUM_GLIMPSES=2,POLICY=fixed,SEED=0",
         "NUM_GLIMPSES=2,POLICY=learned,SEED=0")


def results_of(name, place):
    """A results.json with all its sections."""
    values = {f"voc10_map@{iou}": 0.5 + place / 100 for iou in ("0.50", "0.70", "0.80", "0.50:0.95")}
    values |= {"voc10_ap@0.50:0.95/cat": 0.4, "voc10_ap@0.50:0.95/dog": 0.6}
    seen = {"glimpse 2": {"mean": {"dx": 0.1, "dy": -0.1}, "spread": {"dx": 0.3, "dy": 0.2}}}
    errors = {"missed": {"count": 3, "ap_gained": 0.1}, "localisation": {"count": 1, "ap_gained": 0.0}}
    splits = ("validation", "test")
    return {
        "configuration": {"SEED": 0, "POLICY": "@fixed()", "NUM_GLIMPSES": 2}, "policy_role": None,
        "metrics": dict.fromkeys(splits, values), "policy": dict.fromkeys(splits, seen),
        "errors": dict.fromkeys(splits, errors), "proposal_recall": {"test@0.50": 0.9, "test@0.70": 0.8},
        "parameters": 1000, "milliseconds_per_image": 2.5, "seconds": {"train": 5.0, "evaluate": 1.0},
        "peak_memory_mib": 700, "versions": {"python": "3.12"}, "code": {"commit": "0", "clean": True},
        "machine": {"processor": "x", "cores": 2, "accelerators": []}, "diagnostics": {"glimpse_2/gain": 0.1},
        "log": {"step": [25, 50], "class_loss": [2.0, 1.5], "reward": [0.1, 0.2]}}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of four finished runs, with all files that such have."""
    directory = tmp_path_factory.mktemp("study")
    write_json(directory / "study.json", {"study": "x.gin", "runs": list(NAMES)})
    draw = np.random.default_rng(0)
    corners = draw.uniform(0, 60, (12, 2))
    boxes = np.concatenate([corners, corners + 20], axis=1)
    objects = [{"boxes": each, "labels": np.int64([0, 1, 1]), "difficult": np.array([False, True, False])}
               for each in np.split(boxes, 4)]
    for place, name in enumerate(NAMES):
        found = [{"boxes": each["boxes"] + draw.normal(0, 3, (3, 4)), "labels": np.int64([0, 1, 1]),
                  "scores": draw.uniform(size=3)} for each in objects]
        (directory / name).mkdir()
        write_json(directory / name / run.RESULTS, results_of(name, place))
        write_matches(directory / name / matches_file("test"), match(found, objects, 2))
        write_trained_on(directory / name, TrainedOn(("cat", "dog"), (7, 3), (96, 96, 1)))
        (directory / name / METRICS).write_text("".join(json.dumps(
            {"step": step, "class_loss": 2.0, "glimpse_2/gain": 0.1}) + "\n" for step in (25, 50)))
        write_json(directory / name / own_modules.NOTE, {"signature": None, "modules": [
            {"name": "mine", "path": "/home/x/mine.py", "sha256": "0" * 64}]})
    return directory


def read_report(directory):
    """Of every twentieth all tables, which take a while."""
    read_study(directory)
    if zlib.crc32((directory / NAMES[3] / run.RESULTS).read_bytes()) % 20 == 0:
        contents = read_contents(directory)
        sections.report(contents, collections.defaultdict(list))
        summary_text(contents)


def read_log(directory):
    columns, last = log_by_columns(directory), last_diagnostics(directory)
    assert 0 <= last_step(directory) < 2**53 and all(np.isfinite(values).all() for values in columns.values())
    return columns, last


READERS = {
    run.RESULTS: (run.read_results, lambda directory: read_report(directory.parent)),
    "../study.json": (lambda directory: sections._what_was_run(pd.DataFrame(index=NAMES), directory.parent),),
    DATA: (read_trained_on,),
    METRICS: (read_log,),
    own_modules.NOTE: (lambda directory: own_modules.trusted(directory)[1],),
}


def mutated_json(draw, text):
    """A text of JSON, or of several lines of it, with a value or some bytes changed."""
    if draw.random() < 0.3:
        return mutated.broken(draw, text.encode())
    lines = text.splitlines() if text.count("\n{") else [text]
    place = draw.randrange(len(lines))
    content = json.loads(lines[place])
    for _ in range(draw.choice([1, 1, 2, 3])):
        if list(mutated.places(content)):
            mutated.mutate(draw, content)
    lines[place] = json.dumps(content).replace(f'"{mutated.DEEP}"', "[" * 3000 + "]" * 3000)
    return ("\n".join(lines) + "\n").encode(errors="surrogatepass")


@pytest.mark.parametrize("name", READERS)
def test_mutated_json_of_a_run(study, name):
    path, refused = study / NAMES[3] / name, 0
    whole = path.read_text()
    count = MUTATIONS // 8
    try:
        for number in range(count):
            path.write_bytes(mutated_json(random.Random(number), whole))
            for read in READERS[name]:
                try:
                    read(study / NAMES[3])
                except GlimpseError as error:
                    refused += 1
                    assert str(error).isprintable() and len(str(error)) < 2500, f"mutation {number}: {error}"
                    assert str(study) in str(error) or "run=" in str(error), f"mutation {number}: {error}"
                except Exception as error:
                    raise AssertionError(f"mutation {number} of {name}: {path.read_bytes()[:3000]}") from error
    finally:
        path.write_text(whole)
    assert 0.1 < refused / count / len(READERS[name])


def test_mutated_matches_are_refused_or_the_same(study):
    path = study / NAMES[3] / matches_file("test")
    whole, sound = path.read_bytes(), read_matches(path)
    try:
        for number in range(MUTATIONS // 5):
            path.write_bytes(mutated.broken(random.Random(number), whole))
            try:
                found = read_matches(path)
            except GlimpseError as error:
                assert str(error).isprintable() and str(path) in str(error)
            else:
                assert all(np.array_equal(one, other) for one, other in zip(found, sound)), number
                resampled_maps(found, np.ones([2, found.num_images], int))
    finally:
        path.write_bytes(whole)


def test_mutated_configurations_of_a_run(tmp_path):
    """As texts: what a damaged config.gin makes of a comparison, and of what gin is given; nothing is imported."""
    with config.configuration("experiments/digits.gin") as whole:
        pass
    refused = 0
    for number in range(MUTATIONS // 160):
        (tmp_path / run.CONFIG).write_bytes(mutated.broken(random.Random(number), whole.encode()))
        try:
            run.same_training(run.read_config(tmp_path), whole)
            with config.configuration(tmp_path / run.CONFIG, may_import=own_modules.trusted(tmp_path)[0]):
                pass
        except GlimpseError as error:
            refused += 1
            assert str(error).isprintable() and str(tmp_path) in str(error), f"mutation {number}: {error!r}"
    assert refused and gin_files.settings(whole)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "\0", "SEED = ", "{}", "Experiment.seed = 0\n", "x" * 10**5])
def test_a_configuration_that_was_lost_is_one_line(tmp_path, text):
    from glimpse.training.restore import restored
    (tmp_path / run.CHECKPOINTS).mkdir()
    (tmp_path / run.CONFIG).write_text(text)
    write_trained_on(tmp_path, TrainedOn(("cat",), (1,), (8, 8, 1)))
    with pytest.raises(GlimpseError) as error:
        with restored(tmp_path):
            pass
    assert str(error.value).isprintable() and run.CONFIG in str(error.value)


def test_the_plain_mutation_of_json_reaches_all_values():
    content = copy.deepcopy(results_of("x", 0))
    reached = {mutated.mutate(random.Random(number), copy.deepcopy(content))[0] for number in range(600)}
    assert reached == set(content)
