"""Odd values for every parameter that a gin file can bind: refused in one line, or used; see `tests.odd_bindings`."""

import os
import random

import pytest

from glimpse.data.batches import RoISampling
from glimpse.errors import GlimpseError
from tests.odd_bindings import VALUES, parameters, try_binding

COUNT = int(os.environ.get("GLIMPSE_MUTATIONS", 2400)) // 120


def test_odd_bindings_end_in_one_line_or_are_used(tiny):
    pairs = [(name, value) for name in parameters() for value in VALUES]
    assert len(pairs) > 5000
    refused = 0
    for name, value in random.Random(0).sample(pairs, min(COUNT, len(pairs))):
        try:
            refused += try_binding(tiny, name, value) is not None
        except Exception as error:
            raise AssertionError(f"{name} = {value}") from error
    assert refused > COUNT / 2


@pytest.mark.parametrize("name, value", [
    ("Experiment.framing", "0.5"), ("GlimpseDetector.backbone", "@Experiment()"), ("Adam.clipvalue", "{'train': 1}"),
    ("Adam.clipnorm", "-1"), ("SGD.global_clipnorm", "''"), ("Adam.use_ema", "(3, 7)"), ("SGD.ema_momentum", "2"),
    ("Adam.gradient_accumulation_steps", "1"), ("Adam.weight_decay", "-0.5"), ("CosineDecay.alpha", "2"),
    ("PolynomialDecay.end_learning_rate", "-1"), ("PolynomialDecay.cycle", "'x'"), ("learned.kernel_deviation", "-1"),
])
def test_what_makes_no_sense_is_refused(tiny, name, value):
    message = try_binding(tiny, name, value)
    assert message and f"{name} = {value}" in message


@pytest.mark.parametrize("value", [(0.5, 0.1), (0.3, 0.3), (0.1,), 0.5, (0, 2), None])
def test_overlaps_of_the_background_rise(value):
    with pytest.raises(GlimpseError, match="RoISampling.background_iou"):
        RoISampling(background_iou=value)
