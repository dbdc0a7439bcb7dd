"""What a policy does while it learns, as numbers of a log line."""

import keras
import tensorflow as tf

from glimpse.geometry.boxes import DELTAS


def statistic_names(num_glimpses):
    """The keys of `episode_statistics`."""
    each = [f"{what}_{delta}" for what in ("mean", "spread") for delta in DELTAS] + ["moved", "cut", "gain"]
    return [f"glimpse_{glimpse}/{what}" for glimpse in range(2, num_glimpses + 1) for what in each] + [
        "return_variance/within", "return_variance/between"]


def episode_statistics(episodes, glimpses, sizes):
    """How foreground RoIs are looked at in a batch, and what it gives.

    Args:
        episodes: `glimpse.training.estimators.Episodes`.
        glimpses: [B, E, F, T, 4], xyxy in pixels, cut to the images.
        sizes: int32 [B, 2], height and width of each image.

    Returns:
        {name: scalar}. For each glimpse t = 2 .. T, means over episodes:
        "glimpse_t/mean_dx", ... and "glimpse_t/spread_dx", ...: mean and standard deviation of the deltas as drawn;
        "glimpse_t/moved": pixels from the centre of the glimpse before to the centre of this one;
        "glimpse_t/cut": fraction of glimpses that touch the border of the image, and so may have been cut there;
        "glimpse_t/gain": what this glimpse added to the quality of the answer.
        "return_variance/within": variance of the last quality over the episodes of one RoI, mean over RoIs;
        "return_variance/between": variance over RoIs of its mean over episodes. The first is what looking decides,
        the second how hard RoIs are. All are 0 where no RoI is foreground.
    """
    foreground = tf.cast(episodes.foreground, tf.float32)
    count = tf.reduce_sum(foreground)
    episode_count = tf.cast(tf.shape(episodes.quality)[1], tf.float32)

    def mean(values):  # [B, E, F, ...] -> [...]
        mask = tf.reshape(foreground, tf.concat([[tf.shape(foreground)[0], 1, tf.shape(foreground)[1]],
                                                 tf.ones([tf.rank(values) - 3], tf.int32)], 0))
        return tf.math.divide_no_nan(tf.reduce_sum(values * mask, axis=[0, 1, 2]), count * episode_count)

    centres = (glimpses[..., :2] + glimpses[..., 2:]) / 2
    moved = mean(tf.norm(centres[..., 1:, :] - centres[..., :-1, :], axis=-1))
    ends = tf.cast(sizes[:, None, None, None, ::-1], tf.float32)  # width and height
    border = tf.concat([glimpses[..., :2] <= 0, glimpses[..., 2:] >= ends], axis=-1)
    cut = mean(tf.cast(tf.reduce_any(border, axis=-1), tf.float32))
    gain = mean(episodes.quality[..., 1:] - episodes.quality[..., :-1])
    average = mean(episodes.deltas)
    spread = tf.sqrt(mean(tf.square(episodes.deltas - average)))

    statistics = {}
    for step in range(episodes.deltas.shape[3]):
        name = f"glimpse_{step + 2}"
        for place, delta in enumerate(DELTAS):
            statistics[f"{name}/mean_{delta}"] = average[step, place]
            statistics[f"{name}/spread_{delta}"] = spread[step, place]
        statistics |= {f"{name}/moved": moved[step], f"{name}/cut": cut[step + 1], f"{name}/gain": gain[step]}
    last = episodes.quality[..., -1]
    of_roi = tf.reduce_mean(last, axis=1, keepdims=True)
    over_rois = of_roi - mean(last)
    statistics["return_variance/within"] = mean(tf.square(last - of_roi))
    statistics["return_variance/between"] = mean(tf.square(over_rois) * tf.ones_like(last))
    return statistics


class Agreement(keras.metrics.Metric):
    """How far the gradients of successive steps agree: |their mean|^2 over the mean of |gradient|^2.

    1 where all are the same, about 1 / (number of steps) where they are noise: what a policy that follows them can
    gain from going on.
    """

    def __init__(self, size, name="agreement"):
        super().__init__(name=name)
        self.total = self.add_weight(name="total", shape=(size,), initializer="zeros")
        self.squares = self.add_weight(name="squares", shape=(), initializer="zeros")
        self.count = self.add_weight(name="count", shape=(), initializer="zeros")

    def update_state(self, gradients):
        """Adds the gradients of a step, a list of tensors of `size` numbers in all."""
        flat = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
        self.total.assign_add(flat)
        self.squares.assign_add(tf.reduce_sum(tf.square(flat)))
        self.count.assign_add(1.0)

    def result(self):
        mean = tf.convert_to_tensor(self.total) / tf.maximum(self.count, 1.0)
        return tf.math.divide_no_nan(tf.reduce_sum(tf.square(mean)) * self.count, tf.convert_to_tensor(self.squares))
