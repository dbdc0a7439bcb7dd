"""Exports a trained run as a TensorFlow SavedModel: python -m experiments.export --run=runs/x --out=exported/x

Beside it stands detector.json, which says what the network takes and what its labels mean. With --format=weights, the
run without its checkpoints instead, to be kept or handed on: visualize, detect, explore, evaluate and export take it
as they take the run. Its weights are one safetensors file, from which no code is run.
"""

import os
import pathlib
import shutil

from experiments.launch import check_out, exit_on_error, run_parser, start_tensorflow
from glimpse import system_faults
from glimpse.errors import GlimpseError
from glimpse.files import write_json


@exit_on_error
def main(arguments=None):
    flags = run_parser(__doc__)
    flags.add_argument("--out", required=True, type=pathlib.Path, help="directory to write, empty or new")
    flags.add_argument("--format", choices=("savedmodel", "weights"), default="savedmodel",
                       help="savedmodel: for programs without this package (default); weights: for those of it")
    flags = flags.parse_args(arguments)
    check_out(flags.out)
    if flags.out.exists() and any(flags.out.iterdir()):
        raise GlimpseError(f"--out={flags.out} is not empty; name another directory")
    system_faults.check_name(flags.out)
    out = flags.out.resolve()  # "." has no name of its own
    start_tensorflow()
    import glimpse.network.export  # noqa: F401  no part can be registered once a configuration is in force
    from glimpse.training.restore import restored
    with restored(flags.run, flags.allow_import) as (experiment, step):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.{os.getpid()}")  # a reader sees all of it or nothing
        try:
            if flags.format == "savedmodel":
                save_model(temporary, experiment, flags.run, step)
            else:
                save_weights(temporary, experiment, flags.run, step)
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    print(f"{'SavedModel' if flags.format == 'savedmodel' else 'run with its weights'}: {flags.out}")


def save_model(directory, experiment, run, step):
    """Writes the SavedModel and its detector.json."""
    import tensorflow as tf

    from glimpse import config
    from glimpse.network.export import ExportedDetector
    shape = experiment.trained_on.image_shape
    exported = ExportedDetector(experiment.detector, shape, experiment.framing, experiment.seed)
    tf.saved_model.save(exported, directory, signatures={"serving_default": exported.detect})
    write_json(directory / "detector.json", {
        "run": str(run), "step": step, "classes": experiment.trained_on.class_names,
        "images": description(shape, experiment.framing),
        "inputs": {"images": "uint8 [B, height, width, channels], all of one size",
                   "proposals": "float32 [B, N, 4]: x1, y1, x2, y2 in pixels of the images; trained with those of "
                                f"{config.setting('Experiment.proposals')}"},
        "outputs": {"boxes": "float32 [B, 100, 4]: x1, y1, x2, y2 in pixels of the images",
                    "scores": "float32 [B, 100], from 0 to 1, the best first",
                    "labels": "int32 [B, 100]: places in the list classes, from 0 on",
                    "counts": "int32 [B]: how many of the 100 are detections"}})


def save_weights(directory, experiment, workdir, step):
    """Writes the weights, and copies what tells of the run."""
    from glimpse.training import own_modules, run
    from glimpse.training.metrics_log import METRICS
    from glimpse.training.trained_on import DATA
    from glimpse.training.weights import write_weights
    directory.mkdir()
    write_weights(directory / run.WEIGHTS, experiment.detector, step, experiment.trained_steps)
    for name in (run.CONFIG, run.OPERATIVE_CONFIG, run.RESULTS, DATA, METRICS, own_modules.NOTE):
        if (workdir / name).is_file():
            shutil.copyfile(workdir / name, directory / name)


def description(shape, framing):
    """What images must look like: see `glimpse.data.framing` for what scaling does with short and longest side."""
    if framing is None:
        return {"channels": shape[2], "height": shape[0], "width": shape[1]}
    return {"channels": shape[2], "short_side": framing.short_side, "longest_side": framing.longest_side,
            "canvas": framing.canvas}


if __name__ == "__main__":
    main()
