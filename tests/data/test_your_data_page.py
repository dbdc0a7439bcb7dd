"""The page on a user's own data: its configurations are read as they stand, its messages are those of the readers."""

import pathlib
import re

import gin
import pytest

from glimpse import config

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your_data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```gin\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block, reader", [*zip(BLOCKS, ("VOC", "COCO", "YOLO"), strict=True)])
def test_the_configurations_of_the_page(tmp_path, block, reader):
    (tmp_path / "mine.gin").write_text(block, encoding="utf-8")
    with config.configuration(tmp_path / "mine.gin") as text:
        assert config.macros()["DATA_ROOT"] == "data/mine"
        assert gin.get_bindings("Experiment")["data"].__name__ == reader and f"{reader}.root" in text


def test_the_settings_of_the_tools_are_parameters_of_the_readers():
    from glimpse.data.coco import COCO
    from glimpse.data.voc import VOC
    from glimpse.data.yolo import YOLO
    readers = {"VOC": VOC, "COCO": COCO, "YOLO": YOLO}
    named = re.findall(r"`(VOC|COCO|YOLO)\.(\w+)", PAGE)
    assert len(named) > 30
    for reader, parameter in named:
        assert parameter in readers[reader].__init__.__code__.co_varnames, (reader, parameter)


def test_the_messages_of_the_page_are_those_of_the_readers():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "glimpse" / "data").glob("*.py"))
    source = re.sub(r'"\s*f?"', "", source)
    section = PAGE[PAGE.index("### Any reader"):PAGE.index("## What is left out")]
    messages = [message for row in re.findall(r"^\| .* \| (.*) \|$", section, re.MULTILINE)
                for message in re.findall(r"`([^`]{12,})`", row) if not re.match(r"\w+\.\w+ = ", message)]
    assert len(messages) > 40
    for message in messages:
        words = max(re.findall(r"[a-z][a-z ]+", message), key=len).strip()  # the longest piece without a value in it
        assert words in source or words.partition(" ")[2] in source, (message, words)  # the first word may be a name
