"""A part of what `docs/reliability.md` reports: trainings and a sweep that are killed, stopped and started twice."""

import pathlib
import shutil
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("kind, number", [
    ("random", 3), ("stops", 3), ("races", 2), ("sweeps", 1),
    pytest.param("states", 20, marks=pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler"))])
def test_what_was_killed_goes_on_to_the_same_bits(kind, number):
    subprocess.run([sys.executable, "-m", "tests.kills", kind, str(number)], check=True,
                   cwd=pathlib.Path(__file__).parents[2])
