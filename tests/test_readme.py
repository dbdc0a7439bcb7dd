"""The README's examples are run as they stand."""

import pathlib
import re

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_example_runs():
    example, = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(example, names)
    assert names["pooled"].shape == (1, 2, 7, 7, 512)


def test_what_it_names_is_there():
    root = pathlib.Path(__file__).parents[1]
    for path in re.findall(r"`((?:glimpse|experiments|configs|docs)/[\w./]*)`", README):
        assert (root / path).exists(), path
    for name in re.findall(r"--gin_file=([\w./]+)", README):
        assert (root / "configs" / name).is_file(), name
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (root / link).exists(), link


def test_the_macros_it_lists_are_those_of_the_experiment():
    from glimpse import config
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", README, flags=re.MULTILINE))
    with config.configuration("experiments/digits.gin"):
        assert listed == set(config.macros())
