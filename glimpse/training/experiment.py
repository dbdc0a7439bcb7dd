"""An experiment: what one configuration describes, trained, evaluated, written down."""

import contextlib
import functools
import logging
import pathlib
import re
import sys
import time

import gin
import keras
import tensorflow as tf

from glimpse import gin_faults
from glimpse.data.batches import training_batches
from glimpse.data.example import NoSplit, outlines
from glimpse.data.feature_cache import FeatureCache
from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.evaluation.coco_ap import evaluate_coco
from glimpse.evaluation.errors_by_kind import errors_by_kind
from glimpse.evaluation.evaluator import evaluate_detector
from glimpse.network.detector import FROM_PIXELS
from glimpse.training import (
    checkpoints,
    estimators,  # noqa: F401  configurations choose among them
    lock,
    parts,
    run,
    stopping,
    strategies,
)
from glimpse.training.board import Board
from glimpse.training.metrics_log import best_step, read_metrics
from glimpse.training.recorder import Recorder
from glimpse.training.trained_on import TrainedOn, trained_on_of, write_trained_on
from glimpse.training.validation import Validation
from glimpse.training.weights import read_weights

_LOG = logging.getLogger(__name__)


@gin.configurable
class Experiment:
    """The parts that a configuration names, built. The root of every configuration.

    Args:
        seed: of the run: initial weights, order of the images, RoIs, glimpses.
        train_steps: number of updates.
        data: called with split="train", "validation" or "test", gives a data set (see `glimpse.data.example`).
        proposals: callable, (image, id) -> [N, 4].
        detector: called with num_classes, gives a GlimpseDetector.
        trainer: called with the detector, foreground_slots and seed, gives a Trainer.
        sampling: RoISampling.
        batch_size: images to a step.
        framing: a Framing that scales and pads the images; None where all are of one size.
        feature_cache: directory that keeps the feature maps of the training images, for a frozen backbone; None keeps
            none.
        evaluation_batch_size: images to a step of the evaluation, with all their proposals.
        evaluation_splits: evaluated at the end of the training, at least one name, such as ("validation", "test").
        coco_ap: score by COCO's protocol too.
        stop_at_background: evaluate with early stopping: a proposal gets no further glimpse once background has this
            probability (see `glimpse.network.early_stopping`). None: T glimpses of each.
        log_every, save_every: steps between log lines and between checkpoints, the second a multiple of the first.
        keep_checkpoints: how many of the last checkpoints stay, in case that one is damaged.
        validate_every: steps between looks at the validation split, a multiple of log_every, whose mAP 50:95 goes into
            the log; None looks at it at the end of the training alone. The training itself is the same to the bit.
        validation_images: how many images are looked at then, evenly spaced in the split; the same each time.
        keep: which weights are those of the trained network: of the "last" step, or of the "best" one by that mAP,
            which compares networks of different lengths of training.
        strategy: devices that share each batch, @mirrored() or @multi_worker(), see `glimpse.training.strategies`; None
            for one.
        precision: "float32", or "mixed_bfloat16": layers compute in bfloat16, weights and boxes stay float32.
        trained_on: a TrainedOn, to use a trained network without reading its training data; no setting.
    """

    def __init__(self, seed=gin.REQUIRED, train_steps=gin.REQUIRED, data=gin.REQUIRED, proposals=gin.REQUIRED,
                 detector=gin.REQUIRED, trainer=gin.REQUIRED, sampling=gin.REQUIRED, batch_size=8,
                 framing=None, feature_cache=None, evaluation_batch_size=10, evaluation_splits=run.EVALUATED,
                 coco_ap=False, stop_at_background=None, log_every=25, save_every=100, keep_checkpoints=2,
                 validate_every=None, validation_images=100, keep="last", strategy=None, precision="float32",
                 trained_on=None):
        self.seed = whole_number("seed", seed, minimum=0)
        self.train_steps = whole_number("train_steps", train_steps)
        self.batch_size = whole_number("batch_size", batch_size)
        self.evaluation_batch_size = whole_number("evaluation_batch_size", evaluation_batch_size)
        self.log_every, self.save_every = whole_number("log_every", log_every), whole_number("save_every", save_every)
        self.keep_checkpoints = whole_number("keep_checkpoints", keep_checkpoints)
        if self.save_every % self.log_every:
            raise GlimpseError(f"save_every must be a multiple of log_every={log_every}, got {save_every}")
        self._check_validation(validate_every, validation_images, keep)
        self.evaluation_splits = _names("Experiment.evaluation_splits", evaluation_splits)
        self.coco_ap = one_of("Experiment.coco_ap", coco_ap, (False, True))
        self.stop_at_background = None if stop_at_background is None else real_number(
            "Experiment.stop_at_background", stop_at_background, minimum=0, maximum=1)
        self.strategy = strategies.checked(strategy)
        parts.check_given(data, proposals, detector, trainer, sampling, framing)
        if not isinstance(trained_on, (TrainedOn, type(None))):
            raise GlimpseError(f"Experiment.trained_on is no setting, got {trained_on!r}; leave it out")
        keras.utils.set_random_seed(self.seed)  # initial weights are drawn from here on
        tf.config.experimental.enable_op_determinism()
        self.data, self.proposals, self.sampling, self.framing = data, proposals, sampling, framing
        self._examples = {}
        self.trained_on = trained_on or trained_on_of(self.training_data)
        if getattr(framing, "grows", False) and trained_on is None:
            sizes = [outline.size for outline in outlines(self.training_data)]
            self.trained_on = self.trained_on._replace(canvas=framing.smallest_canvas(sizes))
        if self.trained_on.canvas:
            self.framing = framing.with_canvas(self.trained_on.canvas)
        self.features = None  # nothing is written before a run trains
        with self._weights_made_as(one_of("Experiment.precision", precision, ("float32", "mixed_bfloat16"))):
            self.detector = detector(num_classes=len(self.trained_on.class_names))
            parts.check_detector(self.detector)
            self.trainer = trainer(detector=self.detector, foreground_slots=sampling.foreground_slots, seed=self.seed)
            parts.check_trainer(self.trainer)
            strategies.check_parts(self.strategy, self.batch_size, getattr(self.trainer, "accumulation", 1))
            if trained_on is None:
                with _faults_of_data():
                    next(iter(self.batches(0)))  # so that faults of the data show before anything is written
            self.trainer.build_on(self.trained_on.image_shape)
        if feature_cache is not None:
            if self.detector.pooling in FROM_PIXELS or (framing is not None and self.framing.canvas is None):
                raise GlimpseError("Experiment.feature_cache needs a shared feature map of one size: "
                                   f"a pooling other than {' or '.join(map(repr, FROM_PIXELS))}, and a Framing.canvas; "
                                   "or set it to None")
            if framing is not None and framing.jitters:
                raise GlimpseError("Experiment.feature_cache keeps maps of images as they are: set "
                                   "Framing.least_scale = 1 and Framing.colour_jitter = 0, or feature_cache = None")
            self.features = FeatureCache(feature_cache, self.detector.backbone)
        optimizers = {"optimizer": self.trainer.optimizer}
        if self.trainer.policy_optimizer is not None:
            optimizers["policy_optimizer"] = self.trainer.policy_optimizer
        learned_baseline = {"value_head": self.trainer.estimator.value_head} if self.trainer.learns_values else {}
        with self.strategy.scope():
            self.checkpoint = tf.train.Checkpoint(detector=self.detector, **optimizers, **learned_baseline)
            self.checkpoint.save_counter  # noqa: B018  makes the variable that checkpoints of glimpse 0.1 hold

    @contextlib.contextmanager
    def _weights_made_as(self, precision):
        """Within, weights are made on all devices of the strategy, and by layers that compute so."""
        keras.config.set_dtype_policy(precision)
        try:
            with self.strategy.scope():
                yield
        finally:
            keras.config.set_dtype_policy("float32")

    def _check_validation(self, validate_every, validation_images, keep):
        self.validate_every = None if validate_every is None else whole_number("validate_every", validate_every)
        self.validation_images = whole_number("validation_images", validation_images)
        self.keep = one_of("Experiment.keep", keep, ("last", "best"))
        if self.validate_every is not None and self.validate_every % self.log_every:
            raise GlimpseError(
                f"validate_every must be a multiple of log_every={self.log_every}, got {validate_every}")
        if self.keep == "best" and (self.validate_every is None or self.validate_every % self.save_every):
            raise GlimpseError(f"Experiment.keep='best' needs a validate_every that is a multiple of "
                               f"save_every={self.save_every}, got {validate_every}")

    @property
    def training_data(self):
        return self.examples("train")

    def examples(self, split):
        """The data set of a split, read once."""
        if split not in self._examples:
            examples = self.data(split=split)
            parts.check_data(examples)
            if not len(examples):
                raise GlimpseError(f"the split {split!r} holds no image")
            self._examples[split] = examples
        return self._examples[split]

    def open_evaluation_splits(self):
        """Reads the annotations of what is to be evaluated, also while it trains. Raises GlimpseError for a missing or
        faulty split.

        A split that the data were found not to have (`NoSplit`) is left out of what is to be evaluated.
        """
        there = []
        for split in self.evaluation_splits:
            try:
                self.annotated(split)
                there.append(split)
            except NoSplit as error:
                if split == self.evaluation_splits[-1] and not there:
                    raise
                # gin adds lines to an error, on where it was called.
                _LOG.warning("%s: nothing is evaluated on it", str(error).splitlines()[0])
            except GlimpseError as error:
                raise GlimpseError(f"Experiment.evaluation_splits names {split!r}: {error}") from error
        self.evaluation_splits = tuple(there)
        self.validation  # noqa: B018  opens its part

    @functools.cached_property
    def validation(self):
        """The Validation of the training; None where there is none."""
        if self.validate_every is None:
            return None
        try:
            examples = self.annotated("validation")
        except GlimpseError as error:
            raise GlimpseError(f"Experiment.validate_every={self.validate_every} needs a validation split, or None: "
                               f"{str(error).splitlines()[0]}") from error
        return Validation(self.detector, examples, self.proposals, self.seed, self.validation_images,
                          self.evaluation_batch_size, self.framing)

    def annotated(self, split):
        examples = self.examples(split)
        if tuple(examples.class_names) != self.trained_on.class_names:
            raise GlimpseError(f"the classes of split {split!r} are not those of 'train': {examples.class_names} "
                               f"and {self.trained_on.class_names}")
        return examples

    def try_step(self):
        """One training step in memory; nothing is written. Raises GlimpseError for a value that does not fit."""
        with gin_faults.one_line("the first step", of_values=True):
            with _faults_of_data():
                features, self.features = self.features, None  # its cache is a directory
                batch = next(iter(self.shared_batches(0)))
                self.features = features
            self.strategy.run(self.trainer.train_step, args=(batch,))

    def batches(self, first_step, rows=None):
        """Batches of the steps from this one on, see `training_batches`."""
        return training_batches(self.training_data, self.proposals, self.sampling, self.batch_size, self.seed,
                                first_step, self.train_steps, self.framing, self.features, rows)

    def shared_batches(self, first_step):
        """The same, as `fit` takes them: each device gets its images of a batch."""
        return strategies.shared_out(self.strategy, functools.partial(self.batches, first_step), self.batch_size)

    def restore(self, workdir):
        """Loads the weights that a run keeps; returns their step, 0 where there are none yet.

        They are those of its last sound checkpoint, or with keep="best" of the best that there is; of an exported run
        those of its one file.
        """
        if (pathlib.Path(workdir) / run.WEIGHTS).is_file():
            step, self.trained_steps = read_weights(pathlib.Path(workdir) / run.WEIGHTS, self.detector)
            return step
        self.trained_steps = self._restored(workdir).step
        return self._restore_best(workdir) or self.trained_steps

    def _restore_best(self, workdir):
        """With keep="best", loads the best checkpoint that has been validated; returns its step, None without any."""
        directory = pathlib.Path(workdir) / run.CHECKPOINTS
        best = best_step(read_metrics(workdir), checkpoints.steps(directory)) if self.keep == "best" else None
        if best is not None:
            checkpoints.restore_step(directory, self.checkpoint, best)
        return best

    def _restored(self, workdir):
        return checkpoints.restore(pathlib.Path(workdir) / run.CHECKPOINTS, self.checkpoint)

    def train(self, workdir, tensorboard=False):
        """Trains from the run's last sound checkpoint, or from the start, to train_steps; then has the weights to keep.

        Args:
            workdir: of the run.
            tensorboard: whether to write its log for TensorBoard too (`glimpse.training.board`).

        Returns:
            seconds, 0 where no step was left.

        Raises:
            GlimpseError: where another process trains there, no checkpoint is sound, or a loss is not finite.
            Stopped: after the step during which a signal came, and with a checkpoint.
        """
        workdir = pathlib.Path(workdir)
        with lock.held(workdir) if strategies.is_chief(self.strategy) else contextlib.nullcontext():
            strategies.meet(self.strategy, workdir)
            start, restored = time.perf_counter(), self._restored(workdir)
            if strategies.is_chief(self.strategy):
                checkpoints.tidy(workdir / run.CHECKPOINTS, restored.damaged)
                write_trained_on(workdir, self.trained_on)
            if restored.step >= self.train_steps:
                self._restore_best(workdir)
                return 0.0
            with stopping.noted(second_ends=True) as signals, contextlib.ExitStack() as stack:
                board = None
                if tensorboard and strategies.is_chief(self.strategy):
                    board = stack.enter_context(contextlib.closing(Board(workdir, restored.step)))
                self._fit(workdir, restored, signals, board)
            self._restore_best(workdir)
            return time.perf_counter() - start

    def _fit(self, workdir, restored, signals, board):
        save = functools.partial(checkpoints.save, workdir / run.CHECKPOINTS, self.checkpoint,
                                 keep=self.keep_checkpoints)
        recorder = Recorder(workdir, save, restored, self.train_steps, self.log_every, self.save_every, signals,
                            self.strategy, self.validation, self.validate_every, self.keep, board)
        try:
            with _faults_of_data(), strategies.loss_of_worker(self.strategy):
                self.trainer.fit(
                    self.shared_batches(restored.step),
                    steps_per_epoch=self.train_steps - restored.step, callbacks=[recorder],
                    shuffle=False, verbose=1 if sys.stdout.isatty() else 0)  # in a file, metrics.jsonl tells more
        except tf.errors.OpError as error:
            if "must be finite" not in str(error):
                raise
            raise recorder.stop("a glimpse's box", "not finite") from error  # before any loss could be computed
        except Exception as error:
            if isinstance(error, GlimpseError) or int(self.trainer.optimizer.iterations) > restored.step:
                raise
            with gin_faults.one_line("the first step", of_values=True):  # Keras looks at many values only here
                raise

    def evaluate(self, split, confidence=None, iterations=0):
        """Detects on every image of a split; returns what `evaluate_detector` does, and "errors".

        Args:
            split: "train", "validation" or "test".
            confidence: that a proposal shows background, at which it gets no further glimpse; None for all T.
            iterations: how often the network starts again from the boxes just found.
        """
        examples = self.annotated(split)
        result = evaluate_detector(self.detector, examples, self.proposals, self.seed, self.evaluation_batch_size,
                                   self.framing, confidence, iterations)
        if self.coco_ap:
            result["metrics"] |= evaluate_coco(result["detections"], result["ground_truth"], examples.class_names)
        result["errors"] = errors_by_kind(result["detections"], result["ground_truth"], len(examples.class_names))
        return result


@contextlib.contextmanager
def _faults_of_data():
    """TensorFlow hands on the text of an error alone: a fault of the data in its threads is a GlimpseError again."""
    try:
        yield
    except tf.errors.OpError as error:
        fault = re.search(r"(?:GlimpseError|Fault): (.*)", str(error))
        if not fault:
            raise
        raise GlimpseError(fault[1]) from error


def _names(name, value):
    """A tuple of at least one text, each once."""
    if isinstance(value, str):
        raise GlimpseError(f"{name} must be a list of names: write ({value!r},), with the comma")
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) and each for each in value):
        raise GlimpseError(f"{name} must be a list of names, such as ('validation', 'test'), got {value!r}")
    if not value or len(set(value)) < len(value):
        raise GlimpseError(f"{name} must name at least one split, and each once, got {value!r}")
    return tuple(value)
