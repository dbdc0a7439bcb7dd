import numpy as np
import pytest
from PIL import Image

from glimpse.data.photo import read_photo
from glimpse.errors import GlimpseError

COLOURS = np.random.default_rng(0).integers(0, 255, [40, 80, 3], np.uint8)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def test_a_photo_is_an_example_without_objects(photo):
    example = read_photo(photo, (96, 96, 3))
    np.testing.assert_array_equal(example.image, COLOURS)
    assert example.id == "street" and example.boxes.shape == (0, 4) and not len(example.labels)


def test_it_has_the_channels_that_the_network_expects(photo):
    example = read_photo(photo, (96, 96, 1))
    grey = COLOURS @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert example.image.shape == (40, 80, 1) and example.image.dtype == np.uint8
    np.testing.assert_allclose(example.image[..., 0], grey, atol=1)


def test_a_larger_one_is_shrunk_in_its_proportions(photo):
    assert read_photo(photo, (30, 40, 1)).image.shape == (20, 40, 1)


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    for name in ("notes.txt", "none.png"):
        with pytest.raises(GlimpseError, match=f"--photo=.*{name} cannot be read as a picture"):
            read_photo(tmp_path / name, (96, 96, 1))
