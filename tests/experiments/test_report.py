import html.parser
import json
import subprocess
import sys

import pytest

from experiments.report import main
from glimpse.studies.report.contents import read_contents
from glimpse.studies.report.document import summary_text, write_report
from glimpse.studies.report.page import page

THRESHOLDS = [f"{k / 100:.2f}" for k in range(50, 100, 5)]


def write_run(study, name, level, **more):
    """A finished run whose mAP falls from `level` by one point a threshold; `more` overrides parts of its results."""
    values = {f"voc10_map@{threshold}": level - k / 100 for k, threshold in enumerate(THRESHOLDS)}
    mean = values["voc10_map@0.50:0.95"] = sum(values.values()) / len(values)
    values |= {"voc10_ap@0.50:0.95/cat": mean, "voc10_ap@0.50:0.95/dog": 1 - mean}
    results = {
        "configuration": {"SEED": 0},
        "metrics": {"validation": values, "test": values},
        "proposal_recall": {"validation@0.5": 0.5, "test@0.5": 0.987},
        "parameters": 1234567,
        "milliseconds_per_image": 3.25,
        "seconds": {"train": 60.0},
        "versions": {"python": "3.12.1"},
        "machine": {"processor": "a processor", "accelerators": []},
    }
    if "POLICY" in name:
        results["policy"] = {"test": {"glimpse 2": {"mean": {"dx": 0.1}, "spread": {"dx": level / 10}}}}
    (study / name).mkdir(parents=True)
    (study / name / "results.json").write_text(json.dumps(results | more))


def report(directory, split="test"):
    return write_report(read_contents(directory, split))


@pytest.fixture
def study(tmp_path):
    directory = tmp_path / "counts"
    for seed in range(3):
        write_run(directory, f"NUM_GLIMPSES=1,SEED={seed}", 0.60 + seed / 100)
        write_run(directory, f"NUM_GLIMPSES=3,POLICY=fixed,SEED={seed}", 0.70 + seed / 50)
    write_run(directory, "NUM_GLIMPSES=3,POLICY=learned,SEED=0", 0.65)
    write_run(directory, "NUM_GLIMPSES=3,POLICY=learned,SEED=9", 0.65)
    return directory


def test_the_report_and_its_pictures(study):
    (study / "NUM_GLIMPSES=5,SEED=0").mkdir()
    plan = [path.name for path in study.iterdir()]
    (study / "study.json").write_text(json.dumps({"runs": plan}))
    path = report(study)
    text = path.read_text()

    assert path == study / "report.md" and text.startswith("# Study `counts`\n")
    assert "* NUM_GLIMPSES: 1, 3\n* POLICY: fixed, learned\n* SEED: 0, 1, 2, 9" in text
    assert "* finished: 8 runs; **missing: 1**\n  * missing: `NUM_GLIMPSES=5,SEED=0`" in text
    # Means over thresholds lie 4.5 points below the level, 70 and 80 lie 4 and 6 below. Three values, a point apart
    # each, have the standard error 0.577, and t is 4.303.
    assert "| 1 | - | - | 3 | 56.5 [54.0, 59.0] | 61.0 [58.5, 63.5] | 57.0 [54.5, 59.5] | 55.0 [52.5, 57.5] |" in text
    assert "| 3.2 | 1,234,567 |" in text
    rows = [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| ")]
    assert rows[:5] == ["POLICY", "---", "fixed", "learned", "-"]  # the best first
    assert "| 3 | fixed | control | 3 |" in text and "| 3 | learned | learns | 2 |" in text
    assert "| 3 | fixed | 3 | +11.0 [+8.5, +13.5] |" in text
    assert "| 3 | learned | 1 | +5.0 [-] |" in text
    assert "`NUM_GLIMPSES=3,POLICY=learned,SEED=9`" in text  # has no pair
    assert "| 3 | fixed | glimpse 2 | +0.10 (0.07) |\n| 3 | learned | glimpse 2 | +0.10 (0.07) |\n" in text
    assert "| test@0.5 | 98.7 | 98.7 | 98.7 |" in text and "validation@0.5" not in text
    assert "* python: 3.12.1" in text and "* processor: a processor\n* accelerators: none" in text

    # Paired by seed 0: seed 9 has no control.
    assert "## Best learner against every rival and control" in text and "Compared to: `fixed`." in text
    assert "| 3 | learned | fixed | control | 1 | -5.0 [-] |\n" in text  # a single pair: no interval and no p
    assert "random" not in text and "repeat" not in text
    # AP of cats is the mAP above, of dogs what that lacks to a hundred.
    assert "| NUM_GLIMPSES | POLICY | cat | dog |" in text
    assert "fewer glimpses" not in text  # than three there is only one
    assert "| 1 | - | 56.5 [54.0, 59.0] | 43.5 [41.0, 46.0] |" in text
    assert "| 3 | fixed | +11.0 [+8.5, +13.5] | -11.0 [-13.5, -8.5] |" in text
    assert "| 3 | learned | +5.0 [-] | -5.0 [-] |" in text
    assert "Ceilings" not in text and "Errors by kind" not in text and "undefined for" not in text
    assert "holds no log: 8 of 8 runs." in text

    pictures = ["difference_by_class.png", "difference_over_iou.png", "map_over_glimpses.png", "map_over_iou.png"]
    files = sorted(file.name for file in study.iterdir() if file.is_file())
    assert files == sorted([*pictures, "report.html", "report.md", "study.json"])
    for picture in pictures:
        assert f"({picture})" in text
        assert (study / picture).read_bytes().startswith(b"\x89PNG")
        assert (study / picture).stat().st_size < 300_000
    page = (study / "report.html").read_text()
    assert report(study).read_text() == text  # the same runs give the same report
    assert (study / "report.html").read_text() == page


class Page(html.parser.HTMLParser):
    """The tags and the attributes of a page, and those tags that are open at its end."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "img", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_glimpses_are_held_against_fewer(tmp_path):
    for num_glimpses in (2, 3):
        write_run(tmp_path, f"NUM_GLIMPSES={num_glimpses},POLICY=fixed,SEED=0", 0.5 + num_glimpses / 50)
    text = report(tmp_path).read_text()
    assert "## Difference to fewer glimpses" in text and "| 3 | fixed | 2 | 1 | +2.0 [-] |" in text


def test_the_page_holds_all_it_shows(study):
    report(study)
    text = (study / "report.html").read_text()
    found = Page(text)
    assert found.open == [] and not {"script", "link", "iframe", "object", "a"} & set(found.tags)
    sources = [value for name, value in found.attributes if name in ("src", "href", "srcset", "data")]
    assert len(sources) == found.tags.count("img") == 4
    assert all(value.startswith("data:image/png;base64,iVBOR") for value in sources)
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert "<h1>Study <code>counts</code></h1>" in text and "<td>+11.0 [+8.5, +13.5]</td>" in text
    tables = (study / "report.md").read_text().count("| --- |\n")
    assert found.tags.count("table") == text.count('<div class="table"') == tables


def test_what_looks_like_html_in_a_page_is_text():
    text = page("# A <b>bold</b> title\n\n<script>alert(1)</script> and `<table>`\n\n| a |\n|---|\n| <i>b</i> |\n", {})
    found = Page(text)
    assert not {"script", "b", "i"} & set(found.tags) and found.tags.count("table") == 1
    assert "<title>A &lt;b&gt;bold&lt;/b&gt; title</title>" in text


def test_learning_curves_of_the_runs_that_hold_a_log(tmp_path):
    for seed in range(2):
        log = {"step": [25, 50], "class_loss": [2.0 + seed, 1.0], "decay_loss": [0.0, 0.0], "gradient_norm": [1.0, 1.0]}
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.6, log=log)
        write_run(tmp_path, f"NUM_GLIMPSES=2,POLICY=learned,SEED={seed}", 0.6, log=log | {"reward": [0.1, 0.2]})
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=learned,SEED=2", 0.6)  # from before results held a log
    text = report(tmp_path).read_text()
    assert "holds no log: 1 of 5 runs." in text
    curves = sorted(path.name for path in tmp_path.glob("*_over_steps.png"))
    assert curves == ["class_loss_over_steps.png", "reward_over_steps.png"]  # no weight decay was used
    assert all(f"({name})" in text for name in curves)


def test_without_a_rival_it_is_open_whether_learning_pays(tmp_path):
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=learned,SEED=0", 0.6)
    write_run(tmp_path, "NUM_GLIMPSES=3,POLICY=fixed,SEED=0", 0.6)
    contents = read_contents(tmp_path)
    assert "whether learning where to look pays is open" in " ".join(write_report(contents).read_text().split())
    assert "control" not in summary_text(contents)


def test_pooled_sizes_that_are_not_square(tmp_path):
    for size, level in (("7", 0.6), ("3x7", 0.5), ("3", 0.4)):
        write_run(tmp_path, f"POOLED_SIZE={size},NUM_GLIMPSES=1,SEED=0", level)
        write_run(tmp_path, f"POOLED_SIZE={size},NUM_GLIMPSES=3,POLICY=fixed,SEED=0", level + 0.1)
    text = report(tmp_path).read_text()
    assert "* POOLED_SIZE: 3, 3x7, 7\n" in text and "| 3x7 | 3 | fixed | control | 1 | 55.5 [-] |" in text
    assert "| 3x7 | 3 | fixed | 1 | +10.0 [-] |" in text
    assert (tmp_path / "map_over_pooled_size.png").exists()


def test_the_terminal_table_fits_a_hundred_columns(study):
    text = summary_text(read_contents(study))
    assert max(map(len, text.splitlines())) <= 100
    head = next(line for line in text.splitlines() if "NUM_GLIMPSES" in line)
    assert head.split()[:3] == ["NUM_GLIMPSES", "POLICY", "seeds"]
    assert "+11.0 [+8.5, +13.5]" in text
    assert "POLICY=learned,SEED=9" in text
    assert text.splitlines()[-1].split() == ["3", "learned", "fixed", "1", "-5.0", "[-]", "-"]


def test_a_single_seed_has_no_interval(tmp_path):
    write_run(tmp_path, "NUM_GLIMPSES=1,SEED=0", 0.6)
    write_run(tmp_path, "NUM_GLIMPSES=2,SEED=0", 0.7)
    assert "| 2 | - | 1 | 65.5 [-] |" in report(tmp_path).read_text()


def test_a_study_over_another_axis_names_its_picture_after_it(tmp_path):
    for size in (1, 7):
        write_run(tmp_path, f"NUM_GLIMPSES=3,POOLED_SIZE={size},SEED=0", 0.5)
    text = report(tmp_path).read_text()
    assert "(map_over_pooled_size.png)" in text and (tmp_path / "map_over_pooled_size.png").exists()
    assert "no differences to show" in text and not (tmp_path / "difference_over_iou.png").exists()


def test_a_study_without_a_numeric_axis_has_no_pictures(tmp_path):
    for policy in ("fixed", "random"):
        write_run(tmp_path, f"POLICY={policy},SEED=0", 0.5)
    assert "## Pictures" not in report(tmp_path).read_text()
    assert not list(tmp_path.glob("*.png"))


def test_ceilings_stand_apart_and_are_no_rivals(tmp_path):
    for seed in range(3):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.5 + seed / 50)
        write_run(tmp_path, f"NUM_GLIMPSES=2,POLICY=learned,SEED={seed}", 0.6 + seed / 50)
        write_run(tmp_path, f"NUM_GLIMPSES=2,POLICY=refine,SEED={seed}", 0.62 + seed / 40, policy_role="rival")
        write_run(tmp_path, f"NUM_GLIMPSES=2,POLICY=oracle,SEED={seed}", 0.9, policy_role="ceiling")
    (tmp_path / "study.json").write_text(json.dumps({"runs": [path.name for path in tmp_path.iterdir()]}))
    contents = read_contents(tmp_path)
    text = write_report(contents).read_text()
    assert "* finished: 12 runs\n" in text  # none is missing
    sections = dict(part.split("\n", 1) for part in text.split("\n## "))
    assert "oracle" not in "".join(body for name, body in sections.items() if name != "Ceilings").split("* finished")[1]
    assert "| 2 | oracle | ceiling | 3 | 85.5" in sections["Ceilings"]
    rows = [line for line in sections["Results on the test split"].splitlines() if line[:3] in ("| 1", "| 2")]
    results = [line.split(" | ")[1] for line in rows]
    assert results == ["refine", "learned", "-"]
    rivals = next(body for name, body in sections.items() if name.startswith("Best learner"))
    # The differences are 2, 2.5 and 3 points: standard error 0.289, t 8.66, which three sign flips in 8 at best find.
    assert "Compared to: `refine`." in rivals
    assert "| 2 | learned | refine | rival | 3 | -2.5 [-3.7, -1.3] | 0.013 | 0.25 |" in rivals
    assert "With 3 seeds the smallest p of sign flips is 0.25" in rivals
    assert "best learner minus rival" in summary_text(contents) and "ceilings" in summary_text(contents)


def test_a_study_without_an_object_that_counts_is_reported_as_undefined(tmp_path):
    for count in (1, 2):
        write_run(tmp_path, f"NUM_GLIMPSES={count},SEED=0", 0.5, metrics={"validation": {}, "test": {}})
    contents = read_contents(tmp_path)
    text = write_report(contents).read_text()
    assert "mAP is undefined for 2 of the runs, since no object of the test split counts there: `NUM_GLIMPSES=1" in text
    assert "| 1 | - | 0 | - | 3.2 |" in text and not list(tmp_path.glob("*.png"))
    assert summary_text(contents).count("undefined, no object of the test split counts") == 2


def test_undefined_results_stand_last(study):
    write_run(study, "NUM_GLIMPSES=5,POLICY=fixed,SEED=0", 0.5, metrics={"validation": {}, "test": {}})
    text = report(study).read_text()
    assert "undefined for 1 of the runs" in text and "| 5 | fixed | control | 0 | - | - | - | - | 3.2 |" in text
    assert text.index("| 1 | - | - | 3 |") < text.index("| 5 | fixed | control | 0 |")


def test_cells_without_a_value_on_the_axis_of_the_pictures_are_left_out_of_them(tmp_path):
    for name in ("POLICY=learned,RATE=0.1", "POLICY=learned,RATE=0.2", "POLICY=learned,SCHEDULE=late"):
        write_run(tmp_path, f"{name},SEED=0", 0.5)
    assert "| learned | - | late | learns | 1 |" in report(tmp_path).read_text()
    assert (tmp_path / "map_over_rate.png").exists()


def test_faults_are_named(study, tmp_path):
    with pytest.raises(ValueError, match="--split=train: .* there are .'test', 'validation'"):
        report(study, split="train")
    (study / "study.json").write_text("[]")
    with pytest.raises(ValueError, match="study.json cannot be read .its content must be an object"):
        report(study)
    assert not (study / "report.md").exists()


def test_the_command_line(study, capsys):
    main([f"--study={study}", "--split=validation"])
    assert "validation split" in capsys.readouterr().out and (study / "report.md").exists()


def test_a_fault_ends_the_command_with_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "experiments.report", f"--study={tmp_path / 'none'}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr == f"error: {tmp_path / 'none'} is no directory; give the directory of a study\n"
