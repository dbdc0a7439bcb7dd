import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from glimpse.visualization.writing import write_animation, write_figure


def figure(colour):
    made = Figure(figsize=(1, 0.5), facecolor="none")
    made.add_axes((0, 0, 0.5, 1), facecolor=colour, xticks=[], yticks=[])
    return made


def test_a_figure_becomes_a_png_and_a_pdf_the_same_each_time(tmp_path):
    paths = write_figure(tmp_path / "a.b", figure("red"))
    assert [path.name for path in paths] == ["a.b.png", "a.b.pdf"]
    again = write_figure(tmp_path / "c", figure("red"))
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    picture = Image.open(paths[0])
    assert picture.size == (200, 100) and picture.getpixel((150, 50)) == (255, 255, 255, 255)  # not transparent
    assert paths[1].read_bytes().startswith(b"%PDF")


def test_an_animation_has_a_frame_a_figure_in_its_own_colours(tmp_path):
    colours = ("#440154", "#21918c", "#fde725")
    path = write_animation(tmp_path / "x", [figure(colour) for colour in colours])
    assert path == tmp_path / "x.gif" and [each.name for each in tmp_path.iterdir()] == ["x.gif"]
    gif = Image.open(path)
    assert gif.n_frames == 3 and gif.info["loop"] == 0
    pauses = []
    for place, colour in enumerate(colours):
        gif.seek(place)
        pauses.append(gif.info["duration"])
        wanted = [int(colour[k:k + 2], 16) for k in (1, 3, 5)]
        np.testing.assert_allclose(gif.convert("RGB").getpixel((25, 25)), wanted, atol=8)
    assert pauses[-1] > pauses[0] == pauses[1] > 500
