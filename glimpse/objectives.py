"""What is learned from: the detection loss, the reward of looking, and the policy gradient. Pure functions of tensors."""

import tensorflow as tf

from glimpse import boxes

BASELINES = ("none", "batch", "group")


def detection_loss(logits, deltas, proposals, classes, targets, weights, box_scale):
    """Cross-entropy over all RoIs plus smooth L1 over the foreground (Girshick 2015, section 2.3).

    Args:
      logits: [B, M, K + 1]; deltas: [B, M, K, 4] from the heads; proposals: [B, M, 4], xyxy.
      classes: int32 [B, M], 0 for background; targets: [B, M, 4], boxes of the objects, xyxy.
      weights: [B, M], the share of each episode in its image's loss; they sum to 1 for an image.
      box_scale: [4]; differences of deltas are divided by it before smooth L1.
    Returns: (classification loss, box loss), scalars, means over the images.
    """
    classification = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    foreground = tf.cast(classes > 0, tf.float32)
    difference = (_of_true_class(deltas, classes) - boxes.encode(targets, proposals)) / box_scale
    size = tf.abs(difference)
    smooth_l1 = tf.reduce_sum(tf.where(size < 1, 0.5 * size**2, size - 0.5), axis=-1)
    per_image = [tf.reduce_sum(weights * loss, axis=1) for loss in (classification, foreground * smooth_l1)]
    return tuple(tf.reduce_mean(loss) for loss in per_image)


def terminal_reward(logits, deltas, proposals, classes, targets):
    """P(c*) * IoU(B_c*, B*): probability of the true class times the overlap of its box (Hara et al. 2017, section 3).

    Arguments as in `detection_loss`. Returns: [B, M] in 0..1, 0 for background, without a gradient.
    """
    probability = tf.gather(tf.nn.softmax(logits), classes, batch_dims=2)
    overlap = boxes.paired_iou(boxes.decode(_of_true_class(deltas, classes), proposals), targets)
    return tf.stop_gradient(tf.where(classes > 0, probability * overlap, 0.0))


def _of_true_class(deltas, classes):
    """The deltas [B, M, 4] of each RoI's own class; of class 1, unused, for background."""
    return tf.gather(deltas, tf.maximum(classes - 1, 0), batch_dims=2)


def advantages(returns, mask, baseline):
    """Returns freed of what no glimpse decided, so that the policy gradient is less noisy [ours].

    Args:
      returns: [B, E, F], of E episodes of each of F RoIs of an image; mask: bool [B, F], which RoIs are foreground.
      baseline: "none"; "batch": zero mean and unit variance over all episodes of the batch; "group": less the mean
        of the other episodes of the same RoI (leave-one-out; Kool et al. 2019), which needs E >= 2.
    Returns: [B, E, F], 0 where the mask is False.
    """
    inside = tf.cast(mask, returns.dtype)[:, None, :] * tf.ones_like(returns)
    if baseline == "batch":
        count = tf.maximum(tf.reduce_sum(inside), 1.0)
        mean = tf.reduce_sum(returns * inside) / count
        variance = tf.reduce_sum(tf.square(returns - mean) * inside) / count
        returns = (returns - mean) * tf.math.rsqrt(variance + 1e-8)
    elif baseline == "group":
        episodes = tf.cast(tf.shape(returns)[1], returns.dtype)
        others = (tf.reduce_sum(returns, axis=1, keepdims=True) - returns) / (episodes - 1)
        returns = returns - others
    return returns * inside


def reinforce_loss(log_probabilities, advantage, mask):
    """Surrogate whose gradient is that of REINFORCE (Williams 1992): -sum_t log pi(a_t) * advantage, a mean of episodes.

    Args: log_probabilities [B, E, F, T-1]; advantage [B, E, F], taken as a constant; mask bool [B, F].
    Returns: scalar; 0 where no RoI is foreground.
    """
    weighted = tf.reduce_sum(log_probabilities, axis=-1) * tf.stop_gradient(advantage)
    episodes = tf.cast(tf.shape(advantage)[1], weighted.dtype) * tf.reduce_sum(tf.cast(mask, weighted.dtype))
    return -tf.math.divide_no_nan(tf.reduce_sum(weighted), episodes)
