"""RoI pooling or RoI align against the compiled operators of torchvision and, for RoI pooling, the nested `map_fn`
layer that is usually written instead.

All contenders run in one process, in turn, run by run, so that whatever else the machine does falls on all of them;
compare the ratios, not the milliseconds. `ours` is the operator in a `tf.function` of known shapes, where `roi_pool` is
compiled; `ours, shapes unknown` is the same function traced once for every shape. Features and boxes are random, the
corners of a box uniform over the map.
"""
import functools
import multiprocessing
import os
import platform
import sys
import time

# Before TensorFlow: imported after it, torchvision ends the process, as both bring an LLVM of their own.
try:
    import torch
    import torchvision
except ImportError:
    torch = torchvision = None
import numpy as np
import tensorflow as tf

from glimpse.ops import roi_align, roi_pool

OPERATORS = {"roi_pool": roi_pool, "roi_align": roi_align}  # of the same names in torchvision

# Features [B, H, W, C], RoIs an image, pooled size.
WORKLOADS = (
    ((1, 38, 50, 512), 256, 7),
    ((8, 32, 32, 64), 64, 7),
    ((8, 16, 16, 128), 64, 5),
    ((1, 38, 50, 512), 2000, 7),
)
SLOW_SECONDS = 20.0   # what takes longer, as the map_fn layer with its gradient at 2,000 RoIs, is run only once
SIDES = (0.1, 0.25, 0.5, 0.75, 1.0)
MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def add_flags(parser):
    parser.add_argument("--operator", choices=OPERATORS, default="roi_pool", help="what is timed (default: roi_pool)")


def run(options, workloads=WORKLOADS, sides=SIDES, memory=True):
    """Times and measures everything; a dictionary of plain numbers and strings."""
    runs, operator = options.runs, options.operator
    result = {"machine": _machine(), "versions": _versions(), "operator": operator, "runs": runs,
              "left_out": _left_out()}
    result["workloads"] = []
    for shape, rois, pooled_size in workloads:
        print(f"timing {shape} x{rois} @{pooled_size}", file=sys.stderr, flush=True)
        result["workloads"].append(_time_workload(operator, shape, rois, pooled_size, runs))
    result["box_sides"] = [_time_box_side(operator, side, workloads[0], runs) for side in sides]
    if memory:
        for name in ("ours", "ours, shapes unknown", *(["torchvision"] if torch else [])):
            for measured, workload in zip(_in_new_process(_peak_memory, operator, name, workloads),
                                          result["workloads"]):
                workload["contenders"][name]["peak_mib"] = measured
    result["machine"]["load_after"] = os.getloadavg()[0]
    return result


def table(result):
    """The result as text."""
    machine = result["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, "
        f"load {machine['load_before']:.1f} to {machine['load_after']:.1f}, "
        + ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        f"{result['operator']}, median of {result['runs']} runs; allocator: {machine['allocator']}",
        "peak: memory of one call beyond its inputs, forward / forward and back, with every buffer returned to the "
        "system",
        *result["left_out"], "",
        f"{'features, RoIs an image, pooled size':40}{'contender':24}{'forward':>12}{'and back':>12}{'over ours':>18}"
        f"{'peak MiB':>16}"]
    for workload in result["workloads"]:
        title = f"{workload['features']} x{workload['rois']} @{workload['pooled_size']}"
        ours = workload["contenders"]["ours"]
        for name, times in workload["contenders"].items():
            ratios = " / ".join(f"{times[key]['ms'] / ours[key]['ms']:.2f}" for key in ("forward", "both"))
            runs = f"  (back: {times['both']['runs']} run)" if times["both"]["runs"] < result["runs"] else ""
            peak = " / ".join(f"{mib:.0f}" for mib in times.get("peak_mib", {}).values()) or "-"
            lines.append(
                f"{title:40}{name:24}{times['forward']['ms']:9.1f} ms{times['both']['ms']:9.1f} ms"
                f"{ratios:>18}{peak:>16}{runs}")
            title = ""
        lines.append("")
    if result["box_sides"]:
        lines.append("forward, ms, by the side of the boxes over the side of the map, at the first shape")
        names = list(result["box_sides"][0]["ms"])
        for name in names:
            cells = "".join(f"{row['side']:8.2f}: {row['ms'][name]:7.1f}" for row in result["box_sides"])
            lines.append(f"{name:24}{cells}")
    return "\n".join(lines)


def _time_workload(operator, shape, rois, pooled_size, runs):
    arrays = _arrays(shape, rois, pooled_size)
    functions = {}
    for name, contender in _contenders(operator).items():
        functions[name, "forward"], functions[name, "both"] = contender(*arrays, pooled_size)
    times = _interleaved(functions, runs)
    contenders = {}
    for (name, key), seconds in times.items():
        contenders.setdefault(name, {})[key] = {"ms": 1000 * float(np.median(seconds)), "runs": len(seconds)}
    return {"features": list(shape), "rois": rois, "pooled_size": pooled_size, "contenders": contenders}


def _time_box_side(operator, side, workload, runs):
    shape, rois, pooled_size = workload
    features, boxes, upstream = _arrays(shape, rois, pooled_size)
    extent = np.float32([shape[2], shape[1]])
    corner = np.random.default_rng(1).uniform(0, 1 - side, (shape[0], rois, 2)) * extent
    boxes = np.concatenate([corner, corner + side * extent - 1], axis=-1).astype("float32")
    contenders = {name: contender for name, contender in _contenders(operator).items() if name != "map_fn layer"}
    functions = {name: contender(features, boxes, upstream, pooled_size)[0] for name, contender in contenders.items()}
    times = _interleaved(functions, runs)
    return {"side": side, "ms": {name: 1000 * float(np.median(seconds)) for name, seconds in times.items()}}


def _interleaved(functions, runs):
    """Seconds of every run of every function; one alone, the first, of those that are very slow."""
    first = {name: _seconds(function) for name, function in functions.items()}
    functions = {name: function for name, function in functions.items() if first[name] < SLOW_SECONDS}
    for function in functions.values():
        function()
    times = {name: [] if name in functions else [seconds] for name, seconds in first.items()}
    for _ in range(runs):
        for name, function in functions.items():
            times[name].append(_seconds(function))
    return times


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _arrays(shape, rois, pooled_size):
    """Features, boxes in cells (x1, y1, x2, y2), and the gradient that comes back to the pooled maps."""
    random = np.random.default_rng(0)
    batch, height, width, channels = shape
    corners = np.sort(random.uniform(0, 1, (batch, rois, 2, 2)), axis=2) * [width, height]
    return (
        random.standard_normal(shape).astype("float32"),
        corners.reshape(batch, rois, 4).astype("float32"),
        random.standard_normal((batch, rois, pooled_size, pooled_size, channels)).astype("float32"))


def _contenders(operator):
    """Each takes features, boxes, upstream gradient and pooled size, and gives two functions: forward, and forward plus
    backward.
    """
    unknown = tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 4]), tf.TensorSpec([None] * 5)
    contenders = {"ours": functools.partial(_ours, operator),
                  "ours, shapes unknown": functools.partial(_ours, operator, specs=unknown)}
    if torch:
        contenders["torchvision"] = functools.partial(_torchvision, operator)
    return contenders | ({"map_fn layer": _map_fn_layer} if operator == "roi_pool" else {})


def _ours(operator, features, boxes, upstream, pooled_size, specs=(None, None, None)):
    pool = functools.partial(OPERATORS[operator], pooled_size=pooled_size)
    return _tensorflow(pool, features, boxes, upstream, specs)


def _map_fn_layer(features, boxes, upstream, pooled_size):
    height, width = features.shape[1:3]
    relative = boxes[..., [1, 0, 3, 2]] / np.float32([height, width, height, width])

    def bin_of(feature_map, top, left, bottom, right, i, j):
        step_down, step_across = (bottom - top) // pooled_size, (right - left) // pooled_size
        last_row, last_column = i + 1 == pooled_size, j + 1 == pooled_size
        rows = slice(top + i * step_down, bottom if last_row else top + (i + 1) * step_down)
        columns = slice(left + j * step_across, right if last_column else left + (j + 1) * step_across)
        return tf.reduce_max(feature_map[rows, columns], axis=[0, 1])

    def pool_one(feature_map, box):
        top, left, bottom, right = (tf.cast(size * box[k], tf.int32)
                                    for k, size in enumerate((height, width, height, width)))
        grid = range(pooled_size)
        return tf.stack([tf.stack([bin_of(feature_map, top, left, bottom, right, i, j) for j in grid]) for i in grid])

    def pool(features, boxes):
        return tf.map_fn(
            lambda pair: tf.map_fn(lambda box: pool_one(pair[0], box), pair[1], fn_output_signature=tf.float32),
            (features, boxes), fn_output_signature=tf.float32)

    return _tensorflow(pool, features, relative, upstream)


def _tensorflow(pool, features, boxes, upstream, specs=(None, None, None)):
    features, boxes, upstream = tf.constant(features), tf.constant(boxes), tf.constant(upstream)

    def both(features, boxes, upstream):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = pool(features, boxes)
        return pooled, tape.gradient(pooled, features, upstream)

    # Traced for the very shapes unless specifications say otherwise. On a CPU a call returns when its result is there.
    forward = tf.function(pool, input_signature=specs[:2] if specs[0] is not None else None)
    both = tf.function(both, input_signature=specs if specs[0] is not None else None)
    return lambda: forward(features, boxes), lambda: both(features, boxes, upstream)


def _torchvision(operator, features, boxes, upstream, pooled_size):
    batch, rois = boxes.shape[:2]
    image = np.repeat(np.arange(batch), rois)[:, None]
    rows = torch.from_numpy(np.concatenate([image, boxes.reshape(-1, 4)], axis=1).astype("float32"))
    features = torch.from_numpy(features.transpose(0, 3, 1, 2).copy()).requires_grad_()
    upstream = torch.from_numpy(upstream.reshape(-1, *upstream.shape[2:]).transpose(0, 3, 1, 2).copy())
    settings = {"sampling_ratio": 2, "aligned": True} if operator == "roi_align" else {}   # the defaults of ours
    pool = functools.partial(getattr(torchvision.ops, operator), boxes=rows, output_size=pooled_size, **settings)

    def forward():
        with torch.no_grad():
            pool(features)

    def both():
        features.grad = None
        pool(features).backward(upstream)

    return forward, both


def _in_new_process(function, *arguments):
    """Runs it where nothing ran before and large buffers go back to the system, so that memory can be measured."""
    # With oneDNN, TensorFlow pools its memory, and a second call would seem to need none.
    settings = {"TF_ENABLE_ONEDNN_OPTS": "0"} | {name: "131072" for name in MALLOC}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(function, arguments)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _peak_memory(operator, name, workloads):
    """MiB that a call takes at its peak, its result included and its inputs not, forward and both, for every workload.
    """
    peaks = []
    for shape, rois, pooled_size in workloads:
        forward, both = _contenders(operator)[name](*_arrays(shape, rois, pooled_size), pooled_size)
        peaks.append({"forward": _peak_of(forward), "both": _peak_of(both)})
    return peaks


def _peak_of(function):
    for _ in range(2):
        function()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")   # sets the high-water mark back to what is in use now
    before = _status("VmRSS")
    function()
    return (_status("VmHWM") - before) / 1024


def _status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))


def _left_out():
    return [] if torch else [
        "torchvision is not installed, and left out: pip install torch==2.14.1 torchvision==0.29.1"]


def _versions():
    versions = {"Python": platform.python_version(), "TensorFlow": tf.__version__, "NumPy": np.__version__}
    return versions | ({"torch": torch.__version__, "torchvision": torchvision.__version__} if torch else {})


def _machine():
    with open("/proc/cpuinfo") as file:
        processor = next((line.split(":")[1].strip() for line in file if line.startswith("model name")),
                         platform.machine())
    allocator = {name: os.environ[name] for name in MALLOC if name in os.environ}
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "allocator": ", ".join(f"{name}={value}" for name, value in allocator.items()) or "as glibc has it",
    }
