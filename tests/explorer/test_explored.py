import numpy as np
import pytest
from PIL import Image

from glimpse.data.example import Example
from glimpse.errors import GlimpseError
from glimpse.explorer.explored import check_same_data, compare, fingerprint, picture
from tests.explorer.made import made_run, pixels

NAMES = ["cat", "dog", "fish"]


def example():
    return Example("picture", np.arange(32 * 40, dtype=np.uint8).reshape(32, 40, 1),
                   np.float32([[8, 6, 20, 22], [23, 9, 35, 25]]), np.int32([2, 0]), np.zeros(2, bool))


def test_large_pictures_are_small_files():
    large = np.asarray(Image.fromarray(np.random.default_rng(0).integers(0, 255, [6, 8, 3], np.uint8)).resize(
        [800, 600], Image.Resampling.BICUBIC))
    source = picture(large)
    assert np.abs(pixels(source).astype(int) - large).mean() < 4 and len(source) < large.size / 50


def test_the_same_data_and_others():
    one = example()
    same = fingerprint(one, NAMES)
    assert fingerprint(one._replace(image=one.image.copy()), NAMES) == same
    for change in ({"id": "other"}, {"image": one.image + 1}, {"boxes": one.boxes + 1}, {"labels": one.labels[::-1]},
                   {"difficult": ~one.difficult}, {"image": one.image.reshape(40, 32, 1)}):
        assert fingerprint(one._replace(**change), NAMES) != same
    assert fingerprint(one, ["horse", "dog", "fish"]) != same

    first, second = made_run(), made_run("second", factor=0.5)
    check_same_data(first, second)
    with pytest.raises(GlimpseError, match="first and second differ in data: image 2 is b/ü #1 and b/ü #1, with other"):
        check_same_data(first, second._replace(fingerprints=["a", "other"]))
    with pytest.raises(GlimpseError, match="first and second differ in data, 2 and 1 images; --against must name"):
        check_same_data(first, second._replace(images=second.images[:1]))


def test_the_difference_is_that_of_what_the_last_glimpses_lead_to():
    first, second = made_run(), made_run("second", count=1, factor=0.5)
    compare(first, second)
    # 0.8 * 1 - 0.5 * 0.25, 0.4 * 0.5 - 0.6 * 0.25, 0.7 * 1 - 0.5 * 0.5, 0.9 * 0.3 - 0.9 * 0.05
    assert [each["difference"] for each in first.objects] == [0.675, 0.05, 0.45, 0.225, None]
    assert "difference" not in second.objects[0]
