"""Odd values for every parameter that a gin file can bind, each tried as `--dry_run` does.

    GLIMPSE_MUTATIONS=100000 python -m pytest -n 0 tests/test_odd_bindings.py
"""

import gin
import keras

from glimpse import config, gin_faults
from glimpse.errors import GlimpseError
from glimpse.training.experiment import Experiment

FILE = "experiments/digits_learned.gin"
VALUES = (
    "None", "True", "0", "1", "-1", "2", "7", "0.5", "-0.5", "1e308", "-1e308", "1e-320", "10**9", "1" + "0" * 21,
    "''", "'x'", "'../x'", "()", "(1,)", "(0, 0)", "(3, 7)", "(1, 'x')", "[[]]", "[(0, 0, 0, 0)]", "[(1, 2)]", "{}",
    "{'train': 1}", "{1: 2}", "@max", "@learned", "@learned()", "@WindowGrid()", "@Experiment", "@Experiment()",
    "@keras.optimizers.Adam", "@keras.optimizers.Adam()", "@CosineDecay()", "@pathwise()", "%SEED", "%NUM_GLIMPSES",
    "@DigitScenes", "@small_cnn()")
# What has to be chosen so that a part is used at all.
_POLICIES = ("learned", "offset", "learned_constant", "refine", "oracle", "random", "fixed", "repeat")
CHOICES = {
    **{name: [f"POLICY = @{name}()"] for name in _POLICIES},
    "candidates": ["POLICY = @candidates()", "ESTIMATOR = @expectation()"],
    "expectation": ["POLICY = @candidates()", "ESTIMATOR = @expectation()"],
    "reinforce": ["ESTIMATOR = @reinforce()"], "ppo": ["ESTIMATOR = @ppo()"],
    "multi_region": ["CONTROLLER = @multi_region", "FUSION = @last"], "gru": ["RECURRENCE = @gru"],
    "no_recurrence": ["RECURRENCE = @no_recurrence"],
    "SGD": ["POLICY_OPTIMIZER = @keras.optimizers.SGD()"],
    "PolynomialDecay": ["keras.optimizers.Adam.learning_rate = @PolynomialDecay()",
                        "PolynomialDecay.initial_learning_rate = 0.1", "PolynomialDecay.decay_steps = 5"],
    "PiecewiseConstantDecay": ["keras.optimizers.Adam.learning_rate = @PiecewiseConstantDecay()",
                               "PiecewiseConstantDecay.boundaries = [3]",
                               "PiecewiseConstantDecay.values = [0.1, 0.01]"],
    "Framing": ["Experiment.framing = @Framing()", "Framing.short_side = 64", "Framing.longest_side = 64"],
}
NOT_HERE = ("macro", "constant", "singleton", "VOC", "COCO", "YOLO", "TFDS", "SelectiveSearch", "ProposalFiles",
            "efficientnet_lite0", "mobilenet_v2", "resnet50", "vgg16", "study", "max", "mean", "last")
# Of Keras's layers, the same in all of them; arguments that the program itself gives.
ELSEWHERE = ("activity_regularizer", "autocast", "dtype", "trainable", "split", "trained_on", "num_classes",
             "foreground_slots", "quality", "correct", "args", "kwargs", "name")


def parameters():
    """ "learned.deviation", and the macros of the experiment."""
    import glimpse.data.framing  # noqa: F401  registers
    with config.configuration(FILE):
        names = list(config.macros())
    for configurable in gin.config._REGISTRY._selector_map.values():
        name = configurable.selector.rsplit(".")[-1]
        if name in NOT_HERE or configurable.selector.startswith("gin."):
            continue
        names += [f"{name}.{parameter}" for parameter in sorted(gin_faults._parameters(configurable.wrapped))
                  if parameter not in ELSEWHERE or (name, parameter) in {("learned", "dtype"), ("gru", "trainable")}]
    return sorted(set(names))


def try_binding(tiny, name, value):
    """What a dry run says of NAME = value: None where it accepts it, else its line; any other exception is a bug.

    Args:
        tiny: bindings that make the experiment small.
        name, value: texts.
    """
    chosen = CHOICES.get(name.partition(".")[0], [])
    keras.utils.clear_session(free_memory=False)
    try:
        with config.configuration(FILE, [*tiny, *chosen, f"{name} = {value}"]):
            experiment = Experiment()
            experiment.open_evaluation_splits()
            experiment.try_step()
    except GlimpseError as error:
        said = str(error)
        assert "\n" not in said and said.isprintable(), said
        return said
    return None
