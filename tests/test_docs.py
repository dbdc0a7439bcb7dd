"""The pages and the README: their code runs, their configurations are read, their commands parse, no link is broken."""

import configparser
import contextlib
import importlib
import io
import pathlib
import re
import shlex
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + [
    path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name != "report.md"]  # a study's report is generated
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page, language):
    return [text for found, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if found == language]


def commands():
    """(page, words of a command) of every line that starts a program of this repository."""
    for page in PAGES:
        text = re.sub(r"\s*\\\n\s*", " ", page.read_text(encoding="utf-8"))  # a command may go on in the next line
        for line in text.splitlines():
            for command in line.strip().split(" && "):
                if command.startswith("python -m experiments."):
                    yield pytest.param(shlex.split(command), id=f"{page.name}: {command[:100]}")


class Parsed(Exception):
    """Raised once the arguments are parsed."""


class NoTorch:
    """Where torch is installed: imported after TensorFlow, it ends the process. SciPy takes a None in `sys.modules` for
    the module itself.
    """

    @staticmethod
    def find_spec(name, *_):
        if name in ("torch", "torchvision"):
            raise ModuleNotFoundError(name)


@pytest.mark.parametrize("words", [*commands()])
def test_the_flags_of_commands_exist(words, monkeypatch):
    import argparse
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *arguments):
        parse(self, *arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "meta_path", [NoTorch, *sys.meta_path])
    module = words[2] + (".__main__" if words[2] == "experiments.benchmark" else "")
    with pytest.raises(Parsed):
        importlib.import_module(module).main(words[3:])


@pytest.mark.parametrize("words", [*commands()])
def test_the_configurations_and_macros_of_commands_are_there(words):
    from glimpse import config
    from glimpse.studies.plan import runs_of
    own = {block.splitlines()[0][2:].strip() for block in blocks("docs/your_policy.md", "gin")}
    files = [word.partition("=")[2] for word in words if word.startswith("--gin_file=")]
    for file in files:
        if file in own or file == "mine.gin":
            continue
        assert (ROOT / "configs" / file).is_file(), file
        params = [word.partition("=")[2] for word in words if word.startswith("--gin_param=")]
        if file.startswith("studies/"):
            assert runs_of(file, params)
            continue
        with config.configuration(file, params):
            pass


def test_the_study_of_the_tutorial_is_read(tmp_path):
    from glimpse.studies.plan import runs_of
    block, = blocks("docs/tutorial.md", "gin")
    (tmp_path / "mine.gin").write_text(block)
    assert len(runs_of(tmp_path / "mine.gin", [])) == 3 + 6


def test_the_extras_that_pages_install_are_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for page in PAGES:
        for extras in re.findall(r"-e '\.\[([\w,]+)\]'", page.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= set(setup["options.extras_require"]), page


# -- Parts of one's own: each block whose first line is a file name is a file of one directory.


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    directory = tmp_path_factory.mktemp("own")
    for language in ("python", "gin"):
        for block in blocks("docs/your_policy.md", language):
            name = re.fullmatch(r"# (\w+\.(?:py|gin))", block.splitlines()[0])[1]
            (directory / name).write_text(block)
    return directory


OWN = [block.splitlines()[0][2:] for block in blocks("docs/your_policy.md", "gin")]


@pytest.mark.parametrize("name", [name for name in OWN if name != "zoom_study.gin"])
def test_a_part_of_ones_own_trains(own, tiny, name):
    from experiments import train
    bindings = [each for each in tiny if name != "data.gin" or "DigitScenes" not in each]
    bindings = [each for each in bindings if name != "backbone.gin" or "small_cnn" not in each]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        train.main([f"--gin_file={own / name}", f"--workdir={own / 'run'}", "--dry_run",
                    *(f"--gin_param={each}" for each in bindings)])
    registered = {"zoom.gin": "Zoom.start = 0.5", "reward.gin": "# Parameters for square:",
                  "fusion.gin": "FUSION = @half",
                  "backbone.gin": "two_layers.width = 16", "data.gin": "Squares.count = 40"}
    assert registered[name] in printed.getvalue()
    assert not (own / "run").exists()


def test_the_policy_of_ones_own_learns(own, tiny):
    from glimpse import config
    from glimpse.training.experiment import Experiment
    with config.configuration(own / "zoom.gin", tiny):
        experiment = Experiment()
        for _ in range(3):
            experiment.try_step()
        assert abs(float(experiment.detector.policy.log_ratio) - 0.5) > 1e-5


def test_the_test_of_the_policy_passes(own, monkeypatch):
    monkeypatch.syspath_prepend(own)
    module = importlib.import_module("test_my_policy")
    tests = [test for name, test in vars(module).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_the_study_of_the_policy_is_planned(own, capsys):
    from experiments import sweep
    sweep.main([f"--gin_file={own / 'zoom_study.gin'}", f"--workdir={own / 'study'}", "--only_print"])
    assert "9 runs" in capsys.readouterr().out


# -- Python of the other pages runs from top to bottom; that of the tutorial needs what was exported before, and is run
# with tests/experiments/test_examples.py.


@pytest.mark.parametrize("page", [
    page for page in PAGES if page.name not in ("your_policy.md", "README.md", "tutorial.md")
    and blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page):
    names = {}
    for block in blocks(page, "python"):
        exec(block, names)


def test_the_macros_of_the_tutorial_are_those_of_the_experiment():
    from glimpse import config
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", text, flags=re.MULTILINE))
    with config.configuration("experiments/digits.gin"):
        assert listed == set(config.macros())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_names_of_files_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    made = ROOT / "docs" / "explorer.html"  # by the hook docs/explorer.py; tests/test_site.py follows the links to it
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        target = (page.parent / link).resolve()
        assert target.exists() or (target == made and made.with_suffix(".py").exists()), link
    for path in re.findall(r"`((?:glimpse|experiments|configs|docs|tests)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
