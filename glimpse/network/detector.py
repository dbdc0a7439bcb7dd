"""The network, in the order of the data: image -> feature map -> T times (pool -> controller -> policy) -> heads.

After Hara, Liu, Tuzel and Farahmand, "Attentional Network for Visual Object Detection" (2017). With T = 1 it is
Fast R-CNN (Girshick 2015): one glimpse, the proposal, and neither recurrent weights nor a policy.
"""

from typing import NamedTuple

import gin
import keras
import tensorflow as tf

from glimpse.geometry import boxes
from glimpse.network.controller import Controller
from glimpse.errors import GlimpseError, one_of, pair, real_number, whole_number
from glimpse.ops import roi_align, roi_pool

POOLINGS = ("max", "align", "crop")
FUSIONS = {  # the vector fused so far, what the next glimpse gave, how many glimpses that makes
    "max": lambda fused, output, count: tf.maximum(fused, output),
    "mean": lambda fused, output, count: fused + (output - fused) / count,
    "last": lambda fused, output, count: output,
}


class Rollout(NamedTuple):
    """What T glimpses of M episodes an image were and gave. An episode is one way of looking at one proposal."""

    glimpses: tf.Tensor  # [B, M, T, 4], xyxy pixels; the first is the proposal
    deltas: tf.Tensor  # [B, M, T-1, 4], as drawn, before the glimpse was cut to the image
    seen: tf.Tensor  # [B, M, T-1, D], fc7 before each of these deltas: what the policy decided on
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
      policy: one of `glimpse.network.policies`; not used at T = 1, where it may be None.
      pooled_size: grid of a pooled glimpse, a whole number or (height, width).
      pooling: "max", RoI pooling (the paper); "align", RoI align, whose values are smooth in the box; "crop", R-CNN as a
        control (Girshick et al. 2014): each glimpse is cut from the image, warped to pooled_size * stride pixels, and goes
        through the backbone by itself, so that no feature map is shared.
      delta_input: fc6 also takes the delta of the glimpse that it looks at, 0 for the proposal [ours].
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
                 pooling="max", delta_input=False, fusion="max", policy_gradient="head", box_scale=(0.1, 0.1, 0.2, 0.2)):
        super().__init__(name="detector")
        self.num_classes = whole_number("num_classes", num_classes)
        self.num_glimpses = whole_number("num_glimpses", num_glimpses)
        self.pooled_size = pair("pooled_size", pooled_size)
        self.stride = whole_number("stride", stride)
        self.pooling = one_of("pooling", pooling, POOLINGS)
        self.delta_input = one_of("delta_input", delta_input, (False, True)) and self.num_glimpses > 1
        self.fusion = one_of("fusion", fusion, FUSIONS)
        self.policy_gradient = one_of("policy_gradient", policy_gradient, ("head", "controller"))
        self.box_scale = [real_number("box_scale", scale, minimum=1e-6) for scale in box_scale]
        if self.num_glimpses > 1 and policy is None:
            raise GlimpseError(f"policy must be given where num_glimpses is above 1, got None at {num_glimpses}")
        if policy is not None and not callable(policy):
            raise GlimpseError(f"policy must be a reference such as @learned(), got {policy!r}")

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

    def call(self, images, proposals, seed, explore=False, dropout=False, episodes=None, forced=None,
             pathwise=False, sizes=None, feature_map=None):
        """Looks T times at each proposal.

        Args:
          images: uint8 or float [B, H, W, channels], 0..255.
          proposals: float32 [B, N, 4], xyxy in pixels of `images`.
          seed: int32 [2]; every draw of this call follows from it.
          explore: draw glimpses from the learned policy instead of taking its mean.
          dropout: apply it.
          episodes: int32 [M], which proposal (0..N-1) each episode looks at; None for one episode a proposal.
            The first glimpse is the proposal for every episode, so it is pooled and encoded once a proposal.
          forced: float32 [T-1, M, 4], deltas to look at whatever the policy says; NaN where it decides.
          pathwise: let gradients reach the policy through the glimpses' boxes; not with the pooling "max".
          sizes: int32 [B, 2], height and width of each image where it is padded to those of `images`.
          feature_map: what `shared_map` gives of `images`, where it is known already.
        Returns: a Rollout.
        """
        feature_map = self.shared_map(images) if feature_map is None else feature_map
        drop_seed = tf.random.fold_in(seed, 0) if dropout else None
        output, state = self.controller(self.read(feature_map, proposals, tf.zeros_like(proposals)), seed=drop_seed)
        if episodes is not None:
            width = tf.shape(proposals)[1]
            rows = (tf.range(tf.shape(proposals)[0])[:, None] * width + episodes[None, :])
            output, *state = (tf.gather(part, tf.reshape(rows, [-1])) for part in (output, *state))
            proposals = tf.gather(proposals, episodes, axis=1)

        glimpses, deltas, seen, fused = [proposals], [], [], [output]
        for step in range(self.num_glimpses - 1):
            seen.append(output if self.policy_gradient == "controller" else tf.stop_gradient(output))
            delta = self.policy(seen[-1], step=step, seed=tf.random.fold_in(seed, 2 * step + 1), explore=explore)
            delta = tf.reshape(delta if pathwise else tf.stop_gradient(delta), tf.shape(proposals))
            if forced is not None:
                delta = tf.where(tf.math.is_nan(forced[step]), delta, forced[step])
            deltas.append(delta)
            glimpses.append(boxes.clip(boxes.decode(delta, proposals), *limits_of(images, sizes)))
            drop_seed = tf.random.fold_in(seed, 2 * step + 2) if dropout else None
            output, state = self.controller(self.read(feature_map, glimpses[-1], delta), state, drop_seed)
            fused.append(FUSIONS[self.fusion](fused[-1], output, step + 2))

        def per_episode(steps, width):  # list of [B * M, width] or [B, M, width] -> [B, M, len, width]
            shape = tf.concat([tf.shape(proposals)[:2], [len(steps), width]], axis=0)
            return tf.reshape(tf.stack(steps, axis=-2), shape) if steps else tf.zeros(shape)

        units = self.controller.fc7.units
        return Rollout(tf.stack(glimpses, axis=2), per_episode(deltas, 4), per_episode(seen, units),
                       per_episode(fused, units))

    def shared_map(self, images):
        """What all glimpses of an image are taken from, [B, H, W, C]: its feature map, or the image, with pooling "crop"."""
        return tf.cast(images, tf.float32) if self.pooling == "crop" else self.backbone(images)

    def pool(self, feature_map, glimpses):
        """Glimpses [B, M, 4], xyxy in pixels of the image, of the shared map: [B, M, pooled_height, pooled_width, C]."""
        if self.pooling == "max":
            return roi_pool(feature_map, glimpses, self.pooled_size, spatial_scale=1 / self.stride)
        if self.pooling == "align":
            return roi_align(feature_map, glimpses, self.pooled_size, spatial_scale=1 / self.stride, box_gradient=True)
        height, width = (cells * self.stride for cells in self.pooled_size)
        crops = roi_align(feature_map, glimpses, (height, width), box_gradient=True)
        maps = self.backbone(tf.reshape(crops, [-1, height, width, feature_map.shape[-1]]))
        return tf.reshape(maps, tf.concat([tf.shape(glimpses)[:2], maps.shape[1:]], axis=0))

    def read(self, feature_map, glimpses, deltas):
        """What the controller takes of glimpses and their deltas, both [B, M, 4]: vectors [B * M, I]."""
        pooled = self.pool(feature_map, glimpses)
        pooled = tf.reshape(pooled, [-1, self.pooled_size[0] * self.pooled_size[1] * pooled.shape[-1]])
        if self.delta_input:
            pooled = tf.concat([pooled, tf.cast(tf.reshape(deltas, [-1, 4]), pooled.dtype)], axis=-1)
        return pooled

    def heads(self, fused):
        """fused [..., D] -> class logits float32 [..., K + 1] (0 is background), box deltas [..., K, 4] from the proposal."""
        logits = tf.cast(self.class_head(fused), tf.float32)
        deltas = tf.cast(self.box_head(fused), tf.float32)
        deltas = tf.reshape(deltas, tf.concat([tf.shape(deltas)[:-1], [self.num_classes, 4]], axis=0))
        return logits, deltas * self.box_scale

    def answers(self, fused, proposals, images, sizes=None):
        """What the heads say of every proposal: boxes [B, M, K, 4], cut to the image, and probabilities [B, M, K + 1].

        Args: fused [B, M, D], after any glimpse; proposals [B, M, 4], xyxy; images, whose size counts, and sizes as in
          `call`.
        """
        logits, deltas = self.heads(fused)
        placed = boxes.decode(deltas, proposals[:, :, None])
        return boxes.clip(placed, *(limit[..., None] for limit in limits_of(images, sizes))), tf.nn.softmax(logits)

    def detect(self, images, proposals, seed, sizes=None, valid=None, **limits):
        """Detections of a batch: the policy's mean, all heads at the last step, non-maximum suppression a class.

        Args: images, proposals, seed, sizes as in `call` (only the random policy draws here); valid and limits, those of
          `suppress`.
        Returns: (Detections, Rollout).
        """
        rollout = self(images, proposals, seed, sizes=sizes)
        return suppress(*self.answers(rollout.fused[:, :, -1], proposals, images, sizes), valid, **limits), rollout


def suppress(placed, probabilities, valid=None, score_threshold=0.01, nms_iou=0.3, most_detections=100):
    """Non-maximum suppression, a class at a time, of what `GlimpseDetector.answers` gives: Detections.

    valid: bool [B, N], False for proposals that only fill up the list of an image and are never detected. A box of a score
    below `score_threshold` is dropped; `nms_iou` and 100 detections are those of Fast R-CNN.
    """
    scores = probabilities[..., 1:]
    if valid is not None:
        scores = tf.where(valid[:, :, None], scores, -1.0)
    # The op asks for yxyx; overlaps, and so its answer, are the same with the axes exchanged.
    kept = tf.image.combined_non_max_suppression(
        placed, scores, most_detections, most_detections,
        iou_threshold=nms_iou, score_threshold=score_threshold, clip_boxes=False)
    return Detections(kept.nmsed_boxes, kept.nmsed_scores, tf.cast(kept.nmsed_classes, tf.int32),
                      kept.valid_detections)


def limits_of(images, sizes):
    """Height and width that the boxes [B, M, 4] of images [B, H, W, C] are cut to, each [1] or [B, 1]; sizes as in `call`."""
    if sizes is None:
        return tf.shape(images)[1:2], tf.shape(images)[2:3]
    return sizes[:, :1], sizes[:, 1:]
