"""What a training writes down under `fit`: its log and its checkpoints."""

import json

import keras
import numpy as np

from glimpse.errors import GlimpseError
from glimpse.files import write_whole
from glimpse.training.metrics_log import METRICS, read_metrics


class Recorder(keras.callbacks.Callback):
    """Logs and saves a run under `fit`, and stops it at the first loss or gradient that is no finite number.

    Every `log_every` steps the means since the last line become a line of metrics.jsonl; every `save_every` steps, a
    multiple of that, the checkpoint is written. Since windows of the means end where checkpoints do, a resumed run
    writes the lines that the unbroken one would have written.
    """

    def __init__(self, workdir, manager, first_step, last_step, log_every, save_every):
        super().__init__()
        self.workdir, self.manager = workdir, manager
        self.first_step, self.last_step, self.log_every, self.save_every = first_step, last_step, log_every, save_every
        kept = [line for line in read_metrics(workdir) if line["step"] <= first_step]
        write_whole(workdir / METRICS, "".join(json.dumps(line) + "\n" for line in kept))

    def on_train_batch_begin(self, batch, logs=None):
        self.step = self.first_step + batch + 1

    def on_train_batch_end(self, batch, logs=None):
        step = self.step
        for name in ("loss", "gradient_norm"):
            if not np.isfinite(logs[name]):
                raise self.stop(name, logs[name])
        if step % self.log_every == 0 or step == self.last_step:
            with open(self.workdir / METRICS, "a", encoding="utf-8") as log:
                diagnostics = {name: metric.result() for name, metric in self.model.diagnostics.items()}
                line = {name: float(value) for name, value in {**logs, **diagnostics}.items()}
                log.write(json.dumps({"step": step, **line}) + "\n")
            if step < self.last_step:  # the progress bar still shows the last ones
                self.model.reset_metrics()
        if step % self.save_every == 0 or step == self.last_step:
            self.manager.save(checkpoint_number=step)

    def stop(self, what, value):
        """The error that ends a run in which `what` has become `value`."""
        kept = self.manager.latest_checkpoint or "none was written yet"
        return GlimpseError(f"{what} is {value} at step {self.step} of {self.last_step}; the run stops. "
                            f"Last good checkpoint: {kept}. A lower learning rate is the usual cure")
