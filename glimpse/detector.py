"""The network, in the order of the data: image -> feature map -> T times (pool -> controller -> policy) -> heads.

After Hara, Liu, Tuzel and Farahmand, "Attentional Network for Visual Object Detection" (2017). With T = 1 it is
Fast R-CNN (Girshick 2015): one glimpse, the proposal, and neither recurrent weights nor a policy.
"""

from typing import NamedTuple

import gin
import keras
import tensorflow as tf

from glimpse import boxes
from glimpse.controller import Controller
from glimpse.errors import GlimpseError, one_of, pair, real_number, whole_number
from glimpse.ops import roi_pool

FUSIONS = {"max": tf.maximum, "mean": tf.add, "last": lambda fused, output: output}


class Rollout(NamedTuple):
    """What T glimpses of M episodes an image were and gave. An episode is one way of looking at one proposal."""

    glimpses: tf.Tensor  # [B, M, T, 4], xyxy pixels; the first is the proposal
    deltas: tf.Tensor  # [B, M, T-1, 4], as drawn, before the glimpse was cut to the image
    means: tf.Tensor  # [B, M, T-1, 4], of the policy
    fused: tf.Tensor  # [B, M, T, D], the fused vector after each glimpse; the heads read the last


class Detections(NamedTuple):
    """The most confident boxes of a batch, at most D an image, in order of confidence; `valid` [B] counts them."""

    boxes: tf.Tensor  # [B, D, 4], xyxy pixels
    scores: tf.Tensor  # [B, D]
    labels: tf.Tensor  # [B, D], int32, 0 .. K-1
    valid: tf.Tensor  # [B]


@gin.register
class GlimpseDetector(keras.Model):
    """Detector over a shared feature map that classifies and places every proposal from T glimpses of it.

    Args:
      num_classes: K, background not counted.
      num_glimpses: T.
      backbone: model, images -> feature map.
      policy: one of `glimpse.policies`; not used at T = 1, where it may be None.
      pooled_size: grid of a pooled glimpse, a whole number or (height, width).
      stride: pixels of the image to a cell of the feature map.
      units: widths of fc6 and fc7.
      recurrence, dropout: of the controller, see there.
      fusion: how fc7 of all glimpses becomes one vector: "max" (the paper), "mean", "last".
      policy_gradient: how far it reaches: "head", the policy's own weights, or "controller", what fed it too.
      box_scale: the box head predicts deltas divided by this (Fast R-CNN normalises its targets so).

    Raises: GlimpseError that names the parameter and its value.
    """

    def __init__(self, num_classes, num_glimpses=gin.REQUIRED, backbone=gin.REQUIRED, policy=None,
                 pooled_size=gin.REQUIRED, stride=gin.REQUIRED, units=(256, 256), recurrence="relu", dropout=0.0,
                 fusion="max", policy_gradient="head", box_scale=(0.1, 0.1, 0.2, 0.2)):
        super().__init__(name="detector")
        self.num_classes = whole_number("num_classes", num_classes)
        self.num_glimpses = whole_number("num_glimpses", num_glimpses)
        self.pooled_size = pair("pooled_size", pooled_size)
        self.stride = whole_number("stride", stride)
        self.fusion = one_of("fusion", fusion, FUSIONS)
        self.policy_gradient = one_of("policy_gradient", policy_gradient, ("head", "controller"))
        self.box_scale = [real_number("box_scale", scale, minimum=1e-6) for scale in box_scale]
        if self.num_glimpses > 1 and policy is None:
            raise GlimpseError(f"policy must be given where num_glimpses is above 1, got None at {num_glimpses}")

        self.backbone = backbone
        self.controller = Controller(units, recurrence, dropout, recurrent=self.num_glimpses > 1)
        self.policy = policy if self.num_glimpses > 1 else None
        # Initial weights of the heads: Fast R-CNN (2015), section 2.3.
        self.class_head = keras.layers.Dense(
            self.num_classes + 1, name="class_head", kernel_initializer=keras.initializers.RandomNormal(0.0, 0.01))
        self.box_head = keras.layers.Dense(
            4 * self.num_classes, name="box_head", kernel_initializer=keras.initializers.RandomNormal(0.0, 0.001))

    def build(self, images_shape):
        if not self.backbone.built:
            self.backbone.build((None, None, None, images_shape[-1]))
        size = 4 * self.stride
        cells = self.backbone.compute_output_shape((1, size, size, images_shape[-1]))[1]
        if cells != 4:
            raise GlimpseError(f"stride={self.stride}, but the backbone makes {cells} cells of {size} pixels")
        for head in (self.class_head, self.box_head):
            head.build((None, self.controller.fc7.units))

    def call(self, images, proposals, seed, explore=False, dropout=False, episodes=None, sizes=None):
        """Looks T times at each proposal.

        Args:
          images: uint8 or float [B, H, W, channels], 0..255.
          proposals: float32 [B, N, 4], xyxy in pixels of `images`.
          seed: int32 [2]; every draw of this call follows from it.
          explore: draw glimpses from the learned policy instead of taking its mean.
          dropout: apply it.
          episodes: int32 [M], which proposal (0..N-1) each episode looks at; None for one episode a proposal.
            The first glimpse is the proposal for every episode, so it is pooled and encoded once a proposal.
          sizes: int32 [B, 2], height and width of each image where it is padded to those of `images`.
        Returns: a Rollout.
        """
        feature_map = self.backbone(images)
        drop_seed = tf.random.fold_in(seed, 0) if dropout else None
        output, state = self._look(feature_map, proposals, None, drop_seed)
        if episodes is not None:
            width = tf.shape(proposals)[1]
            rows = (tf.range(tf.shape(proposals)[0])[:, None] * width + episodes[None, :])
            output, *state = (tf.gather(part, tf.reshape(rows, [-1])) for part in (output, *state))
            proposals = tf.gather(proposals, episodes, axis=1)

        glimpses, deltas, means, fused = [proposals], [], [], [output]
        for step in range(self.num_glimpses - 1):
            seen = output if self.policy_gradient == "controller" else tf.stop_gradient(output)
            delta, mean = self.policy(
                seen, step=step, seed=tf.random.fold_in(seed, 2 * step + 1), explore=explore)
            deltas.append(tf.reshape(delta, tf.shape(proposals)))
            means.append(tf.reshape(mean, tf.shape(proposals)))
            glimpses.append(boxes.clip(boxes.decode(deltas[-1], proposals), *_limits(images, sizes)))
            drop_seed = tf.random.fold_in(seed, 2 * step + 2) if dropout else None
            output, state = self._look(feature_map, glimpses[-1], state, drop_seed)
            fused.append(FUSIONS[self.fusion](fused[-1], output))
        if self.fusion == "mean":
            fused = [total / (count + 1) for count, total in enumerate(fused)]

        per_episode = tf.concat([tf.shape(proposals)[:2], [self.num_glimpses, self.controller.fc7.units]], axis=0)
        none = tf.zeros(tf.concat([tf.shape(proposals)[:2], [0, 4]], axis=0))
        return Rollout(tf.stack(glimpses, axis=2), tf.stack(deltas, axis=2) if deltas else none,
                       tf.stack(means, axis=2) if means else none, tf.reshape(tf.stack(fused, axis=1), per_episode))

    def _look(self, feature_map, glimpses, state, drop_seed):
        """One step: pools glimpses [B, M, 4] and takes them through the controller: ([B * M, D], state)."""
        pooled = roi_pool(feature_map, glimpses, self.pooled_size, spatial_scale=1 / self.stride)
        pooled = tf.reshape(pooled, [-1, *self.pooled_size, feature_map.shape[-1]])
        return self.controller(pooled, state, seed=drop_seed)

    def heads(self, fused):
        """fused [..., D] -> class logits float32 [..., K + 1] (0 is background), box deltas [..., K, 4] from the proposal."""
        logits = tf.cast(self.class_head(fused), tf.float32)
        deltas = tf.cast(self.box_head(fused), tf.float32)
        deltas = tf.reshape(deltas, tf.concat([tf.shape(deltas)[:-1], [self.num_classes, 4]], axis=0))
        return logits, deltas * self.box_scale

    def detect(self, images, proposals, seed, sizes=None, valid=None, score_threshold=0.01, nms_iou=0.3,
               most_detections=100):
        """Detections of a batch: the policy's mean, all heads at the last step, non-maximum suppression a class.

        Args: images, proposals, seed, sizes as in `call` (only the random policy draws here); valid: bool [B, N], False
          for proposals that only fill up the list of an image and are never detected; a box of a score below
          `score_threshold` is dropped; `nms_iou` and 100 detections are those of Fast R-CNN.
        Returns: (Detections, Rollout).
        """
        rollout = self(images, proposals, seed, sizes=sizes)
        logits, deltas = self.heads(rollout.fused[:, :, -1])
        placed = boxes.decode(deltas, proposals[:, :, None])
        placed = boxes.clip(placed, *(limit[..., None] for limit in _limits(images, sizes)))
        scores = tf.nn.softmax(logits)[..., 1:]
        if valid is not None:
            scores = tf.where(valid[:, :, None], scores, -1.0)
        # The op asks for yxyx; overlaps, and so its answer, are the same with the axes exchanged.
        kept = tf.image.combined_non_max_suppression(
            placed, scores, most_detections, most_detections,
            iou_threshold=nms_iou, score_threshold=score_threshold, clip_boxes=False)
        return Detections(kept.nmsed_boxes, kept.nmsed_scores, tf.cast(kept.nmsed_classes, tf.int32),
                          kept.valid_detections), rollout


def _limits(images, sizes):
    """Height and width that the boxes of each image are cut to, [1] or [B, 1]."""
    if sizes is None:
        return tf.shape(images)[1:2], tf.shape(images)[2:3]
    return sizes[:, :1], sizes[:, 1:]
