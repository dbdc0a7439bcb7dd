"""Exports a trained run as a TensorFlow SavedModel: python -m experiments.export --run=runs/x --out=exported/x

Beside it stands detector.json, which says what the network takes and what its labels mean.
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
    flags.add_argument("--out", required=True, type=pathlib.Path, help="directory of the SavedModel, empty or new")
    flags = flags.parse_args(arguments)
    check_out(flags.out)
    if flags.out.exists() and any(flags.out.iterdir()):
        raise GlimpseError(f"--out={flags.out} is not empty; name another directory")
    system_faults.check_name(flags.out)
    out = flags.out.resolve()  # "." has no name of its own
    start_tensorflow()
    import tensorflow as tf

    from glimpse.network.export import ExportedDetector
    from glimpse.training.experiment import restored
    with restored(flags.run, flags.allow_import) as (experiment, step):
        shape = experiment.trained_on.image_shape
        exported = ExportedDetector(experiment.detector, shape, experiment.framing, experiment.seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.{os.getpid()}")  # a reader sees all of it or nothing
        try:
            tf.saved_model.save(exported, temporary, signatures={"serving_default": exported.detect})
            write_json(temporary / "detector.json", {
                "run": str(flags.run), "step": step, "classes": experiment.trained_on.class_names,
                "images": description(shape, experiment.framing)})
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    print(f"SavedModel: {flags.out}")


def description(shape, framing):
    """What images must look like: see `glimpse.data.framing` for what scaling does with short and longest side."""
    if framing is None:
        return {"channels": shape[2], "height": shape[0], "width": shape[1]}
    return {"channels": shape[2], "short_side": framing.short_side, "longest_side": framing.longest_side,
            "canvas": framing.canvas}


if __name__ == "__main__":
    main()
