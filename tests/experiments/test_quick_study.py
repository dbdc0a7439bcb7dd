import re
import subprocess
import sys

import pytest

from glimpse.studies.runs import read_study
from glimpse.studies.tables import summarise


@pytest.mark.slow
def test_the_command_of_the_readme(tmp_path):
    """The main job as a new user runs it, from another folder: all runs finish, have learned, and are reported."""
    command = [sys.executable, "-m", "experiments.sweep", "--gin_file=studies/glimpse_count_quick.gin"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    report = tmp_path / re.search(r"report: (\S+)", ended.stdout)[1]
    assert report.read_text().startswith("# Study") and (report.parent / "map_over_glimpses.png").stat().st_size > 10000
    assert (report.parent / "reward_over_steps.png").exists() and (report.parent / "report.html").exists()
    runs = read_study(report.parent)
    table = summarise(runs, "test/voc10_map@0.50:0.95")
    assert sorted(table["NUM_GLIMPSES"]) == [1, 2, 3] and (table["seeds"] == 2).all()
    learned = runs["test/voc10_map@0.50:0.95"] > 0.15  # every run: an untrained network has less than 0.01
    assert learned.all(), table.to_string()
