import io
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from glimpse.explorer.explored import compare
from glimpse.explorer.page import page, table
from tests.explorer.made import NASTY, made_run


class Blocks(HTMLParser):
    """The texts of a page by the id or name of their element, as a browser takes them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.tags, self.links = None, {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.open = attributes.get("id") or tag
        self.tags.append(tag)
        self.links += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_data(self, data):
        self.texts[self.open] = self.texts.get(self.open, "") + data


def two_runs():
    first, second = made_run(), made_run("second", count=1, factor=0.5)
    compare(first, second)
    return first, second


def test_the_objects_can_be_read_by_json_and_by_pandas():
    first, second = two_runs()
    text = Blocks(page("test", [first, second], [{}, {}])).texts["objects"]
    assert json.loads(text) == first.objects + second.objects
    frame = pd.read_json(io.StringIO(text), orient="records")
    assert frame["class"].tolist() == [each["class"] for each in first.objects + second.objects]
    assert frame.loc[0, "iou"] == pytest.approx([0.5, 0.6, 0.8])
    assert frame["run"].tolist() == ["first"] * 5 + ["second"] * 5
    assert frame["difference"].tolist()[:2] == [0.675, 0.05] and frame["difference"].isna().sum() == 6


def test_no_name_is_taken_for_html_and_nothing_is_fetched():
    run = made_run(name="{{style}} <i>&</i> \udcff")
    text = page("test", [run], [{"POLICY": "</script><!--"}])
    found, plain = Blocks(text), Blocks(page("test", [made_run(objects=made_run_objects())], [{}]))
    assert found.tags == plain.tags and not found.links
    assert found.texts["title"].strip() == "{{style}} <i>&</i> \N{REPLACEMENT CHARACTER}"
    assert json.loads(found.texts["about"])["runs"][0]["settings"] == {"POLICY": "</script><!--"}
    assert json.loads(found.texts["objects"])[1]["class"] == NASTY
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text) and text.encode()


def made_run_objects():
    return [("a", "one", "well placed", "found", (0.5, 0.6, 0.8), (0.5, 0.5, 1.0))]


def test_the_pictures_and_what_was_detected_in_them_stand_once():
    first, second = two_runs()
    second.images[0]["detections"] = []
    images = json.loads(Blocks(page("test", [first, second], [{}, {}])).texts["images"])
    assert [each["id"] for each in images] == ["a", "b/ü #1"]
    assert [len(each) for each in images[0]["detections"]] == [1, 0] and images[0]["picture"].startswith("data:image/")


def test_the_table():
    frame = table([made_run()])
    assert frame.columns.tolist() == [
        "run", "image", "object", "class", "difficult", "proposal_iou", "missed", "outcome", "detected", "score",
        "probability_1", "probability_2", "probability_3", "iou_1", "iou_2", "iou_3", "gain"]
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert again["iou_3"].tolist()[:4] == [0.8, 0.4, 0.7, 0.9] and again["iou_3"].isna()[4]
    assert again["gain"].tolist()[:4] == [0.55, -0.1, 0.2, 0.18] and again["class"][1] == NASTY
    frame = table(two_runs())
    assert len(frame) == 10 and frame["difference"].tolist()[:4] == [0.675, 0.05, 0.45, 0.225]
    assert frame["iou_2"].isna().sum() == 6
