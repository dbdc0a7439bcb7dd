import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_two_processes_of_one_seed_agree_to_the_bit(tmp_path):
    """In one process TensorFlow builds the same graph twice; in two it may not, and a sum in another order shows."""
    bindings = ["NUM_GLIMPSES = 3", "TRAIN_STEPS = 50",
                "DigitScenes.sizes = {'train': 200, 'validation': 2, 'test': 20}"]
    for name in "ab":
        subprocess.run([sys.executable, "-m", "experiments.train", "--gin_file=experiments/digits.gin",
                        *(f"--gin_param={binding}" for binding in bindings), f"--workdir={tmp_path / name}"],
                       check=True, capture_output=True)
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in "ab")
    assert one["metrics"] == other["metrics"] and one["policy"] == other["policy"]
    assert (tmp_path / "a" / "metrics.jsonl").read_text() == (tmp_path / "b" / "metrics.jsonl").read_text()
