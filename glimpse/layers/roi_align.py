"""RoI align as a Keras layer."""
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from glimpse.layers.box_formats import check_channels_last, check_format, features_and_boxes, pooled_shape
from glimpse.ops import roi_align
from glimpse.ops.arguments import check_pooled_size, check_sampling_ratio, check_spatial_scale, pooled_of_ragged


@keras.saving.register_keras_serializable("glimpse")
class RoIAlign(keras.Layer):
    """Averages bilinear samples over every bin of a box: `glimpse.ops.roi_align`, in any bounding box format.

    Called with the pair [features, boxes]: features [B, H, W, C] and boxes [B, N, 4] in `bounding_box_format`. Returns
    [B, N, pooled_height, pooled_width, C] in the layer's compute dtype. Boxes stay float32 under every dtype policy.

    Formats are those of `keras.utils.bounding_boxes`. Relative ones are relative to the map: on a map of height 200,
    y_min = 0.5 is at 100.0. The others are in pixels of the image, of which one is `spatial_scale` cells.

    Args:
        pooled_height: lines of the grid.
        pooled_width: columns of the grid.
        bounding_box_format: such as "rel_yxyx" or "xyxy".
        spatial_scale: map cells per pixel, for formats that are not relative.
        sampling_ratio: samples along each side of a bin.
        aligned: whether the centre of cell k is at k + 0.5 or at k.
        box_gradient: whether gradients also go into the boxes.

    Raises:
        ValueError, TypeError: for arguments or shapes that `glimpse.ops.roi_align` does not take, or a scale other than
            1 with a relative format.
    """

    def __init__(
        self, pooled_height, pooled_width, bounding_box_format="rel_yxyx", spatial_scale=1.0, sampling_ratio=2,
        aligned=True, box_gradient=False, **kwargs
    ):
        # Keras would cast the boxes to the compute dtype too.
        super().__init__(**{"autocast": False, **kwargs})
        self.pooled_height, self.pooled_width = check_pooled_size((pooled_height, pooled_width))
        self.spatial_scale = check_spatial_scale(spatial_scale)
        check_format(bounding_box_format, self.spatial_scale)
        check_channels_last()
        self.bounding_box_format = bounding_box_format
        self.sampling_ratio = check_sampling_ratio(sampling_ratio)
        self.aligned = aligned
        self.box_gradient = box_gradient

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        if isinstance(inputs, (list, tuple)) and len(inputs) == 2 and isinstance(inputs[1], tf.RaggedTensor):
            return pooled_of_ragged(lambda *padded: self.call(padded), *inputs)
        features, boxes = features_and_boxes(inputs, self.bounding_box_format, self.compute_dtype)
        return roi_align(
            features, boxes, (self.pooled_height, self.pooled_width), self.spatial_scale, self.sampling_ratio,
            self.aligned, self.box_gradient)

    def compute_output_shape(self, input_shape: Sequence) -> tuple:
        return pooled_shape(input_shape, self.pooled_height, self.pooled_width)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pooled_height": self.pooled_height,
            "pooled_width": self.pooled_width,
            "bounding_box_format": self.bounding_box_format,
            "spatial_scale": self.spatial_scale,
            "sampling_ratio": self.sampling_ratio,
            "aligned": self.aligned,
            "box_gradient": self.box_gradient,
        }
