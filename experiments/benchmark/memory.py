"""Whether memory grows: in a long training, over evaluations, and with many proposals an image.

Trains the network of digits_refine.gin on few scenes and looks at the resident memory twenty times; evaluates it
again and again; then, in a process of its own, with thousands of random proposals an image. Linux only.
"""

import contextlib
import multiprocessing
import os
import pathlib

import numpy as np

SIZES = {"train": 64, "validation": 20, "test": 20}


def add_flags(parser):
    parser.add_argument("--steps", type=int, default=2000, help="of the training (default: 2000)")
    parser.add_argument("--proposals", type=int, default=4000, help="an image, of the last part (default: 4000)")
    parser.set_defaults(runs=5)
    parser.epilog = "--runs: evaluations (default 5)"


def run(options):
    """Resident memory in MiB.

    Returns:
        dict of plain numbers: {"training": [20 of them, over the steps], "evaluations": [one after each], "proposals":
        the most that a process with so many held, ...}.
    """
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:  # a fresh process each
        most = pool.apply(_with_proposals, (options.proposals,))
        training, evaluations = pool.apply(_over_time, (options.steps, options.runs))
    return {"steps": options.steps, "proposals_an_image": options.proposals, "training": training,
            "evaluations": evaluations, "proposals": most}


def table(result):
    """The result as text."""
    training, evaluations = result["training"], result["evaluations"]
    return "\n".join([
        f"training of {result['steps']} steps: {' '.join(map(str, training))} MiB; {_growth(training)} after the first",
        f"evaluations: {' '.join(map(str, evaluations))} MiB; {_growth(evaluations)} after the first",
        f"evaluation with {result['proposals_an_image']} proposals an image: {result['proposals']} MiB at most"])


def _growth(values):
    return f"{100 * (max(values) / values[0] - 1):+.1f} %"


def _resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


@contextlib.contextmanager
def _experiment(steps):
    from experiments.launch import start_tensorflow
    start_tensorflow()
    from glimpse import config
    from glimpse.training.experiment import Experiment
    bindings = [f"TRAIN_STEPS = {steps}", f"DigitScenes.sizes = {SIZES}"]
    with config.configuration("experiments/digits_refine.gin", bindings):
        yield Experiment()


def _over_time(steps, runs):
    training, evaluations = [], []
    with _experiment(steps) as experiment:
        import keras

        class Watch(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if (batch + 1) % max(steps // 20, 1) == 0:
                    training.append(_resident())

        experiment.trainer.fit(experiment.batches(0), steps_per_epoch=steps, callbacks=[Watch()], shuffle=False,
                               verbose=0)
        for _ in range(runs):
            experiment.evaluate("test")
            evaluations.append(_resident())
    return training, evaluations


def _with_proposals(count):
    def proposals(image, id=None):
        corners = np.random.default_rng(0).uniform(0, 60, (count, 2))
        return np.concatenate([corners, corners + 30], axis=1).astype(np.float32)

    with _experiment(1) as experiment:
        from glimpse.training.environment import peak_memory_mib
        experiment.proposals = proposals
        experiment.evaluate("test")
    return peak_memory_mib()
