import pytest

from glimpse.errors import GlimpseError
from glimpse.training.trained_on import DATA, TrainedOn, read_trained_on, write_trained_on


@pytest.mark.parametrize("text", [
    "", "[]", "3", "{}", '{"class_names": 3}',
    '{"class_names": ["a"], "category_ids": [1], "image_shape": ["x", 1, 1]}',
    '{"class_names": ["a"], "category_ids": [1], "image_shape": [8, 8]}',
    '{"class_names": [], "category_ids": [], "image_shape": [8, 8, 1]}',
    '{"class_names": ["a", "b"], "category_ids": [1], "image_shape": [8, 8, 1]}'])
def test_what_a_run_was_trained_on_has_its_shape(tmp_path, text):
    value = TrainedOn(("a", "größe"), (1, "x"), (8, 8, 1))
    write_trained_on(tmp_path, value)
    assert read_trained_on(tmp_path) == value
    (tmp_path / DATA).write_text(text)
    with pytest.raises(GlimpseError, match="data.json cannot be read"):
        read_trained_on(tmp_path)
