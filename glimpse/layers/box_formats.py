"""What the RoI layers share: their inputs, made ready for the ops."""
from collections.abc import Sequence

import keras
import tensorflow as tf

from glimpse.ops.arguments import check_boxes_dtype

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def check_format(bounding_box_format: str, spatial_scale: float) -> None:
    """Raises ValueError for an unknown format, or a scale that a relative one would leave without meaning."""
    if bounding_box_format not in FORMATS:
        raise ValueError(f"bounding_box_format must be one of {FORMATS}, not {bounding_box_format!r}")
    if bounding_box_format.startswith("rel_") and spatial_scale != 1.0:
        raise ValueError(
            f"spatial_scale must be 1 for {bounding_box_format!r}, which is relative to the map, "
            f"but is {spatial_scale!r}")


def check_channels_last() -> None:
    """Raises ValueError where Keras makes feature maps of another layout, which would be misread in silence."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError("RoI layers take feature maps [batch, height, width, channels], and Keras is set to "
                         "'channels_first': call keras.config.set_image_data_format('channels_last')")


def features_and_boxes(inputs: Sequence[tf.Tensor], bounding_box_format: str,
                       dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Features in `dtype`; boxes in float32 `xyxy`, those of a relative format in cells of the map."""
    if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
        raise ValueError(f"the inputs must be the pair [features, boxes], not {inputs!r}")
    features, boxes = inputs
    check_boxes_dtype(boxes)
    height, width = tf.shape(features)[1], tf.shape(features)[2]
    boxes = keras.utils.bounding_boxes.convert_format(
        boxes, source=bounding_box_format, target="xyxy", height=height, width=width)
    return tf.cast(features, dtype), boxes


def pooled_shape(input_shape: Sequence, pooled_height: int, pooled_width: int) -> tuple:
    """[B, N, pooled_height, pooled_width, C] from the shapes of features and boxes."""
    features, boxes = input_shape
    return (features[0], boxes[1], pooled_height, pooled_width, features[3])
