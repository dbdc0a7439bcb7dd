import subprocess
import sys

import pytest

PROGRAM = """
import contextlib, sys
import numpy as np, tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from glimpse import config
from glimpse.training.experiment import Experiment

def weights_before_and_after(scope):
    with config.configuration("experiments/digits_learned.gin", sys.argv[1:]), scope:
        experiment = Experiment()
        before = experiment.detector.get_weights()
        experiment.trainer.fit(experiment.batches(0), steps_per_epoch=6, shuffle=False, verbose=0)
        return [np.concatenate([w.ravel() for w in weights]) for weights in (before, experiment.detector.get_weights())]

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
start, alone = weights_before_and_after(contextlib.nullcontext())
_, shared = weights_before_and_after(strategy.scope())
print("distances", np.abs(alone - start).max(), np.abs(shared - alone).max())
"""


@pytest.mark.slow
def test_two_replicas_train_as_one_does(tiny):
    """Six steps on batches of four images, and on their halves; devices are set before TensorFlow starts."""
    bindings = [*tiny, "Experiment.batch_size = 4", "POLICY = @fixed()"]
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *bindings], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    _, moved, apart = ended.stdout.splitlines()[-1].split()
    assert float(moved) > 1e-3 and float(apart) < 1e-5, (moved, apart)
