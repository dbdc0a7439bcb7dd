"""One training step: episodes of looking, the detection loss, the quality of the answers, the policy's update."""

import inspect
from typing import NamedTuple

import gin
import keras
import numpy as np
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.network.policies import role_of
from glimpse.randomness import part_of_batch, stateless_seed
from glimpse.training import (
    optimizers,  # noqa: F401  configurations choose among them
    replicas,
)
from glimpse.training.diagnostics import Agreement, episode_statistics, statistic_names
from glimpse.training.estimators import Episodes
from glimpse.training.objectives import answer_quality, detection_loss, relabelled
from glimpse.training.parts import check_built


class Learned(NamedTuple):
    """What a part of a batch gives to the step."""

    gradients: list  # of the variables, those of the policy last; over all parts they sum up to the step's
    episodes: Episodes
    old: tf.Tensor | None  # [B, E, F, T-1], log-probabilities of the actions, where the estimator tells them
    share: tf.Tensor | float  # the weight of this part's mean over foreground RoIs


@gin.register
class Trainer(keras.Model):
    """Trains a GlimpseDetector under Keras's own `fit`, on batches of `glimpse.data.batches.training_batches`.

    Foreground RoIs have E episodes, background RoIs one; each RoI weighs the same in the loss.

    Args:
        detector: GlimpseDetector.
        foreground_slots: F, how many RoIs at the head of each image's list may be foreground.
        seed: of the run.
        optimizer: of everything, or of all but the policy where that has its own.
        policy_optimizer: of the policy's weights, if not the same; a slow one lets the network learn to use glimpses
            before they move, and suits a gradient that is mostly noise.
        estimator: how the policy learns, one of `glimpse.training.estimators`; used where it does learn.
        episodes: E, how many of each foreground RoI for an estimator that draws them; where nothing is drawn there is
            one.
        supervision: the detection loss is that of the answer after the "last" glimpse (the paper), or the mean of those
            after "every" one [ours].
        relabel_ious: label the RoIs anew at each glimpse by where it lies: a list of T overlaps with an object at which
            it is foreground, such as Cascade R-CNN's (0.5, 0.6, 0.7); None for the labels of the proposals throughout.
            It is for glimpses at the box just found, `refine`. Any other policy needs None: what looks elsewhere on
            purpose would be called background, and a policy that learns by the detection loss would choose its labels.
        further_background: how many of an image's background slots get further glimpses, those that the first glimpse
            takes most for objects; for the others, the first answer counts as the last [ours]. None: all.
        policy_weight: factor of the policy's loss.
        weight_decay: factor of half the squared weights (not biases), Fast R-CNN's 0.0005 or none.
        accumulation: in how many parts a step goes through its batch, one after another, and adds up their gradients.
            The update is that of the whole batch, and feature maps of one part alone are held, for a graph that grows.
        jit_compile: compile the step by XLA.

    Raises:
        GlimpseError: names the parameter and its value.
    """

    def __init__(self, detector, foreground_slots, seed, optimizer=gin.REQUIRED, policy_optimizer=None,
                 estimator=gin.REQUIRED, episodes=4, supervision="last", relabel_ious=None, further_background=None,
                 policy_weight=1.0, weight_decay=0.0, accumulation=1, jit_compile=False):
        super().__init__(name="trainer")
        self.detector = detector
        self.foreground_slots = whole_number("foreground_slots", foreground_slots)
        self.seed = whole_number("seed", seed, minimum=0)
        self.supervision = one_of("Trainer.supervision", supervision, ("last", "every"))
        self.relabel_ious = _overlaps(relabel_ious, detector)
        self.further_background = further_background
        if further_background is not None:
            self.further_background = whole_number("Trainer.further_background", further_background, minimum=0)
        self.policy_weight = real_number("Trainer.policy_weight", policy_weight, minimum=0)
        self.weight_decay = real_number("Trainer.weight_decay", weight_decay, minimum=0)
        self.accumulation = whole_number("Trainer.accumulation", accumulation)
        episodes = whole_number("Trainer.episodes", episodes)
        self.estimator, self.policy_optimizer, self.episodes = None, None, 1
        if inspect.isclass(estimator) or not hasattr(estimator, "call_arguments"):  # also where the policy needs none
            raise GlimpseError(f"Trainer.estimator must be a reference such as @pathwise(), with (), got {estimator!r}")
        if detector.policy is not None and role_of(detector.policy) == "learns":
            self.estimator, self.policy_optimizer = estimator, policy_optimizer
            self.episodes = estimator.build(detector, policy_optimizer, episodes)
            if self.accumulation > 1 and (estimator.further_updates or getattr(estimator, "baseline", None) == "batch"):
                raise GlimpseError("Trainer.accumulation must be 1 for an estimator that learns from the episodes of a "
                                   f"whole batch at once, ppo or the baseline 'batch', got {accumulation}")
        names = ["class_loss", "box_loss", "decay_loss", "gradient_norm"] + ["policy_loss"] * bool(self.estimator)
        check_built("Trainer.optimizer", optimizer, ["apply"], "@keras.optimizers.Adam()")  # Keras takes names as well
        self.means = {name: keras.metrics.Mean(name=name) for name in [*names, "reward"]}
        self.diagnostics = {}  # logged, but not shown beside the progress bar
        self.compile(optimizer=optimizer, jit_compile=False)
        if one_of("Trainer.jit_compile", jit_compile, (False, True)):  # Keras would not, under op determinism
            self.train_step = tf.function(self.train_step, jit_compile=True, autograph=False)
        for each in filter(None, (optimizer, self.policy_optimizer)):
            replicas.take_totals(each)

    @property
    def learns_values(self):
        """Whether the returns' baseline is learned, by weights that are no part of the detector."""
        return bool(self.estimator and self.estimator.trainable_variables)

    @property
    def metrics(self):
        return [*self.means.values(), *self.diagnostics.values()]

    def build_on(self, image_shape):
        """Makes all variables, of the network and of the optimizers, so that a checkpoint can be restored into them."""
        height, width, _ = image_shape
        whole = tf.constant([[[0.0, 0.0, width, height]]])
        rollout = self.detector(tf.zeros([1, *image_shape], tf.uint8), whole, tf.constant([0, 0]), objects=whole)
        self.built = True
        if hasattr(self.estimator, "make_variables"):
            self.estimator.make_variables(rollout.policy_inputs.shape[-1])
        self._refuse_untrained_policy()
        own, policy = self._variables()
        if self.policy_optimizer is None:
            self.optimizer.build(own + policy)
        else:
            self.optimizer.build(own)
            self.policy_optimizer.build(policy)
        for name in statistic_names(self.detector.num_glimpses):
            self.diagnostics[name] = keras.metrics.Mean(name=name)
        if self.estimator:
            self.agreement = Agreement(sum(int(np.prod(v.shape)) for v in policy))
            self.diagnostics["policy_gradient_agreement"] = self.agreement

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing, since `build_on` makes all variables; Keras's own fails on batches that several processes share."""

    def _refuse_untrained_policy(self):
        """Raises GlimpseError where a policy has weights that nothing would train."""
        policy = self.detector.policy
        if not self.estimator and getattr(policy, "trainable_variables", ()):
            raise GlimpseError(
                f"{type(policy).__name__} has weights to train ({policy.trainable_variables[0].path}), but its "
                f"role is {role_of(policy)!r}: give its class role = \"learns\"")
        if self.estimator and not policy.trainable_variables:
            raise GlimpseError(
                f"{type(policy).__name__} has the role 'learns' but no weights to train: make them in its "
                "build or __init__, or give its class another role")

    def _variables(self):
        """The trainable variables, those of the policy apart."""
        policy = list(self.detector.policy.trainable_variables) if self.estimator else []
        apart = {id(v) for v in policy}
        own = [v for v in self.detector.trainable_variables if id(v) not in apart]
        return own + list(self.estimator.trainable_variables if self.estimator else []), policy

    def train_step(self, batch):
        """One update on a batch of `training_batches`; returns the running means of the losses.

        Under a strategy the batch is this replica's part of it. What is a mean over the batch is one over all replicas.
        """
        seed = stateless_seed(self.seed, "step", self.optimizer.iterations)
        if hasattr(self.detector.policy, "begin") and self.estimator:
            self.detector.policy.begin(self.optimizer.iterations)
        parts = _cut(batch, self.accumulation)
        counts = [tf.reduce_sum(tf.cast(part["classes"][:, :self.foreground_slots] > 0, tf.float32)) for part in parts]
        own, policy = self._variables()
        gradients = None
        everywhere, first = len(parts) * replicas.number(), len(parts) * replicas.place()
        for place, (part, share) in enumerate(zip(parts, replicas.shares(counts))):
            done = [each for each in gradients or () if each is not None]
            # One after another, so that the memory of one part is free for the next.
            with part_of_batch(first + place, everywhere), tf.control_dependencies(done):
                learned = self._learned(part, seed, share, everywhere)
            gradients = learned.gradients if gradients is None else [
                before if more is None else before + more for before, more in zip(gradients, learned.gradients)]
        gradients = replicas.total(gradients)
        own_gradients, policy_gradients = gradients[:len(own)], gradients[len(own):]
        if self.policy_optimizer is None:
            self.optimizer.apply(gradients, own + policy)
        else:
            self.optimizer.apply(own_gradients, own)
            self.policy_optimizer.apply(policy_gradients, policy)
            for _ in range(self.estimator.further_updates):
                with tf.GradientTape() as tape:
                    loss = self.estimator.loss(self.detector.policy, learned.episodes, seed, learned.old)[0]
                    loss *= self.policy_weight * learned.share / replicas.number()
                self.policy_optimizer.apply(replicas.total(tape.gradient(loss, policy)), policy)

        self.means["gradient_norm"].update_state(tf.linalg.global_norm(gradients))
        if self.estimator:
            self.agreement.update_state(policy_gradients)
        results = {name: mean.result() for name, mean in self.means.items()}
        # Added up here: TensorFlow may compute the sum above in another order each time it builds the graph.
        results["loss"] = results["class_loss"] + results["box_loss"] + results["decay_loss"]
        return replicas.to_be_averaged(results)

    def _learned(self, batch, seed, share, parts):
        """What a part of a batch gives to a step, its losses noted in the means: Learned.

        Args:
            batch: as in `train_step`.
            seed: int32 [2], of the step.
            share: weight of the part's mean over foreground RoIs, see `glimpse.training.replicas.shares`.
            parts: how many parts the batch has, over all replicas.
        """
        rois, slots, num_glimpses = batch["rois"].shape[1], self.foreground_slots, self.detector.num_glimpses
        # Every RoI once, then the foreground slots again for each further episode.
        roi_of = np.concatenate([np.arange(rois)] + [np.arange(slots)] * (self.episodes - 1))
        numbers = np.concatenate([np.where(np.arange(rois) < slots, 0, -1),
                                  np.repeat(np.arange(1, self.episodes), slots)])
        proposals, classes, targets = (tf.gather(batch[name], roi_of, axis=1)
                                       for name in ("rois", "classes", "targets"))
        weights = np.where(roi_of < slots, 1 / self.episodes, 1).astype(np.float32)[None] / np.float32(rois)
        call_arguments, may_stop = {"explore": True}, None
        if self.further_background is not None and num_glimpses > 1:
            if self.further_background > rois - slots:
                raise GlimpseError(f"Trainer.further_background must be at most {rois - slots}, as many background "
                                   f"slots an image has, got {self.further_background}")
            may_stop = slots, rois, self.further_background
        if self.estimator:
            call_arguments = self.estimator.call_arguments(self.detector.policy, seed, numbers, num_glimpses)

        old = None
        with tf.GradientTape() as tape:
            rollout = self.detector(batch.get("images"), batch["rois"], seed, dropout=True,
                                    proposal_of=tf.constant(roi_of, tf.int32) if self.episodes > 1 else None,
                                    sizes=batch["sizes"], feature_map=batch.get("feature_map"),
                                    objects=batch["objects"], may_stop=may_stop, **call_arguments)
            answers = [(rollout.logits[:, :, glimpse], rollout.box_deltas[:, :, glimpse],
                        rollout.references[:, :, glimpse])
                       for glimpse in range(num_glimpses)]
            labels = [(classes, targets)] * num_glimpses
            if self.relabel_ious:
                labels = [relabelled(rollout.glimpses[:, :, glimpse], batch["objects"], batch["object_classes"], iou)
                          for glimpse, iou in zip(range(num_glimpses), self.relabel_ious)]
            supervised = [detection_loss(*answer, *label, weights, self.detector.box_scale)
                          for answer, label in list(zip(answers, labels))[-1 if self.supervision == "last" else 0:]]
            class_loss, box_loss = (tf.add_n(parts_of) / len(parts_of) for parts_of in zip(*supervised))
            losses = {"class_loss": class_loss, "box_loss": box_loss, "decay_loss": self._decay()}
            objective = class_loss + box_loss + losses["decay_loss"]
            qualities = zip(*(answer_quality(*answer, classes, targets) for answer in answers))
            episodes = Episodes(classes[:, :slots] > 0, *(self._by_episode(values, rois) for values in (
                rollout.policy_inputs, rollout.deltas, *(tf.stack(each, axis=-1) for each in qualities))))
            if self.estimator:
                losses["policy_loss"], old = self.estimator.loss(self.detector.policy, episodes, seed)
                losses["policy_loss"] *= share
                objective += self.policy_weight * losses["policy_loss"]
            objective /= parts
        own, policy = self._variables()
        gradients = tape.gradient(objective, own + policy)

        for name, loss in losses.items():
            self.means[name].update_state(loss)
        foreground = tf.cast(episodes.foreground, tf.float32)
        reward = tf.math.divide_no_nan(
            tf.reduce_sum(episodes.quality[..., -1]), self.episodes * tf.reduce_sum(foreground))
        statistics = episode_statistics(episodes, self._by_episode(rollout.glimpses, rois), batch["sizes"])
        for mean, value in [(self.means["reward"], reward), *(
                (self.diagnostics[name], value) for name, value in statistics.items())]:
            mean.update_state(value, sample_weight=share)  # they are means over the foreground RoIs
        return Learned(gradients, episodes, old, share)

    def _by_episode(self, values, rois):
        """[B, M, ...] -> [B, E, F, ...], of the foreground slots."""
        slots = tf.concat([values[:, :self.foreground_slots], values[:, rois:]], axis=1)
        shape = tf.concat([tf.shape(values)[:1], [self.episodes, self.foreground_slots], tf.shape(values)[2:]], axis=0)
        return tf.ensure_shape(tf.reshape(slots, shape),
                               [None, self.episodes, self.foreground_slots, *values.shape[2:]])

    def _decay(self):
        if not self.weight_decay:
            return 0.0
        weights = [v for v in self.detector.trainable_variables if len(v.shape) > 1]
        return self.weight_decay * tf.add_n([tf.nn.l2_loss(v) for v in weights])


def _cut(batch, parts):
    """A batch -> a list of so many batches, of its images in their order."""
    if parts == 1:
        return [batch]
    cut = {name: tf.split(value, parts) for name, value in batch.items()}
    return [{name: values[place] for name, values in cut.items()} for place in range(parts)]


def _overlaps(relabel_ious, detector):
    """The value of Trainer.relabel_ious, checked: None, or a list of at least T overlaps."""
    if relabel_ious is None:
        return None
    if not isinstance(relabel_ious, (list, tuple)):
        raise GlimpseError(f"Trainer.relabel_ious must be a list of overlaps, such as (0.5, 0.6, 0.7), or None, "
                           f"got {relabel_ious!r}")
    if len(relabel_ious) < detector.num_glimpses:
        raise GlimpseError(f"Trainer.relabel_ious lists {len(relabel_ious)} overlaps, too few for "
                           f"{detector.num_glimpses} glimpses: add some")
    overlaps = [real_number("Trainer.relabel_ious", iou, minimum=0, maximum=1) for iou in relabel_ious]
    policy = detector.policy
    if policy is not None and role_of(policy) not in ("rival", "ceiling"):
        raise GlimpseError(
            f"Trainer.relabel_ious={relabel_ious!r} labels glimpses by where they lie, which is for the policy "
            f"@refine(); {type(policy).__name__} has the role {role_of(policy)!r} and needs None: set RELABEL_IOUS = "
            "None, or take the heads of experiments/digits_learned.gin")
    return overlaps
