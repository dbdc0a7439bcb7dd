"""Keras layers over `glimpse.ops`."""
import keras

if keras.config.backend() != "tensorflow":  # else its tensors would meet TensorFlow's operations somewhere inside
    raise ImportError(f"glimpse.layers compute in TensorFlow, and Keras is set to {keras.config.backend()!r}: set the "
                      "environment variable KERAS_BACKEND=tensorflow before keras is imported")

from glimpse.layers.roi_align import RoIAlign  # noqa: E402
from glimpse.layers.roi_pooling import RoIPooling  # noqa: E402

__all__ = ["RoIAlign", "RoIPooling"]
