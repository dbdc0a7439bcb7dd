"""What a training writes down under `fit`: its log and its checkpoints."""

import json
import signal

import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError
from glimpse.files import naming, sync, write_whole
from glimpse.training import checkpoints, run, strategies
from glimpse.training.metrics_log import METRICS, VALIDATION_MAP, best_step, read_metrics
from glimpse.training.stopping import Stopped


class Recorder(keras.callbacks.Callback):
    """Logs and saves a run under `fit`, and stops it at the first loss or gradient that is no finite number.

    Every `log_every` steps the means since the last line become a line of metrics.jsonl; every `save_every` steps, a
    multiple of that, the checkpoint is written. Every `validate_every` steps and after the last one, the line tells of
    the validation too. Where `keep` is "best", the best checkpoint by that one stays besides the last ones. A signal
    that came during a step ends the run after it, with a checkpoint, which keeps the means of the window of the log
    that it cuts in two. So a resumed run writes the lines that the unbroken one would have written.

    Args:
        workdir: of the run.
        save: called with step=, log_window=, best= and planned=, writes a checkpoint (see
            `glimpse.training.checkpoints.save`).
        restored: Restored, what the run goes on from.
        last_step, log_every, save_every: of the Experiment.
        signals: a list into which the signals come that are to end the run.
        strategy: of the training. Of its processes one writes; all of them stop after the same step.
        validation: Validation, or None.
        validate_every: of the Experiment.
        keep: "last" or "best".
        board: Board, or None.
    """

    def __init__(self, workdir, save, restored, last_step, log_every, save_every, signals, strategy, validation=None,
                 validate_every=None, keep="last", board=None):
        super().__init__()
        self.strategy, self.writes = strategy, strategies.is_chief(strategy)
        if strategies.workers(strategy) > 1:  # each is a sum over the processes: one after another they take a second
            self._diagnostics = tf.function(self._diagnostics, autograph=False)
        self.workdir, self.save, self.signals = workdir, save, signals
        self.first_step, self.log_window = restored.step, restored.log_window
        self.last_step, self.log_every, self.save_every = last_step, log_every, save_every
        self.validation, self.validate_every, self.keep, self.board = validation, validate_every, keep, board
        if not self.writes:
            return
        kept = [line for line in read_metrics(workdir) if line["step"] <= self.first_step]
        write_whole(workdir / METRICS, "".join(json.dumps(line) + "\n" for line in kept))

    def on_epoch_begin(self, epoch, logs=None):
        for name, variable in self._window_variables().items() if self.log_window else ():
            variable.assign(self.log_window[name])  # after Keras has reset them

    def on_train_batch_begin(self, batch, logs=None):
        self.step = self.first_step + batch + 1

    def on_train_batch_end(self, batch, logs=None):
        step = self.step
        for name in ("loss", "gradient_norm"):
            if not np.isfinite(logs[name]):
                raise self.stop(name, logs[name])
        validated = self.writes and self.validation and (step % self.validate_every == 0 or step == self.last_step)
        if validated:
            logs[VALIDATION_MAP] = self.validation.mean_ap()  # the progress bar shows it from now on
        stopped = strategies.total(self.strategy, len(self.signals))
        if step % self.log_every == 0 or step == self.last_step:
            self._log(step, logs)
            if step < self.last_step:  # the progress bar still shows the last ones
                self.model.reset_metrics()
        if validated and self.board:
            self.board.strips(step, self.validation.sequences(), self.validation.examples.class_names)
        if stopped or self._planned(step):
            in_window = step % self.log_every and step < self.last_step
            window = {name: keras.ops.convert_to_numpy(variable) for name, variable
                      in self._window_variables().items()} if in_window else None
            if self.writes:
                sync(self.workdir / METRICS)  # a checkpoint stands only beside the lines up to it
                self.save(step=step, log_window=window, best=self._best() if self.keep == "best" else None,
                          planned=self._planned)
        if stopped:
            signum = (self.signals or [signal.SIGTERM])[0]
            raise Stopped(signum, f"stopped by {signal.Signals(signum).name} after step {step} of {self.last_step}, "
                                  "with a checkpoint; the same command goes on from there")

    def _log(self, step, logs):
        line = {"step": step} | {name: float(value) for name, value in {**logs, **self._diagnostics()}.items()}
        if self.writes:
            with naming(self.workdir / METRICS), open(self.workdir / METRICS, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            if self.board:
                self.board.scalars(line)

    def _planned(self, step):
        """Whether a checkpoint is written at a step of a run that nothing stops."""
        return step % self.save_every == 0 or step == self.last_step

    def _best(self):
        """The step of the best checkpoint that stands, or that is about to be written."""
        there = checkpoints.steps(self.workdir / run.CHECKPOINTS)
        return best_step(read_metrics(self.workdir), {*there, self.step})

    def _diagnostics(self):
        return {name: metric.result() for name, metric in self.model.diagnostics.items()}

    def _window_variables(self):
        """The variables of the means since the last line of the log: {name: variable}."""
        return {f"{metric.name}/{place}": variable for metric in self.model.metrics
                for place, variable in enumerate(metric.variables)}

    def stop(self, what, value):
        """The error that ends a run in which `what` has become `value`."""
        kept = checkpoints.latest(self.workdir / run.CHECKPOINTS) or "none was written yet"
        return GlimpseError(f"{what} is {value} at step {self.step} of {self.last_step}; the run stops. "
                            f"Last good checkpoint: {kept}. A lower learning rate is the usual cure")
