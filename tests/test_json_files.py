import pytest

from glimpse.errors import GlimpseError
from glimpse.json_files import fields, from_json, list_of, number, read_json, text

SHAPE = fields({"names": list_of(text, least=1)}, {"sizes": list_of(number(1, 9, whole=True), 2, 2)})


@pytest.mark.parametrize("content, reason", [
    ("", "Expecting value"), ("[]", r"its content must be an object with fields"), ("{}", "it lacks 'names'"),
    ('{"names": "ab"}', "names must be a list of at least 1, not 'ab'"), ('{"names": []}', "names must be a list of"),
    ('{"names": ["a", 3]}', r"names\[1\] must be a text, not 3"), ('{"names": ["\\ud800"]}', r"names\[0\] must"),
    ('{"names": ["a"], "names": ["b"]}', "'names' is given twice"), ('{"names": ["a"], "sizes": [1]}', "list of 2"),
    ('{"names": ["a"], "sizes": [1, 2.0]}', r"sizes\[1\] must be a whole number from 1 to 9, not 2.0"),
    ('{"names": ["a"], "sizes": [1, true]}', "not True"), ('{"names": ["a"], "sizes": [1, Infinity]}', "Infinity"),
    ("[" * 5000, "nested too deeply"), ('{"names": ["a"], "x": ' + "9" * 5000 + "}", "integer string conversion"),
    ('{"names": ["' + "a" * 10**6 + '", 1]}', r"names\[1\] must be a text"),
])
def test_another_shape_is_one_line_with_file_place_and_value(tmp_path, content, reason):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(GlimpseError, match=f"x.json cannot be read .*{reason}.*; mend it$") as error:
        read_json(tmp_path / "x.json", SHAPE, "mend it")
    assert str(error.value).isprintable() and len(str(error.value)) < 500


def test_the_right_shape_is_read_as_it_is(tmp_path):
    content = {"names": ["größe"], "sizes": [1, 9], "more": None}
    assert from_json('{"names": ["größe"], "sizes": [1, 9], "more": null}', SHAPE) == content
    (tmp_path / "x.json").write_bytes(b"\xff")
    for path in (tmp_path / "x.json", tmp_path / "none", tmp_path):
        with pytest.raises(GlimpseError, match="cannot be read"):
            read_json(path, SHAPE, "mend it")
