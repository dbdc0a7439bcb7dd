"""RoI pooling or RoI align against the compiled operators of torchvision and, for RoI pooling, the nested `map_fn`
layer that is usually written instead.

All contenders run in one process, in turn, run by run, so that whatever else the machine does falls on all of them;
compare the ratios, which are medians over the turns, not the milliseconds. Each number of threads has a process of its
own. CPU time is that of all threads of the process. `ours` is the operator in a `tf.function` of known shapes, where it
is compiled; `ours, shapes unknown` is the same function traced once for every shape. Features and boxes are random: the
corners of a box uniform over the map, so that most boxes are large; boxes of 8 x 8 cells on maps of growing size; sides
uniform in their logarithm from 2 cells to the map, as proposals at all scales are; boxes of 8 x 8 cells and one of half
the map.
"""
import functools
import os
import sys

from experiments.benchmark import in_turn  # first, as it imports torchvision before TensorFlow

# isort: split
import numpy as np
import tensorflow as tf

from experiments.benchmark.in_turn import in_new_process, interleaved, medians, torch, torchvision, use_threads
from glimpse.ops import roi_align, roi_pool

OPERATORS = {"roi_pool": roi_pool, "roi_align": roi_align}  # of the same names in torchvision

ALL_SIZES, ONE_LARGE = "of all sizes", "of 8 cells, one large"
# Features [B, H, W, C], RoIs an image, pooled size; boxes: None, corners uniform over the map; their side in cells; or
# one of the two above.
WORKLOADS = (
    ((1, 38, 50, 512), 256, 7, None),
    ((8, 32, 32, 64), 64, 7, None),
    ((8, 16, 16, 128), 64, 5, None),
    ((1, 38, 50, 512), 2000, 7, None),
    *(((1, side, side, 64), 256, 7, 8) for side in (24, 96, 192)),
    ((2, 38, 63, 512), 64, 7, ALL_SIZES),  # a training batch of Fast R-CNN with VGG16: two images of 600 x 1000 pixels
    ((1, 96, 96, 64), 64, 7, ALL_SIZES),
    ((1, 192, 192, 64), 256, 7, ONE_LARGE),
)
THREADS = 1, 2
SIDES = (0.1, 0.25, 0.5, 0.75, 1.0)
# Every large buffer goes back to the system, so that memory can be told. With oneDNN, TensorFlow pools its memory, and
# a second call would seem to need none.
RETURN_MEMORY = {"TF_ENABLE_ONEDNN_OPTS": "0"} | {name: "131072" for name in in_turn.MALLOC}


def add_flags(parser):
    parser.add_argument("--operator", choices=OPERATORS, default="roi_pool", help="what is timed (default: roi_pool)")


def run(options, workloads=WORKLOADS, sides=SIDES, threads=THREADS, memory=True):
    """Times and measures everything; a dictionary of plain numbers and strings."""
    runs, operator = options.runs, options.operator
    result = {"machine": in_turn.machine(), "versions": in_turn.versions(), "operator": operator, "runs": runs,
              "left_out": _left_out()}
    # The usual layer takes minutes, and is timed once only.
    result["timed"] = [
        {"threads": count,
         "workloads": in_new_process(_time_workloads, operator, count, workloads, runs, count == max(threads))}
        for count in threads]
    result["box_sides"] = (
        in_new_process(_time_box_sides, operator, max(threads), sides, workloads[0], runs) if sides else [])
    if memory:
        for name in ("ours", "ours, shapes unknown", *(["torchvision"] if torch else [])):
            measured = in_new_process(_peak_memory, operator, name, workloads, settings=RETURN_MEMORY)
            result.setdefault("peak_mib", {})[name] = measured
    result["machine"]["load_after"] = os.getloadavg()[0]
    return result


def table(result):
    """The result as text."""
    lines = [
        in_turn.heading(result["machine"], result["versions"]),
        f"{result['operator']}, median of {result['runs']} runs; allocator: {result['machine']['allocator']}",
        "each column forward / forward and back; over ours: how many times the time of ours, median over the turns",
        *result["left_out"]]
    for timed in result["timed"]:
        lines += ["", f"{timed['threads']} thread" + "s" * (timed["threads"] > 1),
                  f"{'features, RoIs an image, pooled size':48}{'contender':24}"
                  + f"{'wall ms':>18}{'CPU ms':>18}{'over ours, wall':>18}{'CPU':>16}"]
        for workload in timed["workloads"]:
            title = _title(workload)
            for name, times in workload["contenders"].items():
                pairs = [" / ".join(f"{times[key][measure]:.{digits}f}" for key in ("forward", "both"))
                         for measure, digits in (
                             ("wall_ms", 1), ("cpu_ms", 1), ("over_ours_wall", 2), ("over_ours_cpu", 2))]
                runs = f"  (back: {times['both']['runs']} run)" if times["both"]["runs"] < result["runs"] else ""
                lines.append(f"{title:48}{name:24}{pairs[0]:>18}{pairs[1]:>18}{pairs[2]:>18}{pairs[3]:>16}{runs}")
                title = ""
    if "peak_mib" in result:
        lines += ["", "peak memory of a call beyond its inputs, MiB, with every buffer returned to the system"]
        for k, workload in enumerate(result["timed"][0]["workloads"]):
            peaks = [f"{name}: {peak[k]['forward']:.0f} / {peak[k]['both']:.0f}"
                     for name, peak in result["peak_mib"].items()]
            lines.append(f"{_title(workload):48}" + "   ".join(peaks))
    if result["box_sides"]:
        lines += ["", "forward, ms, by the side of the boxes over the side of the map, at the first shape and with "
                      "most threads"]
        for name in result["box_sides"][0]["ms"]:
            cells = "".join(f"{row['side']:8.2f}: {row['ms'][name]:7.1f}" for row in result["box_sides"])
            lines.append(f"{name:24}{cells}")
    return "\n".join(lines)


def ratios(result):
    """The times of all contenders over ours, forward and back, with most threads; and the label of their axis."""
    timed = max(result["timed"], key=lambda timed: timed["threads"])
    groups = {_title(workload): {name: times["both"]["over_ours_wall"]
                                 for name, times in workload["contenders"].items()} for workload in timed["workloads"]}
    return groups, f"{result['operator']}, forward and back: time over that of ours, {timed['threads']} thread(s)"


def _title(workload):
    boxes = workload["boxes"]
    boxes = "" if boxes is None else f" {boxes}" if isinstance(boxes, str) else f" of {boxes} cells"
    return f"{workload['features']} x{workload['rois']}{boxes} @{workload['pooled_size']}"


def _time_workloads(operator, threads, workloads, runs, usual_layer):
    use_threads(threads)
    return [_time_workload(operator, *workload, runs, usual_layer) for workload in workloads]


def _time_workload(operator, shape, rois, pooled_size, boxes, runs, usual_layer):
    print(f"timing {shape} x{rois} @{pooled_size}", file=sys.stderr, flush=True)
    arrays = _arrays(shape, rois, pooled_size, boxes)
    functions = {}
    for name, contender in _contenders(operator, usual_layer).items():
        functions[name, "forward"], functions[name, "both"] = contender(*arrays, pooled_size)
    times = interleaved(functions, runs)
    contenders = {}
    for (name, key), turns in times.items():
        contenders.setdefault(name, {})[key] = medians(turns, times["ours", key])
    return {"features": list(shape), "rois": rois, "pooled_size": pooled_size, "boxes": boxes,
            "contenders": contenders}


def _time_box_sides(operator, threads, sides, workload, runs):
    use_threads(threads)
    return [_time_box_side(operator, side, workload, runs) for side in sides]


def _time_box_side(operator, side, workload, runs):
    shape, rois, pooled_size, _ = workload
    features, boxes, upstream = _arrays(shape, rois, pooled_size)
    extent = np.float32([shape[2], shape[1]])
    corner = np.random.default_rng(1).uniform(0, 1 - side, (shape[0], rois, 2)) * extent
    boxes = np.concatenate([corner, corner + side * extent - 1], axis=-1).astype("float32")
    functions = {
        name: contender(features, boxes, upstream, pooled_size)[0]
        for name, contender in _contenders(operator, False).items()}
    times = interleaved(functions, runs)
    return {"side": side, "ms": {name: 1000 * float(np.median(turns[:, 0])) for name, turns in times.items()}}


def _arrays(shape, rois, pooled_size, boxes=None):
    """Features, boxes in cells (x1, y1, x2, y2), and the gradient that comes back to the pooled maps."""
    random = np.random.default_rng(0)
    batch, height, width, channels = shape
    if boxes is None:
        corners = np.sort(random.uniform(0, 1, (batch, rois, 2, 2)), axis=2) * [width, height]
    else:
        sides = np.full((batch, rois, 1, 2), 8.0 if isinstance(boxes, str) else boxes)
        if boxes == ALL_SIZES:
            sides = np.exp(random.uniform(np.log(2), np.log([width, height]), sides.shape))
        elif boxes == ONE_LARGE:
            sides[:, 0] = width / 2, height / 2
        corner = random.uniform(0, 1, sides.shape) * ([width, height] - sides)
        corners = np.concatenate([corner, corner + sides], axis=2)
    return (
        random.standard_normal(shape).astype("float32"),
        corners.reshape(batch, rois, 4).astype("float32"),
        random.standard_normal((batch, rois, pooled_size, pooled_size, channels)).astype("float32"))


def _contenders(operator, usual_layer):
    """Each takes features, boxes, upstream gradient and pooled size, and gives two functions: forward, and forward plus
    backward."""
    unknown = tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 4]), tf.TensorSpec([None] * 5)
    contenders = {"ours": functools.partial(_ours, operator),
                  "ours, shapes unknown": functools.partial(_ours, operator, specs=unknown)}
    if torch:
        contenders["torchvision"] = functools.partial(_torchvision, operator)
    return contenders | ({"map_fn layer": _map_fn_layer} if usual_layer and operator == "roi_pool" else {})


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


def _peak_memory(operator, name, workloads):
    """MiB that a call takes at its peak, its result included and its inputs not, forward and both, for every
    workload."""
    peaks = []
    for shape, rois, pooled_size, boxes in workloads:
        forward, both = _contenders(operator, False)[name](*_arrays(shape, rois, pooled_size, boxes), pooled_size)
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
    return [] if torch else [f"torchvision is not installed, and left out: {in_turn.TORCH}"]
