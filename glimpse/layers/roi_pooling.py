"""RoI max pooling as a Keras layer."""
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from glimpse.layers.box_formats import check_channels_last, check_format, features_and_boxes, pooled_shape
from glimpse.ops import roi_pool
from glimpse.ops.arguments import check_pooled_size, check_spatial_scale, pooled_of_ragged
from glimpse.ops.roi_pool import BINS


@keras.saving.register_keras_serializable("glimpse")
class RoIPooling(keras.Layer):
    """Pools every box of a feature map to a fixed grid by maxima: `glimpse.ops.roi_pool`, in any bounding box format.

    Called with the pair [features, boxes]: features [B, H, W, C] and boxes [B, N, 4] in `bounding_box_format`. Returns
    [B, N, pooled_height, pooled_width, C] in the layer's compute dtype. Boxes stay float32 under every dtype policy,
    because half precision cannot hold their coordinates. Gradients go to the features only.

    Formats are those of `keras.utils.bounding_boxes`. Relative ones are relative to the map: on a map of height 200,
    y_min = 0.5 is line 100. The others are in pixels of the image, of which one is `spatial_scale` cells.

    `RoIPooling(3, 7, bins="article")`, with its relative (y_min, x_min, y_max, x_max), is the layer of Sevilla,
    "Implementing RoI pooling in TensorFlow + Keras", 2019, save that a bin without cells, of a box smaller than the
    grid, is 0. (The article names the order of the coordinates the other way round; its code and its example read them
    in this order.)

    Args:
        pooled_height: lines of the grid.
        pooled_width: columns of the grid.
        bounding_box_format: such as "rel_yxyx" or "xyxy".
        spatial_scale: map cells per pixel, for formats that are not relative.
        bins: "fast_rcnn" or "article", see `glimpse.ops.roi_pool`.

    Raises:
        ValueError, TypeError: for arguments or shapes that `glimpse.ops.roi_pool` does not take, or a scale other than
            1 with a relative format.
    """

    def __init__(
        self, pooled_height, pooled_width, bounding_box_format="rel_yxyx", spatial_scale=1.0, bins="fast_rcnn", **kwargs
    ):
        # Keras would cast the boxes to the compute dtype too.
        super().__init__(**{"autocast": False, **kwargs})
        self.pooled_height, self.pooled_width = check_pooled_size((pooled_height, pooled_width))
        self.spatial_scale = check_spatial_scale(spatial_scale)
        check_format(bounding_box_format, self.spatial_scale)
        check_channels_last()
        if bins not in BINS:
            raise ValueError(f"bins must be one of {BINS}, not {bins!r}")
        self.bounding_box_format = bounding_box_format
        self.bins = bins

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        if isinstance(inputs, (list, tuple)) and len(inputs) == 2 and isinstance(inputs[1], tf.RaggedTensor):
            return pooled_of_ragged(lambda *padded: self.call(padded), *inputs)
        features, boxes = features_and_boxes(inputs, self.bounding_box_format, self.compute_dtype)
        return roi_pool(features, boxes, (self.pooled_height, self.pooled_width), self.spatial_scale, self.bins)

    def compute_output_shape(self, input_shape: Sequence) -> tuple:
        return pooled_shape(input_shape, self.pooled_height, self.pooled_width)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pooled_height": self.pooled_height,
            "pooled_width": self.pooled_width,
            "bounding_box_format": self.bounding_box_format,
            "spatial_scale": self.spatial_scale,
            "bins": self.bins,
        }
