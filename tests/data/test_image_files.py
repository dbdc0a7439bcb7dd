import numpy as np
import pytest
from PIL import Image

from glimpse.data.image_files import Fault, probe_image, read_image
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
