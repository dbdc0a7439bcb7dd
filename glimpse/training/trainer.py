"""One training step: episodes of looking, the detection loss, the reward, REINFORCE."""

import gin
import keras
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, real_number, whole_number
from glimpse.objectives import BASELINES, advantages, detection_loss, reinforce_loss, terminal_reward
from glimpse.policies import LearnedPolicy, RandomPolicy
from glimpse.randomness import stateless_seed

for _optimizer in (keras.optimizers.Adam, keras.optimizers.SGD):
    gin.external_configurable(_optimizer, module="keras.optimizers")
for _schedule in (keras.optimizers.schedules.CosineDecay, keras.optimizers.schedules.PiecewiseConstantDecay):
    gin.external_configurable(_schedule, module="keras.optimizers.schedules")


@gin.register
class Trainer(keras.Model):
    """Trains a GlimpseDetector under Keras's own `fit`, on batches of `glimpse.data.batches.training_batches`.

    Foreground RoIs are looked at in `episodes` ways, background RoIs in one; each RoI weighs the same in the loss.

    Args:
      detector: GlimpseDetector.
      foreground_slots: F, how many RoIs at the head of each image's list may be foreground.
      seed: of the run.
      optimizer: of everything, or of all but the policy where that has its own.
      policy_optimizer: of the learned policy's weights; a gradient that is mostly noise wants a slow one.
      episodes: E, ways of looking at a foreground RoI while the policy draws at random (1 for the others).
      baseline: of the returns, see `glimpse.objectives.advantages`.
      policy_weight: factor of the policy's loss.
      weight_decay: factor of half the squared weights (not biases), Fast R-CNN's 0.0005 or none.
    """

    def __init__(self, detector, foreground_slots, seed, optimizer=gin.REQUIRED, policy_optimizer=None, episodes=4,
                 baseline="group", policy_weight=1.0, weight_decay=0.0):
        super().__init__(name="trainer")
        self.detector = detector
        self.foreground_slots = whole_number("foreground_slots", foreground_slots)
        self.seed = whole_number("seed", seed, minimum=0)
        self.learns_policy = isinstance(detector.policy, LearnedPolicy)
        episodes = whole_number("Trainer.episodes", episodes)
        self.episodes = episodes if isinstance(detector.policy, (LearnedPolicy, RandomPolicy)) else 1
        self.baseline = one_of("Trainer.baseline", baseline, BASELINES)
        if self.learns_policy and self.baseline == "group" and episodes < 2:
            raise GlimpseError(f"Trainer.episodes must be at least 2 for the baseline 'group', got {episodes}")
        self.policy_weight = real_number("Trainer.policy_weight", policy_weight, minimum=0)
        self.weight_decay = real_number("Trainer.weight_decay", weight_decay, minimum=0)
        self.policy_optimizer = policy_optimizer if self.learns_policy else None
        names = ["class_loss", "box_loss", "decay_loss", "gradient_norm"]
        names += ["policy_loss", "reward"] if self.learns_policy else []
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.compile(optimizer=optimizer, jit_compile=False)

    @property
    def metrics(self):
        return list(self.means.values())

    def build_on(self, batch):
        """Makes all variables, of the network and of the optimizers, so that a checkpoint can be restored into them."""
        self.detector(batch["images"][:1], batch["rois"][:1], tf.constant([0, 0]))
        self.built = True
        self.optimizer.build(self._detector_variables())
        if self.policy_optimizer is not None:
            self.policy_optimizer.build(self._policy_variables())

    def _policy_variables(self):
        return self.detector.policy.trainable_variables

    def _detector_variables(self):
        apart = {id(v) for v in self._policy_variables()} if self.policy_optimizer is not None else set()
        return [v for v in self.detector.trainable_variables if id(v) not in apart]

    def train_step(self, batch):
        """One update on a batch of `training_batches`; returns the running means of the losses."""
        seed = stateless_seed(self.seed, "step", self.optimizer.iterations)
        rois, slots, extra = tf.shape(batch["rois"])[1], self.foreground_slots, self.episodes - 1
        # Every RoI once, then the foreground slots again for each further episode.
        episodes = tf.concat([tf.range(rois)] + [tf.range(slots)] * extra, axis=0)
        proposals, classes, targets = (tf.gather(batch[name], episodes, axis=1) for name in ("rois", "classes", "targets"))
        share = tf.where(episodes < slots, 1 / self.episodes, 1.0) / tf.cast(rois, tf.float32)

        with tf.GradientTape() as tape:
            rollout = self.detector(batch["images"], batch["rois"], seed, explore=True, dropout=True,
                                    episodes=episodes if extra else None, sizes=batch["sizes"])
            logits, deltas = self.detector.heads(rollout.fused[:, :, -1])
            class_loss, box_loss = detection_loss(
                logits, deltas, proposals, classes, targets, share[None, :], self.detector.box_scale)
            losses = {"class_loss": class_loss, "box_loss": box_loss, "decay_loss": self._decay()}
            objective = class_loss + box_loss + losses["decay_loss"]
            if self.learns_policy:
                reward = terminal_reward(logits, deltas, proposals, classes, targets)
                losses |= self._policy_loss(rollout, reward, classes[:, :slots] > 0)
                objective += self.policy_weight * losses["policy_loss"]
            # Under a distribution strategy the replicas' gradients are summed, each over its part of the batch.
            objective /= tf.distribute.get_strategy().num_replicas_in_sync

        variables = self._detector_variables(), self._policy_variables() if self.policy_optimizer else []
        gradients = tape.gradient(objective, variables)
        self.optimizer.apply(gradients[0], variables[0])
        if self.policy_optimizer is not None:
            self.policy_optimizer.apply(gradients[1], variables[1])
        losses["gradient_norm"] = tf.linalg.global_norm(gradients[0] + gradients[1])
        for name, mean in self.means.items():
            mean.update_state(losses[name])
        results = {name: mean.result() for name, mean in self.means.items()}
        # Added up here: TensorFlow may compute the sum above in another order each time it builds the graph.
        return results | {"loss": results["class_loss"] + results["box_loss"] + results["decay_loss"]}

    def _policy_loss(self, rollout, reward, foreground):
        """REINFORCE over the foreground slots: `reward` [B, M], `foreground` bool [B, F]."""
        def by_episode(values):  # [B, M, ...] -> [B, E, F, ...]
            slots = tf.concat([values[:, :self.foreground_slots], values[:, foreground_and_background:]], axis=1)
            shape = tf.concat([tf.shape(values)[:1], [self.episodes, self.foreground_slots], tf.shape(values)[2:]], 0)
            return tf.reshape(slots, shape)

        foreground_and_background = tf.shape(reward)[1] - self.foreground_slots * (self.episodes - 1)
        log_probabilities = self.detector.policy.log_probability(by_episode(rollout.deltas), by_episode(rollout.means))
        returns = by_episode(reward)
        loss = reinforce_loss(log_probabilities, advantages(returns, foreground, self.baseline), foreground)
        count = self.episodes * tf.reduce_sum(tf.cast(foreground, tf.float32))
        return {"policy_loss": loss, "reward": tf.math.divide_no_nan(tf.reduce_sum(returns), count)}

    def _decay(self):
        if not self.weight_decay:
            return 0.0
        weights = [v for v in self.detector.trainable_variables if len(v.shape) > 1]
        return self.weight_decay * tf.add_n([tf.nn.l2_loss(v) for v in weights])
