"""References that are slow and obvious, one loop for each index; and torchvision's values, where it is installed."""
import importlib.util
import subprocess
import sys

import numpy as np
import pytest


def _round(x):
    whole = np.trunc(x)
    return int(whole + np.sign(x) if abs(x - whole) >= 0.5 else whole)


def _bins(first, last, count, bins):
    if bins == "article":
        first, last = int(first), int(last)
        step = max(last - first, 0) // count
        return [(first + i * step, first + (i + 1) * step if i + 1 < count else max(last, first)) for i in range(count)]
    first, last = _round(first), _round(last)
    size = np.float32(max(last - first + 1, 1)) / np.float32(count)
    return [
        (first + int(np.floor(np.float32(i) * size)), first + int(np.ceil(np.float32(i + 1) * size)))
        for i in range(count)]


@pytest.fixture(scope="session")
def slow_roi_pool():
    """(features, boxes, pooled_size, scale, bins) -> the pooled maps, and the (image, y, x, channel) of every maximum,
    or None."""

    def pool(features, boxes, pooled_size, scale=1.0, bins="fast_rcnn"):
        batch, height, width, channels = features.shape
        shape = (batch, boxes.shape[1], *pooled_size, channels)
        pooled, where = np.zeros(shape, features.dtype), np.full(shape, None)
        for b, n in np.ndindex(shape[:2]):
            # Clipped far beyond every map, where float32 has long ceased to tell cells apart, and int32 ends.
            x1, y1, x2, y2 = np.clip(np.float32(boxes[b, n]) * np.float32(scale), -(2.0**29), 2.0**29)
            for i, (top, bottom) in enumerate(_bins(y1, y2, pooled_size[0], bins)):
                for j, (left, right) in enumerate(_bins(x1, x2, pooled_size[1], bins)):
                    for c in range(channels):
                        for y in range(max(top, 0), min(bottom, height)):
                            for x in range(max(left, 0), min(right, width)):
                                if where[b, n, i, j, c] is None or features[b, y, x, c] > pooled[b, n, i, j, c]:
                                    pooled[b, n, i, j, c] = features[b, y, x, c]
                                    where[b, n, i, j, c] = (b, y, x, c)
        return pooled, where

    return pool


@pytest.fixture(scope="session")
def slow_roi_align():
    """(features, boxes, pooled_size, scale, sampling_ratio, aligned) -> the pooled maps."""

    def sample(image, y, x):
        height, width, channels = image.shape
        if not (-1 <= y <= height and -1 <= x <= width):
            return np.zeros(channels)
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        above = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
        below = image[bottom, left] * (1 - (x - left)) + image[bottom, right] * (x - left)
        return above * (1 - (y - top)) + below * (y - top)

    def align(features, boxes, pooled_size, scale, sampling_ratio, aligned):
        pooled = np.zeros((*boxes.shape[:2], *pooled_size, features.shape[-1]))
        for b, n, i, j in np.ndindex(pooled.shape[:4]):
            x1, y1, x2, y2 = np.float64(boxes[b, n]) * scale - (0.5 if aligned else 0)
            tall, wide = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1), max(x2 - x1, 1))
            points = [
                (y1 + tall / pooled_size[0] * (i + (k + 0.5) / sampling_ratio),
                 x1 + wide / pooled_size[1] * (j + (m + 0.5) / sampling_ratio))
                for k in range(sampling_ratio) for m in range(sampling_ratio)]
            pooled[b, n, i, j] = np.mean([sample(features[b], y, x) for y, x in points], axis=0)
        return pooled

    return align


@pytest.fixture(scope="session")
def torchvision_values(tmp_path_factory):
    """(operator name, features, boxes, upstream, *arguments) -> its pooled maps and the gradient of the features.

    In a process of its own, because torchvision cannot be imported after TensorFlow.
    """
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    program = """
import sys, numpy as np, torch, torchvision
given = np.load(sys.argv[1])
boxes = given["boxes"]
image = np.repeat(np.arange(boxes.shape[0]), boxes.shape[1])[:, None]
rows = torch.from_numpy(np.concatenate([image, boxes.reshape(-1, 4)], 1).astype("float32"))
features = torch.from_numpy(given["features"].transpose(0, 3, 1, 2).copy()).requires_grad_()
upstream = given["upstream"]
pooled = getattr(torchvision.ops, sys.argv[2])(features, rows, *eval(sys.argv[3]))
pooled.backward(torch.from_numpy(upstream.reshape(-1, *upstream.shape[2:]).transpose(0, 3, 1, 2).copy()))
np.savez(sys.argv[1], pooled=pooled.detach().numpy().transpose(0, 2, 3, 1).reshape(upstream.shape),
         gradient=features.grad.numpy().transpose(0, 2, 3, 1))
"""

    def values(operator, features, boxes, upstream, *arguments):
        path = tmp_path_factory.mktemp("torchvision") / "values.npz"
        np.savez(path, features=features, boxes=boxes, upstream=upstream)
        subprocess.run([sys.executable, "-c", program, str(path), operator, repr(arguments)], check=True)
        result = np.load(path)
        return result["pooled"], result["gradient"]

    return values


@pytest.fixture(scope="session")
def patterned():
    """A 9x11 map of whole numbers without randomness and six boxes, whose pooled values are recorded in the tests."""
    index = np.arange(9 * 11)
    features = ((7 * index**2 + 3 * index) % 23 - 11).astype("float32").reshape(1, 9, 11, 1)
    boxes = np.float32([[
        [0, 0, 10, 8], [-0.5, -2.5, 4.5, 3.5], [7.49, 2.5, 30, 30], [5, 6, 2, 1], [-9, -9, -3, -3],
        [2.5, 0.5, 3.5, 6.5]]])
    return features, boxes
