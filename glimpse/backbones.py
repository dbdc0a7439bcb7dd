"""Backbones: image -> the feature map that every glimpse of every proposal shares."""

import gin
import keras

from glimpse.errors import GlimpseError, whole_number


@gin.register
def small_cnn(filters=(16, 32, 64), strides=(1, 2, 2), kernel_size=3):
    """A plain CNN for small pictures, trained from nothing: uint8 [B, H, W, C] -> float32 [B, H / s, W / s, filters[-1]].

    The stride s is the product of `strides`. With the defaults, a cell of the map sees 9 x 9 pixels, so that what lies
    beyond a RoI is for further glimpses to find out. A backbone that sees further tells the first glimpse more of it.

    Raises: GlimpseError if `filters` and `strides` differ in length or hold anything but whole numbers.
    """
    if not filters or len(filters) != len(strides):
        raise GlimpseError(f"small_cnn.filters and strides must be of one length, got {filters!r} and {strides!r}")
    layers = [keras.layers.Rescaling(1 / 255)]
    for index, (width, stride) in enumerate(zip(filters, strides)):
        layers.append(keras.layers.Conv2D(
            whole_number("small_cnn.filters", width), whole_number("small_cnn.kernel_size", kernel_size),
            strides=whole_number("small_cnn.strides", stride), padding="same", activation="relu",
            kernel_initializer="he_normal", name=f"conv{index + 1}"))
    return keras.Sequential(layers, name="backbone")
