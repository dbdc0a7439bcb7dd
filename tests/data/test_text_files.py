import os
import unicodedata

import pytest

from glimpse.data.coco import COCO
from glimpse.data.text_files import decoded, decoded_xml, lines, numbered_lines, on_disk, read_bytes
from glimpse.data.voc import VOC
from glimpse.data.yolo import YOLO
from glimpse.errors import GlimpseError
from tests.data.photo_files import write_coco, write_voc, write_yolo


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_byte_order_mark_says_the_encoding_and_is_dropped(tmp_path, encoding):
    (tmp_path / "x.txt").write_bytes("猫\r\n\r\n red dog \rlast\u2028one".encode(encoding))
    assert lines(tmp_path / "x.txt") == ["猫", "red dog", "last\u2028one"]
    assert numbered_lines(tmp_path / "x.txt")[1] == (3, "red dog")


def test_xml_and_json_without_a_mark():
    for encoding in ("utf-16-le", "utf-16-be", "utf-8"):
        assert decoded("<a>猫</a>".encode(encoding)) == "<a>猫</a>"
        assert decoded('{"a": "猫"}'.encode(encoding)) == '{"a": "猫"}'
    content = "<?xml version='1.0' encoding = 'big5' ?><a>貓</a>"
    assert decoded_xml(content.encode("big5")) == content
    with pytest.raises(LookupError, match="martian"):
        decoded_xml(b"<?xml encoding='martian'?>")


def test_what_is_no_text_or_no_file_is_named(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"caf\xe9")
    with pytest.raises(GlimpseError, match="x.txt cannot be read: it is not in UTF-8 .*save it as UTF-8"):
        lines(tmp_path / "x.txt")
    with pytest.raises(GlimpseError, match="y.txt cannot be read .No such file or directory.; look there"):
        lines(tmp_path / "y.txt", "; look there")
    for path in (tmp_path, f"{tmp_path}/a\0b"):
        with pytest.raises(OSError):
            read_bytes(path)


ONE, TWO = (unicodedata.normalize(form, "é한") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("here, there", [(ONE, TWO), (TWO, ONE)])
def test_files_are_found_however_their_accents_are_coded(tmp_path, here, there):
    write_voc(tmp_path / "voc", {here: [("cat", 1, 1, 9, 9)]})
    write_coco(tmp_path / "coco", [(1, 7, [0, 0, 9, 9])], images=(here,))
    write_yolo(tmp_path / "yolo", {here: "0 0.5 0.5 1 1"}, data="train: train.txt\nnames: [cat]\n")
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").write_text(f"{there}.jpg\n", encoding="utf-8")
    (tmp_path / "yolo" / "train.txt").write_text(f"images/train/{there}.jpg\n", encoding="utf-8")
    os.rename(tmp_path / "coco" / "train2017" / f"{here}.jpg", tmp_path / "coco" / "train2017" / f"{there}.jpg")
    os.rename(tmp_path / "voc" / "Annotations" / f"{here}.xml", tmp_path / "voc" / "Annotations" / f"{there}.xml")
    labels = tmp_path / "yolo" / "labels" / "train"
    os.rename(labels / f"{here}.txt", labels / f"{there}.txt")
    assert [len(data[0].boxes) for data in (VOC("train", tmp_path / "voc"), COCO("train", tmp_path / "coco"),
                                            YOLO("train", tmp_path / "yolo"))] == [1, 1, 1]


def test_a_file_of_the_very_name_comes_first(tmp_path):
    for name in (ONE, TWO):
        (tmp_path / name).write_text("")
    if len(list(tmp_path.iterdir())) == 2:  # else this disk takes them for one
        assert on_disk(tmp_path, ONE).name == ONE and on_disk(tmp_path, TWO).name == TWO
    assert on_disk(tmp_path, "none").name == "none"
