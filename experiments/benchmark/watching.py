"""What watching costs: a training step with validation and TensorBoard, and the same without, in turn.

Of any experiment, given by --gin_file and --gin_param, trained as experiments.train does, in a process of its own each
time. The seconds of the validation itself, of its pictures too, are told apart.
"""

import multiprocessing
import pathlib
import tempfile
import time

import numpy as np

from experiments.launch import add_configuration_flags

WARM_UP = 20  # steps that are not counted, the first of which traces the step


def add_flags(parser):
    add_configuration_flags(parser)
    parser.add_argument("--steps", type=int, default=320, help="of each training (default: 320)")
    parser.add_argument("--every", type=int, default=100, help="steps from one validation to the next (default: 100)")
    parser.set_defaults(runs=3)
    parser.epilog = "--runs: pairs of trainings (default 3)"


def run(options):
    """Wall and CPU milliseconds of a step: of each pair of trainings the means over steps, and what the watching took.

    Returns:
        dict of plain numbers: {"plain": [[wall, CPU] a pair], "watched": the same, "validation_seconds": the mean of
        one, ...}.
    """
    turns, seconds = {"plain": [], "watched": []}, []
    for turn in range(options.runs):
        for name in (list(turns) if turn % 2 == 0 else list(turns)[::-1]):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                step, watching = pool.apply(_train, (options.gin_file, options.gin_param, options.steps,
                                                      options.every if name == "watched" else None))
                pool.close()
                pool.join()
            turns[name].append(step)
            seconds += [watching] if watching is not None else []
    return {**turns, "validation_seconds": float(np.mean(seconds)),
            "steps": options.steps, "every": options.every,
            "experiment": " ".join([options.gin_file, *options.gin_param])}


def table(result):
    """The result as text."""
    plain, watched = (np.array(result[name]) for name in ("plain", "watched"))
    lines = [f"{result['experiment']}: {len(plain)} pairs of trainings of {result['steps']} steps",
             f"{'ms a step':20}{'without':>10}{'watched':>10}{'of each pair':>14}"]
    for place, kind in enumerate(("wall", "CPU")):
        each = ", ".join(f"{100 * ratio:+.1f} %" for ratio in watched[:, place] / plain[:, place] - 1)
        lines.append(f"{kind:20}{plain[:, place].mean():10.1f}{watched[:, place].mean():10.1f}    {each}")
    return "\n".join([*lines, f"apart from it, a validation with its pictures, each {result['every']} steps: "
                              f"{result['validation_seconds']:.2f} s"])


def _train(gin_file, gin_param, steps, every):
    """Means over steps of (wall, CPU) milliseconds, and the seconds of a validation; watched where `every` is given."""
    from experiments.launch import start_tensorflow
    start_tensorflow()
    import keras

    from glimpse import config
    from glimpse.training.board import Board
    from glimpse.training.checkpoints import Restored
    from glimpse.training.experiment import Experiment
    from glimpse.training.recorder import Recorder
    starts, apart = [], []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            starts.append(_clocks() - sum(apart))

    def set_apart(function):
        def timed(*arguments):
            start = _clocks()
            result = function(*arguments)
            apart.append(_clocks() - start)
            return result
        return timed

    watching = [] if every is None else [f"Experiment.validate_every={every}"]
    with tempfile.TemporaryDirectory() as workdir, config.configuration(gin_file, [*gin_param, *watching]):
        workdir, experiment = pathlib.Path(workdir), Experiment()
        experiment.train_steps = steps
        board = None if every is None else Board(workdir, 0)
        for part, name in ((experiment.validation, "mean_ap"), (experiment.validation, "sequences"), (board, "strips")):
            if part:
                setattr(part, name, set_apart(getattr(part, name)))
        recorder = Recorder(workdir, lambda **_: None, Restored(0, {}, []), steps, experiment.log_every, steps, [],
                            experiment.strategy, experiment.validation, every, board=board)
        experiment.trainer.fit(experiment.batches(0), steps_per_epoch=steps, callbacks=[Clock(), recorder],
                               shuffle=False, verbose=0)
    validated = (steps - 1) // every + 1 if every else 0
    seconds = float(sum(apart)[0] / validated) if validated else None
    return (1000 * np.diff(np.array(starts), axis=0)[WARM_UP:].mean(axis=0)).tolist(), seconds


def _clocks():
    return np.array([time.perf_counter(), time.process_time()])
