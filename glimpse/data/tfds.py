"""VOC and COCO by name through TensorFlow Datasets, which downloads and prepares them: pip install 'glimpse[tfds]'."""

import logging
import re

import gin
import numpy as np

from glimpse.data.example import Example
from glimpse.errors import GlimpseError

_LOG = logging.getLogger(__name__)


@gin.register
class TFDS:
    """A data set of TensorFlow Datasets with boxes, difficult ones marked: "voc/2007", "voc/2012", "coco/2017".

    TensorFlow Datasets divides VOC's 1-based inclusive coordinates by the image's size as they stand; here 1 is
    subtracted from xmin and ymin, as `glimpse.data.voc` does. Crowd boxes of COCO are kept as difficult. An example's
    id is COCO's image id, or the file's name without its suffix.

    Args:
        split: "train", "validation" or "test", or what TensorFlow Datasets takes in their place ("train[:10%]").
        name: of the data set and its configuration.
        data_dir: where prepared data sets lie; its own default unless given. A data set that is not there is downloaded
            and written for random access (ArrayRecord); one that was prepared in another format is refused.
        splits: split -> what stands for it, such as {"train": "train+validation"} for VOC's trainval.

    Raises:
        GlimpseError: names the data set.
    """

    def __init__(self, split, name=gin.REQUIRED, data_dir=None, splits={}):
        if not isinstance(name, str) or re.match(r"\w+:[^\d.]", name):  # a namespace: code of others from the net
            raise GlimpseError("TFDS.name must be that of a data set of TensorFlow Datasets itself, such as "
                               f"'voc/2007', got {name!r}")
        try:
            import tensorflow_datasets
        except ImportError as error:
            raise GlimpseError(
                f"TFDS.name = {name!r} needs TensorFlow Datasets: pip install 'glimpse[tfds]'") from error
        try:
            builder = tensorflow_datasets.builder(name, data_dir=data_dir, file_format="array_record")
            builder.download_and_prepare()
            self._records = builder.as_data_source(splits.get(split, split))
        except Exception as error:  # of the net, the disk, the name: all the user's, and none of one class
            raise GlimpseError(f"TFDS: {name!r}, split {split!r}: {' '.join(str(error).split())[:300]}") from error
        objects = builder.info.features["objects"].feature if "objects" in builder.info.features else {}
        if not ("is_difficult" in objects or "is_crowd" in objects):
            raise GlimpseError(f"TFDS: {name!r} marks neither difficult nor crowd boxes; give 'voc/...' or 'coco/...'")
        self.class_names = tuple(objects["label"].names)
        self._is_voc = "is_difficult" in objects

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        record = self._records[index]
        objects, (height, width) = record["objects"], record["image"].shape[:2]
        relative = np.asarray(objects["bbox"], np.float32).reshape(-1, 4)[:, [1, 0, 3, 2]]
        boxes = np.round(relative * np.float32([width, height, width, height]), 3)  # relative float32 is not exact
        boxes -= np.float32([1, 1, 0, 0]) * self._is_voc
        boxes = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
        id = int(record["image/id"]) if "image/id" in record else record["image/filename"].decode().rsplit(".", 1)[0]
        whole = (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
        if not whole.all():
            _LOG.warning("image %s: left out %d boxes without width or height", id, (~whole).sum())
        difficult = np.asarray(objects["is_difficult" if self._is_voc else "is_crowd"], bool)
        return Example(id, record["image"], boxes[whole], np.asarray(objects["label"], np.int32)[whole],
                       difficult[whole])
