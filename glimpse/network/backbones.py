"""Backbones: image -> the feature map that every glimpse of every proposal shares.

`small_cnn` is trained from nothing. The others are cut from networks for ImageNet, take RGB images of 0..255 and
prepare them as their weights ask for. Their settings:

  weights: None, drawn at random; "imagenet"; or the path of a file of weights.
  cut: the layer whose output is the feature map.
  train_from: the first layer that is trained, with all that follow; the beginning of its name up to a "_" will do.
    None: the whole backbone stays as it is.
  frozen_batch_norm: batch normalisation keeps its scale and offset in the trained layers too. Its statistics are those
    of the weights in any case, since the few and padded images of a batch have none worth taking.
"""

from collections.abc import Sequence

import gin
import keras

from glimpse.errors import GlimpseError, whole_number
from glimpse.network import efficientnet_lite0 as lite0


@gin.register
def small_cnn(filters: Sequence[int] = (16, 32, 64), strides: Sequence[int] = (1, 2, 2), kernel_size: int = 3,
              last_dilation: int = 1) -> keras.Model:
    """A plain CNN for small pictures, trained from nothing.

    It maps uint8 [B, H, W, C] to float32 [B, H / s, W / s, filters[-1]]. The stride s is the product of `strides`. With
    the defaults, a cell of the map sees 9 x 9 pixels, so that what lies beyond a RoI is for further glimpses to find
    out. A backbone that sees further tells the first glimpse more of it. It does so with as many weights where the last
    stride is 1 and `last_dilation`, the cells from tap to tap of the last layer, is above 1.

    Raises:
        GlimpseError: if `filters` and `strides` differ in length or hold anything but whole numbers, or if the last
            layer should be dilated and strided at once.
    """
    if not filters or len(filters) != len(strides):
        raise GlimpseError(f"small_cnn.filters and strides must be of one length, got {filters!r} and {strides!r}")
    dilations = [1] * (len(filters) - 1) + [whole_number("small_cnn.last_dilation", last_dilation)]
    if last_dilation > 1 and strides[-1] != 1:
        raise GlimpseError(f"small_cnn.last_dilation={last_dilation} needs a last stride of 1, got strides={strides!r}")
    layers = [keras.layers.Rescaling(1 / 255)]
    for index, (width, stride, dilation) in enumerate(zip(filters, strides, dilations)):
        layers.append(keras.layers.Conv2D(
            whole_number("small_cnn.filters", width), whole_number("small_cnn.kernel_size", kernel_size),
            strides=whole_number("small_cnn.strides", stride), dilation_rate=dilation, padding="same",
            activation="relu", kernel_initializer="he_normal", name=f"conv{index + 1}"))
    return keras.Sequential(layers, name="backbone")


@gin.register
def efficientnet_lite0(weights: str | None = "imagenet", cut: str = "block10", train_from: str | None = None,
                       frozen_batch_norm: bool = True) -> keras.Model:
    """EfficientNet-Lite0: block4 at stride 8 (40 channels), block10 at 16 (112), block15 at 32 (320).

    "imagenet" takes the weights that an installed package carries, see `glimpse.network.efficientnet_lite0`.
    """
    model = lite0.network(classifier=False)
    if weights is not None:
        lite0.load(model, weights)
    return _cut("efficientnet_lite0", model.input, model, cut, train_from, frozen_batch_norm)


@gin.register
def vgg16(weights: str | None = "imagenet", cut: str = "block5_conv3", train_from: str | None = "block3",
          frozen_batch_norm: bool = True) -> keras.Model:
    """VGG16 up to its last convolution, at stride 16 (512 channels), trained from conv3_1 up, as in Fast R-CNN."""
    return _application("vgg16", keras.applications.vgg16, "VGG16", weights, cut, train_from, frozen_batch_norm)


@gin.register
def resnet50(weights: str | None = "imagenet", cut: str = "conv4_block6_out", train_from: str | None = "conv3",
             frozen_batch_norm: bool = True) -> keras.Model:
    """ResNet50 up to its fourth stage, at stride 16 (1024 channels)."""
    return _application("resnet50", keras.applications.resnet50, "ResNet50", weights, cut, train_from,
                        frozen_batch_norm)


@gin.register
def mobilenet_v2(weights: str | None = "imagenet", cut: str = "block_12_add", train_from: str | None = None,
                 frozen_batch_norm: bool = True) -> keras.Model:
    """MobileNetV2 up to the last block at stride 16 (96 channels)."""
    return _application("mobilenet_v2", keras.applications.mobilenet_v2, "MobileNetV2", weights, cut, train_from,
                        frozen_batch_norm)


def _application(name, module, network, weights, cut, train_from, frozen_batch_norm):
    images = keras.Input([None, None, 3])
    prepared = module.preprocess_input(keras.layers.Rescaling(1.0, name="to_float")(images))
    try:
        model = getattr(module, network)(include_top=False, weights=weights, input_tensor=prepared)
    except Exception as error:  # of the net, of the file, of its content: Keras has no class for these
        raise GlimpseError(f"{name}.weights = {weights!r} cannot be loaded ({' '.join(str(error).split())[:200]}); "
                           "'imagenet' needs the net, None and a path do not") from error
    return _cut(name, images, model, cut, train_from, frozen_batch_norm)


def _cut(name, images, model, cut, train_from, frozen_batch_norm):
    """The model up to the layer `cut`, of which the layers from `train_from` on are trained."""
    names = [layer.name for layer in model.layers]
    if cut not in names:
        raise GlimpseError(f"{name}.cut must be one of its layers ({', '.join(names)}), got {cut!r}")
    backbone = keras.Model(images, model.get_layer(cut).output, name="backbone")
    trained = False
    for layer in backbone.layers:
        trained = trained or f"{layer.name}_".startswith(f"{train_from}_")
        layer.trainable = trained and not (frozen_batch_norm and isinstance(layer, keras.layers.BatchNormalization))
    if train_from is not None and not trained:
        raise GlimpseError(f"{name}.train_from must begin the name of a layer before {cut!r} "
                           f"({', '.join(layer.name for layer in backbone.layers)}), got {train_from!r}")
    return backbone
