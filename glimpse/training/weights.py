"""The weights of a trained network as one safetensors file, which holds numbers and nothing that could be run.

safetensors (https://github.com/huggingface/safetensors) is a header of JSON and the arrays one after another: other
frameworks read it too.
"""

import pathlib
import re

import numpy as np
import safetensors
import safetensors.numpy

from glimpse.errors import GlimpseError
from glimpse.files import write_whole


def write_weights(path, detector, step, trained_steps):
    """Writes the weights of a built GlimpseDetector.

    Args:
        path: of the file.
        detector: GlimpseDetector.
        step: of the training that they are of.
        trained_steps: the last step of that training.
    """
    arrays = {name: np.ascontiguousarray(variable.numpy()) for name, variable in named(detector.variables).items()}
    write_whole(path, safetensors.numpy.save(
        arrays, metadata={"step": str(step), "trained_steps": str(trained_steps)}))


def read_weights(path, detector):
    """Loads the weights of a file into a built GlimpseDetector; returns (step, trained_steps) of `write_weights`.

    Raises:
        GlimpseError: where the file is damaged, or its weights are not those of this network; nothing is loaded then.
    """
    path, variables = pathlib.Path(path), named(detector.variables)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            steps = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        step, trained_steps = int(steps["step"]), int(steps["trained_steps"])
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
        raise GlimpseError(f"{path} cannot be read ({error}); restore it from a copy") from error
    wrong = [name for name in sorted({*variables, *arrays}) if name not in variables or name not in arrays
             or tuple(variables[name].shape) != arrays[name].shape or variables[name].dtype != arrays[name].dtype]
    if wrong:
        raise GlimpseError(f"{path} does not fit the configuration beside it: {wrong[0]} is "
                           f"{_described(arrays.get(wrong[0]))} there and {_described(variables.get(wrong[0]))} in the "
                           "network")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return step, trained_steps


def named(variables):
    """{name: variable}, the same for every network of a configuration.

    In Keras's paths a layer without a name of its own has the number of its kind in the process, as controller_3. Here
    it has that of its kind beside it: controller.

    Raises:
        GlimpseError: where two variables have one path.
    """
    found, known = {}, {}
    for variable in variables:
        name = ""
        for part in variable.path.split("/"):
            beside = known.setdefault(name, {})
            if part not in beside:
                kind = re.sub(r"_\d+$", "", part)
                number = sum(re.sub(r"_\d+$", "", other) == kind for other in beside)
                beside[part] = f"{kind}_{number}" if number else kind
            name = f"{name}/{beside[part]}".lstrip("/")
        if name in found:
            raise GlimpseError(f"two weights of the network have the name {variable.path}; name them apart")
        found[name] = variable
    return found


def _described(array):
    return "missing" if array is None else f"{array.dtype} {list(array.shape)}"
