"""What a run keeps of its training data, so that the network can be used where they are not: its data.json."""

import pathlib
from typing import NamedTuple

from glimpse.data.image_files import LIMIT
from glimpse.files import write_json
from glimpse.json_files import LARGEST, fields, list_of, number, one_of_shapes, read_json, text

DATA = "data.json"


class TrainedOn(NamedTuple):
    """What a run keeps of its training data, so that the network can be used where they are not.

    class_names: K names. category_ids: COCO's ids of the classes; 1, 2, ... where the data set has none. image_shape:
    (H, W, channels) of its first image. canvas: (height, width) that was chosen for its images, () where none was.
    """

    class_names: tuple
    category_ids: tuple
    image_shape: tuple
    canvas: tuple = ()


def trained_on_of(data):
    """The TrainedOn of a data set."""
    ids = getattr(data, "category_ids", range(1, len(data.class_names) + 1))
    return TrainedOn(tuple(data.class_names), tuple(ids), tuple(data[0].image.shape))


def write_trained_on(workdir, value):
    """Writes the TrainedOn of a run."""
    write_json(pathlib.Path(workdir) / DATA, value._asdict())


def read_trained_on(workdir):
    """The TrainedOn of a run. Raises: GlimpseError where its file is missing or damaged."""
    return TrainedOn(**{name: tuple(values) for name, values in read_json(
        pathlib.Path(workdir) / DATA, _shape, "train the run again, with --overwrite").items()})


_ID = one_of_shapes("a whole number or a text", number(-LARGEST, LARGEST, whole=True), text)
_FIELDS = fields({"class_names": list_of(text, least=1), "category_ids": list_of(_ID),
                  "image_shape": list_of(number(1, LIMIT, whole=True), least=3, most=3)},
                 optional={"canvas": list_of(number(1, LIMIT, whole=True), most=2)})


def _shape(value, place):
    _FIELDS(value, place)
    if not value.keys() <= set(TrainedOn._fields):
        raise ValueError(f"it has more than {', '.join(TrainedOn._fields)}")
    if not len(set(value["class_names"])) == len(value["class_names"]) == len(value["category_ids"]):
        raise ValueError("class_names are not as many as category_ids, or are given twice")
    if len(value.get("canvas", ())) == 1:
        raise ValueError("canvas must be a height and a width")
    if value["image_shape"][0] * value["image_shape"][1] > LIMIT:
        raise ValueError(f"image_shape is {value['image_shape']}")
