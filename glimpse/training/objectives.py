"""What is learned from: the detection loss, the reward of looking, and the policy gradient. Pure functions of tensors.

B images, M episodes of an image, T glimpses of an episode. For the policy, episodes stand as [E, F]: E ways of looking
at each of F foreground RoIs.
"""

import gin
import tensorflow as tf

from glimpse.geometry import boxes
from glimpse.training import replicas

BASELINES = ("none", "batch", "group", "learned")


def detection_loss(logits, deltas, references, classes, targets, weights, box_scale):
    """Cross-entropy over all RoIs plus smooth L1 over the foreground (Girshick 2015, section 2.3).

    Args:
        logits: [B, M, K + 1], of the class head.
        deltas: [B, M, K, 4], of the box head.
        references: [B, M, 4], xyxy, the boxes that the deltas lead from: the proposals, or the last glimpses.
        classes: int32 [B, M], 0 for background.
        targets: [B, M, 4], boxes of the objects, xyxy.
        weights: [B, M], the weight of each episode in its image's loss; they sum to 1 for an image.
        box_scale: [4]; differences of deltas are divided by it before smooth L1.

    Returns:
        (classification loss, box loss), scalars, means over the images.
    """
    classification = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    foreground = tf.cast(classes > 0, tf.float32)
    difference = (_of_true_class(deltas, classes) - boxes.encode(targets, references)) / box_scale
    size = tf.abs(difference)
    smooth_l1 = tf.reduce_sum(tf.where(size < 1, 0.5 * size**2, size - 0.5), axis=-1)
    per_image = [tf.reduce_sum(weights * loss, axis=1) for loss in (classification, foreground * smooth_l1)]
    return tuple(tf.reduce_mean(loss) for loss in per_image)


def answer_quality(logits, deltas, references, classes, targets):
    """How good an answer is, in the two senses that a reward may take.

    Arguments as in `detection_loss`.

    Returns:
        quality and correct, two [B, M], 0 for background, without a gradient. The first is P(c*) * IoU(B_c*, B*), the
        probability of the true class times the overlap of its box (Hara et al. 2017, section 3); the second is 1 where
        the most probable class is the true one and that overlap is at least 0.5, else 0 [ours].
    """
    probability = tf.gather(tf.nn.softmax(logits), classes, batch_dims=2)
    overlap = boxes.paired_iou(boxes.decode(_of_true_class(deltas, classes), references), targets)
    right = tf.equal(tf.argmax(logits, axis=-1, output_type=classes.dtype), classes)  # == may tell no static shape
    correct = right & (overlap >= 0.5)
    foreground = tf.cast(classes > 0, tf.float32)
    return tf.stop_gradient(foreground * probability * overlap), foreground * tf.cast(correct, tf.float32)


def relabelled(rois, objects, object_classes, least_iou):
    """What RoIs show, labelled anew once they were moved, as Cascade R-CNN does at each stage.

    Args:
        rois: float32 [B, M, 4], xyxy.
        objects: [B, G, 4], the true boxes of an image.
        object_classes: int32 [B, G], 1 .. K, or 0 where the list is merely filled up.
        least_iou: a RoI shows the object that it overlaps most, if by this much.

    Returns:
        classes int32 [B, M], 0 for background; targets [B, M, 4], the box of the object, or the RoI itself.

    Source: Cai and Vasconcelos, "Cascade R-CNN", 2018, section 4.
    """
    # One at least, empty.
    objects, object_classes = tf.pad(objects, [[0, 0], [1, 0], [0, 0]]), tf.pad(object_classes, [[0, 0], [1, 0]])
    overlaps = boxes.paired_iou(rois[:, :, None], objects[:, None])
    overlaps = tf.where(object_classes[:, None] > 0, overlaps, 0.0)
    nearest, foreground = tf.argmax(overlaps, axis=-1), tf.reduce_max(overlaps, axis=-1) >= least_iou
    classes = tf.where(foreground, tf.gather(object_classes, nearest, batch_dims=1), 0)
    return classes, tf.where(foreground[..., None], tf.gather(objects, nearest, batch_dims=1), rois)


# Rewards: (quality, correct), each [..., T], of `answer_quality` when the heads are read after each glimpse ->
# [..., T-1], what each action led to, the rewards from its glimpse to the last one added up. One of one's own is
# registered likewise.


@gin.register("terminal", module="reward")
def terminal(quality, correct):
    """The quality of the last answer (Hara et al. 2017)."""
    return quality[..., -1:] * tf.ones_like(quality[..., :-1])


@gin.register("discrete", module="reward")
def discrete(quality, correct):
    """Whether the last answer is correct [ours]."""
    return correct[..., -1:] * tf.ones_like(quality[..., :-1])


@gin.register("gain", module="reward")
def gain(quality, correct):
    """What each glimpse adds to the quality [ours]; an action's return is the last quality less that before it."""
    return quality[..., -1:] - quality[..., :-1]


def _of_true_class(deltas, classes):
    """The deltas [B, M, 4] of each RoI's own class; of class 1, unused, for background."""
    return tf.gather(deltas, tf.maximum(classes - 1, 0), batch_dims=2)


def advantages(returns, mask, baseline, values=None):
    """Returns freed of what no glimpse decided, so that the policy gradient is less noisy [ours].

    Args:
        returns: [B, E, F, T-1].
        mask: bool [B, F], which RoIs are foreground.
        baseline: "none"; "batch": zero mean and unit variance over all actions of the batch; "group": less the mean
            of the other episodes of the same RoI (leave-one-out; Kool, van Hoof and Welling 2019), which needs E >= 2;
            "learned": less `values`, a prediction of the returns (Williams 1992; Sutton and Barto 2018, section 13.4).
        values: [B, E, F, T-1], for "learned".

    Returns:
        [B, E, F, T-1], 0 where the mask is False.
    """
    inside = tf.cast(mask, returns.dtype)[:, None, :, None] * tf.ones_like(returns)
    if baseline == "batch":
        count = tf.maximum(replicas.total(tf.reduce_sum(inside)), 1.0)
        mean = replicas.total(tf.reduce_sum(returns * inside)) / count
        variance = replicas.total(tf.reduce_sum(tf.square(returns - mean) * inside)) / count
        returns = (returns - mean) * tf.math.rsqrt(variance + 1e-8)
    elif baseline == "group":
        episodes = tf.cast(tf.shape(returns)[1], returns.dtype)
        others = (tf.reduce_sum(returns, axis=1, keepdims=True) - returns) / (episodes - 1)
        returns = returns - others
    elif baseline == "learned":
        returns = returns - tf.stop_gradient(values)
    return returns * inside


def reinforce_loss(log_probabilities, advantage, mask):
    """Surrogate whose gradient is that of REINFORCE (Williams 1992).

    It is -sum_t log pi(a_t) * advantage_t, a mean of episodes.

    Args:
        log_probabilities: [B, E, F, T-1].
        advantage: [B, E, F, T-1], taken as a constant.
        mask: bool [B, F], which RoIs are foreground.

    Returns:
        scalar; 0 where no RoI is foreground.
    """
    return -mean_of_episodes(log_probabilities * tf.stop_gradient(advantage), mask)


def clipped_ratio_loss(log_probabilities, old_log_probabilities, advantage, mask, clip):
    """The surrogate of PPO (Schulman et al. 2017, equation 7), for episodes that several updates learn from.

    Arguments as in `reinforce_loss`; the old log-probabilities are those under the policy that drew the actions. Where
    the ratio of the two probabilities has left 1 - clip .. 1 + clip to the side that the advantage asks for, an action
    gives no gradient any more.
    """
    ratio = tf.exp(log_probabilities - tf.stop_gradient(old_log_probabilities))
    advantage = tf.stop_gradient(advantage)
    return -mean_of_episodes(tf.minimum(ratio * advantage, tf.clip_by_value(ratio, 1 - clip, 1 + clip) * advantage),
                              mask)


def expectation_loss(log_probabilities, advantage, mask):
    """Minus the expected advantage, where the E episodes of a RoI have tried the E possible actions, each once [ours].

    Args:
        log_probabilities: [B, E, F], of the action that was tried.
        advantage: [B, E, F], likewise.
        mask: bool [B, F], which RoIs are foreground.

    Returns:
        scalar. Its gradient is that of the expected reward itself, with nothing sampled.
    """
    weighted = tf.exp(log_probabilities) * tf.stop_gradient(advantage)
    return -tf.cast(tf.shape(advantage)[1], weighted.dtype) * mean_of_episodes(weighted[..., None], mask)


def mean_of_episodes(weighted, mask):
    """Sum over the actions [B, E, F, T-1] of an episode, mean over the episodes of foreground RoIs."""
    episodes = tf.cast(tf.shape(weighted)[1], weighted.dtype) * tf.reduce_sum(tf.cast(mask, weighted.dtype))
    return tf.math.divide_no_nan(tf.reduce_sum(weighted), episodes)
