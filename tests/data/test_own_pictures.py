import numpy as np
import pytest
from PIL import Image

from glimpse.data.framing import Framing
from glimpse.data.image_files import Fault
from glimpse.data.own_pictures import OwnPictures, read_picture, scale_of, shrunk
from tests.data.photo_files import write_image

COLOURS = np.random.default_rng(0).integers(0, 255, [40, 80, 3], np.uint8)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def test_photos_are_examples_without_objects(photo):
    example, = OwnPictures([str(photo)], (96, 96, 3), None)
    np.testing.assert_array_equal(example.image, COLOURS)
    assert example.id == "street" and example.boxes.shape == (0, 4) and not len(example.labels)


def test_they_have_the_channels_of_the_run(photo):
    image = read_picture(photo, channels=1)
    grey = COLOURS @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert image.shape == (40, 80, 1) and image.dtype == np.uint8
    np.testing.assert_allclose(image[..., 0], grey, atol=1)


def test_grey_stays_as_it_is(tmp_path):
    Image.fromarray(COLOURS[..., 0]).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", channels=1)[..., 0], COLOURS[..., 0])


def test_they_stand_upright(tmp_path):
    write_image(tmp_path / "x.jpg", orientation=6)
    stored = np.asarray(Image.open(tmp_path / "x.jpg"))
    np.testing.assert_array_equal(read_picture(tmp_path / "x.jpg"), np.rot90(stored, -1))


@pytest.mark.parametrize("channels", [1, 3])
def test_without_a_framing_a_larger_one_is_shrunk_in_its_proportions(photo, channels):
    example, = OwnPictures([photo], (30, 40, channels), None)
    assert example.image.shape == (20, 40, channels)
    np.testing.assert_array_equal(scale_of(example.image, COLOURS), [0.5] * 4)
    assert abs(example.image.mean() - read_picture(photo, channels).mean()) < 1


def test_with_a_framing_one_larger_than_that_makes_it_is_shrunk_as_it_will_be(photo):
    """So that proposals are sought in what the network sees, and in no more pixels than it does."""
    framing = Framing(short_side=30, longest_side=50)
    example, = OwnPictures([photo], (96, 96, 3), framing)
    placed, _, scale = framing.place(example, np.zeros([0, 4], np.float32))
    assert example.image.shape == (25, 50, 3)
    np.testing.assert_array_equal(scale, 1)
    np.testing.assert_array_equal(
        placed.image, framing.place(example._replace(image=COLOURS), np.zeros([0, 4], np.float32))[0].image)
    kept, = OwnPictures([photo], (96, 96, 3), Framing())  # 600 and 1000 pixels
    np.testing.assert_array_equal(kept.image, COLOURS)


def test_the_scale_is_that_of_each_side():
    image = np.zeros([101, 250, 3], np.uint8)
    small = shrunk(image, 20, 50)
    assert small.shape == (20, 50, 3)
    np.testing.assert_allclose(scale_of(small, image), [50 / 250, 20 / 101] * 2)
    assert shrunk(small, 40, 100) is small


def test_what_cannot_be_read_is_named_at_once(photo):
    (photo.parent / "notes.txt").write_text("no picture")
    with pytest.raises(Fault, match="notes.txt: no JPEG or PNG image"):
        OwnPictures([photo, photo.parent / "notes.txt"], (96, 96, 1), None)
    with pytest.raises(Fault, match="none.png: no such image file"):
        OwnPictures([photo, "none.png"], (96, 96, 1), None)
    photo.write_bytes(photo.read_bytes()[:-200])
    with pytest.raises(Fault, match="street.png: broken image file"):
        OwnPictures([photo], (96, 96, 1), None)
