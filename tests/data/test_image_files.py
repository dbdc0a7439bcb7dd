import os
import random

import numpy as np
import pytest
from PIL import Image

from glimpse.data import image_files
from glimpse.data.image_files import Fault, probe_image, read_image
from tests.data.mutated import broken
from tests.data.photo_files import pixels, write_image


@pytest.mark.parametrize("name, mode", [("x.jpg", "RGB"), ("x.jpg", "L"), ("x.jpg", "CMYK"), ("x.png", "RGB"),
                                        ("x.png", "L"), ("x.png", "P"), ("x.png", "RGBA"), ("x.png", "1")])
def test_every_sound_kind_becomes_rgb(tmp_path, name, mode):
    path = tmp_path / name
    write_image(path, mode)
    sizes, turned = probe_image(path)
    assert sizes == {"stored": (40, 30), "upright": (40, 30)} and not turned
    image, expected = read_image(path, "stored"), np.asarray(Image.fromarray(pixels()).convert(mode).convert("RGB"))
    assert image.dtype == np.uint8 and image.shape == (30, 40, 3)
    assert np.abs(image.astype(int) - expected).max() <= (12 if name == "x.jpg" else 0)


def test_grey_is_one_channel_whether_it_is_stored_as_grey_or_as_rgb(tmp_path):
    Image.fromarray(np.uint8([[[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 200]]])).save(tmp_path / "rgb.png")
    weights = 0.299, 0.587, 0.114, 1  # of ITU-R 601
    expected = np.reshape([round(200 * weight) for weight in weights], [1, 4, 1])
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.png", "stored", channels=1), expected)
    Image.fromarray(np.uint8([[7, 250]])).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png", "stored", channels=1), [[[7], [250]]])


@pytest.mark.parametrize("mode, kind", [("I;16", "pixels of more than 8 bits"), ("RGBA", "transparent pixels")])
def test_kinds_that_would_lose_what_they_show_are_refused(tmp_path, mode, kind):
    path = tmp_path / "x.png"
    array = np.full([4, 4], 40000, np.uint16) if mode == "I;16" else np.full([4, 4, 4], 100, np.uint8)
    Image.fromarray(array).save(path)
    with pytest.raises(Fault, match=f"x.png: {kind}"):
        probe_image(path)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.98])
def test_a_truncated_file_is_found_before_it_is_needed(tmp_path, name, share):
    path = tmp_path / name
    write_image(path, size=(90, 120))
    whole = path.read_bytes()
    probe_image(path)
    path.write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(Fault, match=f"{name}: (broken image file|no JPEG or PNG image)"):
        probe_image(path)
    path.write_bytes(whole + bytes(100))  # padding, as some programs leave it, does no harm
    assert probe_image(path)[0]["stored"] == (120, 90)


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "x.jpg").write_text("<html>404</html>")
    with pytest.raises(Fault, match="x.jpg: no JPEG or PNG image"):
        probe_image(tmp_path / "x.jpg")
    with pytest.raises(Fault, match="y.jpg: no such image file"):
        probe_image(tmp_path / "y.jpg")


@pytest.mark.parametrize("orientation, upright", [
    (1, lambda stored: stored), (3, lambda stored: stored[::-1, ::-1]), (6, lambda stored: np.rot90(stored, -1)),
    (8, np.rot90), (2, lambda stored: stored[:, ::-1])])
def test_exif_orientation(tmp_path, orientation, upright):
    path = tmp_path / "x.jpg"
    write_image(path, orientation=orientation)
    sizes, turned = probe_image(path)
    stored = read_image(path, "stored")
    np.testing.assert_array_equal(read_image(path, "upright"), upright(stored))
    assert turned == (orientation != 1) and stored.shape == (30, 40, 3)
    assert sizes == {"stored": (40, 30), "upright": (30, 40) if orientation in (6, 8) else (40, 30)}


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_jpeg_that_claims_to_be_whole_and_is_not(tmp_path, options, share):
    """Its end is there, but not what comes before: decoders paint grey, and say nothing."""
    path = tmp_path / "x.jpg"
    write_image(path, size=(90, 120), **options)
    probe_image(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:int(share * len(whole))] + b"\xff\xd9")
    with pytest.raises(Fault, match="x.jpg: broken image file .*(?i:premature end)"):
        probe_image(path)


def test_a_png_that_claims_to_be_whole_and_is_not(tmp_path):
    path = tmp_path / "x.png"
    write_image(path, size=(90, 120))
    whole = path.read_bytes()
    for content in (whole[:len(whole) // 2] + whole[-12:], whole[:900] + bytes([whole[900] ^ 1]) + whole[901:]):
        path.write_bytes(content)
        with pytest.raises(Fault, match="x.png: broken image file"):
            probe_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    (tmp_path / "y.jpg").mkdir()
    for name in ("x.jpg", "y.jpg"):
        with pytest.raises(Fault, match=f"{name}: no JPEG or PNG image .it is no regular file"):
            probe_image(tmp_path / name)


def test_images_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "x.png"
    Image.new("1", (13_000, 13_000)).save(path)
    with pytest.raises(Fault, match="x.png: an image of more than 67108864 pixels .13000x13000; shrink it, or "):
        probe_image(path)
    write_image(tmp_path / "y.png")
    assert probe_image(tmp_path / "y.png", most_pixels=1200)
    with pytest.raises(Fault, match="y.png: an image of more than 1199 pixels"):
        read_image(tmp_path / "y.png", "stored", most_pixels=1199)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_what_was_decoded_once_is_known_again_by_its_content(tmp_path, name, monkeypatch):
    """Not by its name, and no limit is forgotten."""
    decoded = []
    monkeypatch.setattr(image_files, "_whole", {})
    for each in ("_rgb", "_is_whole_jpeg"):
        function = getattr(image_files, each)
        monkeypatch.setattr(image_files, each, lambda *given, function=function: decoded.append(1) or function(*given))
    write_image(tmp_path / name)
    first = probe_image(tmp_path / name)
    (tmp_path / f"copy_{name}").write_bytes((tmp_path / name).read_bytes())
    assert probe_image(tmp_path / f"copy_{name}") == first == probe_image(tmp_path / name) and len(decoded) == 1
    with pytest.raises(Fault, match="an image of more than 1199 pixels"):
        probe_image(tmp_path / name, most_pixels=1199)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-60])
    for _ in range(2):
        with pytest.raises(Fault, match="broken image file"):
            probe_image(tmp_path / name)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path, name):
    path, read = tmp_path / name, 0
    write_image(path)
    whole = path.read_bytes()
    for number in range(int(os.environ.get("GLIMPSE_MUTATIONS", 600)) // 2):
        path.write_bytes(broken(random.Random(number), whole))
        try:
            sizes, _ = probe_image(path)
            image = read_image(path, "stored")
        except Fault as fault:
            assert str(fault).isprintable() and str(path) in str(fault)
        else:
            read += 1
            assert image.shape == (*sizes["stored"][::-1], 3)
            if name == "x.png":  # which has checksums
                np.testing.assert_array_equal(image, pixels())
    assert read
