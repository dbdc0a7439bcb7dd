"""What a run keeps of its training data, so that the network can be used where they are not: its data.json."""

import json
import pathlib
from typing import NamedTuple

from glimpse.errors import GlimpseError
from glimpse.files import read_text, write_json

DATA = "data.json"


class TrainedOn(NamedTuple):
    """What a run keeps of its training data, so that the network can be used where they are not.

    class_names: K names. category_ids: COCO's ids of the classes; 1, 2, ... where the data set has none. image_shape:
    (H, W, channels) of its first image.
    """

    class_names: tuple
    category_ids: tuple
    image_shape: tuple


def trained_on_of(data):
    """The TrainedOn of a data set."""
    ids = getattr(data, "category_ids", range(1, len(data.class_names) + 1))
    return TrainedOn(tuple(data.class_names), tuple(ids), tuple(data[0].image.shape))


def write_trained_on(workdir, value):
    """Writes the TrainedOn of a run."""
    write_json(pathlib.Path(workdir) / DATA, value._asdict())


def read_trained_on(workdir):
    """The TrainedOn of a run. Raises: GlimpseError where its file is missing or damaged."""
    path = pathlib.Path(workdir) / DATA
    try:
        value = TrainedOn(**{name: tuple(values) for name, values in json.loads(read_text(path)).items()})
        sound = (value.class_names and all(isinstance(name, str) for name in value.class_names)
                 and len(value.category_ids) == len(value.class_names) and len(value.image_shape) == 3
                 and all(isinstance(side, int) and side > 0 for side in value.image_shape))
        if not sound:
            raise ValueError("it has another shape")
        return value
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); train the run again, with --overwrite") from error
