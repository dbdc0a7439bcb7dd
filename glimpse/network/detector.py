"""The network, in the order of the data: image -> feature map -> T times (pool -> controller -> heads -> policy).

After Hara, Liu, Tuzel and Farahmand, "Attentional Network for Visual Object Detection" (2017). With T = 1 it is
Fast R-CNN (Girshick 2015): one glimpse, the proposal, and neither recurrent weights nor a policy.
"""

from typing import Any

import gin
import keras
import tensorflow as tf

from glimpse.errors import GlimpseError, one_of, pair, real_number, whole_number
from glimpse.geometry import boxes
from glimpse.network.controller import Controller, ReluRecurrence
from glimpse.network.deformable import DeformablePooling
from glimpse.network.fusions import max_fusion
from glimpse.network.policies import Situation
from glimpse.network.rollout import Known, Rollout, Zoomed
from glimpse.network.suppression import Detections, suppress
from glimpse.ops import roi_align, roi_pool

POOLINGS = ("max", "align", "crop", "zoom", "deformable")
FROM_PIXELS = ("crop", "zoom")  # those that need the image beside, or in place of, a feature map


@gin.register
class GlimpseDetector(keras.Model):
    """Detector over a shared feature map that classifies and places every proposal from T glimpses of it.

    Args:
        num_classes: K, background not counted.
        num_glimpses: T.
        backbone: model, images -> feature map.
        policy: one of `glimpse.network.policies`; not used at T = 1, where it may be None.
        pooled_size: grid of a pooled glimpse, a whole number or (height, width).
        stride: pixels of the image to a cell of the feature map.
        controller: class of the layers over the pooled glimpses, see `glimpse.network.controller`.
        units: widths of fc6 and fc7.
        recurrence, dropout: of the controller, see there.
        pooling: "max", RoI pooling (the paper); "align", RoI align, whose values are smooth in the box; "crop", R-CNN
            as a control (Girshick et al. 2014): each glimpse is cut from the image, warped to pooled_size * stride
            pixels, and goes through the backbone by itself, so that no feature map is shared; "zoom", a fovea [ours]:
            the first glimpse is RoI align from a shared map of the image at a lower resolution, the others are crops
            of the image as it is; "deformable", RoI align whose rows and columns are displaced by what it sees,
            another control (`glimpse.network.deformable`).
        zoom: pixels of the image to a pixel of the lower resolution, along each side.
        delta_input: fc6 also takes the delta of the glimpse that it looks at, 0 for the proposal [ours].
        fusion: how fc7 of all glimpses becomes one vector, a function of `glimpse.network.fusions`.
        policy_gradient: how far it reaches: "head", the policy's own weights, or "controller", what fed it too.
        box_reference: what the box head's deltas lead from: the "proposal" (the paper), or the last "glimpse", as in
            Cascade R-CNN (Cai and Vasconcelos 2018).
        own_layers: which layers each glimpse has of its own: "none"; "heads"; "all", fc6 and fc7 too (Cascade R-CNN).
        score: probabilities of the classes are those after the "last" glimpse, or the "mean" over all (Cascade R-CNN).
        box_scale: the box head predicts deltas divided by this (Fast R-CNN normalises its targets so).

    Raises:
        GlimpseError: names the parameter and its value.
    """

    def __init__(self, num_classes, num_glimpses=gin.REQUIRED, backbone=gin.REQUIRED, policy=None,
                 pooled_size=gin.REQUIRED, stride=gin.REQUIRED, controller=Controller, units=(256, 256),
                 recurrence=ReluRecurrence, dropout=0.0, pooling="max", zoom=2, delta_input=False, fusion=max_fusion,
                 policy_gradient="head", box_reference="proposal", own_layers="none", score="last",
                 box_scale=(0.1, 0.1, 0.2, 0.2)):
        super().__init__(name="detector", dtype="float32")  # boxes, and what the heads answer, in any precision
        self.num_classes = whole_number("num_classes", num_classes)
        self.num_glimpses = whole_number("num_glimpses", num_glimpses)
        self.pooled_size = pair("pooled_size", pooled_size)
        self.stride = whole_number("stride", stride)
        self.pooling = one_of("pooling", pooling, POOLINGS)
        self.zoom = whole_number("zoom", zoom)
        self.delta_input = one_of("delta_input", delta_input, (False, True)) and self.num_glimpses > 1
        self.policy_gradient = one_of("policy_gradient", policy_gradient, ("head", "controller"))
        self.box_reference = one_of("box_reference", box_reference, ("proposal", "glimpse"))
        self.own_layers = one_of("own_layers", own_layers, ("none", "heads", "all"))
        self.score = one_of("score", score, ("last", "mean"))
        self.box_scale = [real_number("box_scale", scale, minimum=1e-6) for scale in box_scale]
        if not callable(fusion):
            raise GlimpseError(f"fusion must be a reference such as @max, @mean or @last, got {fusion!r}")
        if not callable(controller):
            raise GlimpseError(f"controller must be a reference such as @stacked or @multi_region, got {controller!r}")
        if self.num_glimpses > 1 and policy is None:
            raise GlimpseError(f"policy must be given where num_glimpses is above 1, got None at {num_glimpses}")
        if policy is not None and not callable(policy):
            raise GlimpseError(f"policy must be a reference such as @learned(), got {policy!r}")

        self.backbone = backbone
        self.fusion = fusion
        self.controller = controller(self.num_glimpses, units, recurrence, dropout, of_its_own=own_layers == "all")
        self.policy = policy if self.num_glimpses > 1 else None
        self.deformable = DeformablePooling(self.pooled_size, self.stride) if pooling == "deformable" else None
        # Initial weights of the heads: Fast R-CNN (2015), section 2.3.
        own = [f"_{t}" for t in range(1, self.num_glimpses + 1)] if own_layers != "none" else [""]
        self.class_heads = [keras.layers.Dense(
            self.num_classes + 1, name=f"class_head{stage}", dtype="float32", kernel_initializer=(
            keras.initializers.RandomNormal(0.0, 0.01))) for stage in own]
        self.box_heads = [keras.layers.Dense(
            4 * self.num_classes, name=f"box_head{stage}", dtype="float32", kernel_initializer=(
            keras.initializers.RandomNormal(0.0, 0.001))) for stage in own]

    def build(self, images_shape: tuple) -> None:
        if not self.backbone.built:
            self.backbone.build((None, None, None, images_shape[-1]))
        size = 4 * self.stride
        cells = self.backbone.compute_output_shape((1, size, size, images_shape[-1]))[1]
        if cells != 4:
            raise GlimpseError(f"stride={self.stride}, but the backbone makes {cells} cells of {size} pixels")
        for head in (*self.class_heads, *self.box_heads):
            if not head.built:
                head.build((None, self.controller.units))

    def call(self, images: tf.Tensor | None, proposals: tf.Tensor, seed: tf.Tensor, explore: bool = False,
             dropout: bool = False, proposal_of: tf.Tensor | None = None, forced: tf.Tensor | None = None,
             pathwise: bool = False, sizes: tf.Tensor | None = None, feature_map: tf.Tensor | None = None,
             objects: tf.Tensor | None = None, may_stop: tuple[int, int, int] | None = None) -> Rollout:
        """Looks T times at each proposal.

        Args:
            images: uint8 or float [B, H, W, channels], 0..255; None where their sizes and feature map are given.
            proposals: float32 [B, N, 4], xyxy in pixels of `images`.
            seed: int32 [2]; every draw of this call follows from it.
            explore: draw glimpses from the learned policy instead of taking its mean.
            dropout: apply it.
            proposal_of: int32 [M], which proposal (0..N-1) each episode looks at; None for one episode a proposal. The
                first glimpse is the proposal for every episode, so it is pooled and encoded once a proposal.
            forced: float32 [T-1, M, 4], deltas to look at whatever the policy says; NaN where it decides.
            pathwise: let gradients reach the policy through the glimpses' boxes; not with the pooling "max".
            sizes: int32 [B, 2], height and width of each image where it is padded to those of `images`.
            feature_map: what `shared_map` gives of `images`, where it is known already.
            objects: float32 [B, G, 4], the true boxes, filled up with empty ones; the policy `oracle` alone sees them.
            may_stop: (first, end, most), for `going_on`: which episodes may stop after the first glimpse; what is known
                then counts for the rest of their glimpses, and their deltas are 0. None: all go on.

        Returns:
            a Rollout.
        """
        feature_map = self.shared_map(images) if feature_map is None else feature_map
        limits = image_limits(images, sizes)
        drop_seed = tf.random.fold_in(seed, 0) if dropout else None
        known = self.first_look(self.pooled_vectors(feature_map, proposals, tf.zeros_like(proposals)), proposals,
                                drop_seed)
        truth = None if objects is None else tf.reshape(boxes.nearest_objects(proposals, objects), [-1, 4])
        if proposal_of is not None:
            width = tf.shape(proposals)[1]
            rows = tf.reshape(tf.range(tf.shape(proposals)[0])[:, None] * width + proposal_of[None, :], [-1])
            known = tf.nest.map_structure(lambda part: tf.gather(part, rows), known)
            truth = None if truth is None else tf.gather(truth, rows)
            proposals = tf.gather(proposals, proposal_of, axis=1)
        first, outer, rows = known, tf.shape(proposals)[:2], None
        if may_stop is not None:
            chosen = going_on(tf.reshape(known.probabilities[:, 0], outer), *may_stop)
            rows = tf.reshape(tf.range(outer[0])[:, None] * outer[1] + chosen, [-1, 1])
            known = tf.nest.map_structure(lambda part: tf.gather(part, rows[:, 0]), known)
            truth = None if truth is None else tf.gather(truth, rows[:, 0])
            proposals = tf.gather(proposals, chosen, batch_dims=1)
            forced = None if forced is None else tf.gather(forced, chosen, axis=1)

        history, deltas, policy_inputs = [first], [], []
        for step in range(self.num_glimpses - 1):
            situation = self.situation(known, step, seed, truth)
            policy_inputs.append(getattr(self.policy, "inputs", lambda situation: situation.hidden)(situation))
            delta = self.policy(situation=situation, explore=explore)
            delta = tf.reshape(delta if pathwise else tf.stop_gradient(delta), tf.shape(proposals))
            if forced is not None:
                delta = tf.where(tf.math.is_nan(forced[step]), delta, forced[step])
            deltas.append(tf.reshape(delta, [-1, 4]))
            glimpses = boxes.clip(boxes.decode(delta, proposals), *limits)
            drop_seed = tf.random.fold_in(seed, 2 * step + 2) if dropout else None
            vectors = self.pooled_vectors(feature_map, glimpses, delta, step + 1)
            known = self.next_look(vectors, glimpses, known, step + 1, drop_seed)
            history.append(known)

        looks = [(each.glimpses[:, -1], *each[3:]) for each in history]
        if rows is not None:
            looks[1:] = [tuple(tf.tensor_scatter_nd_update(first_part, rows, part)
                               for first_part, part in zip(looks[0], look)) for look in looks[1:]]
            deltas, policy_inputs = ([tf.scatter_nd(rows, part, [outer[0] * outer[1], part.shape[-1]])
                                      for part in parts] for parts in (deltas, policy_inputs))

        def by_image(steps, *shape):  # list of [B * M, ...] -> [B, M, len, ...]
            if not steps:
                return tf.zeros([outer[0], outer[1], 0, *shape])
            steps = tf.stack([tf.reshape(each, [-1, *shape]) for each in steps], axis=1)
            return tf.reshape(steps, [outer[0], outer[1], *steps.shape[1:]])

        glimpses, fused, logits, box_deltas, references, probabilities = zip(*looks)
        classes, inputs_width = self.num_classes, policy_inputs[0].shape[-1] if policy_inputs else self.controller.units
        return Rollout(by_image(glimpses, 4), by_image(deltas, 4), by_image(policy_inputs, inputs_width),
                       by_image(fused, self.controller.units), by_image(logits, classes + 1),
                       by_image(box_deltas, classes, 4), by_image(references, 4), by_image(probabilities, classes + 1))

    def shared_map(self, images: tf.Tensor) -> tf.Tensor | Zoomed:
        """What all glimpses are taken from: a feature map [B, h, w, C], the images with "crop", both with "zoom"."""
        if self.pooling not in FROM_PIXELS:
            return self.backbone(images)
        images = tf.cast(images, tf.float32)
        if self.pooling == "crop":
            return images
        return Zoomed(self.backbone(tf.nn.avg_pool2d(images, self.zoom, self.zoom, "SAME")), images)

    def map_at(self, feature_map: tf.Tensor | Zoomed, step: int) -> tf.Tensor:
        """Of what `shared_map` gives, what the glimpse after `step` further ones is taken from."""
        return (feature_map.image if step else feature_map.coarse) if isinstance(feature_map, Zoomed) else feature_map

    def pool(self, feature_map: tf.Tensor | Zoomed, glimpses: tf.Tensor, step: int = 0) -> tf.Tensor:
        """Glimpses [B, M, 4], xyxy in pixels of the image, pooled: [B, M, pooled_height, pooled_width, C].

        `feature_map` is that of `shared_map`, or of `map_at` for the same step.
        """
        feature_map = self.map_at(feature_map, step)
        if self.pooling == "zoom" and step == 0:
            return roi_align(feature_map, glimpses, self.pooled_size, spatial_scale=1 / (self.stride * self.zoom))
        if self.pooling == "max":
            return roi_pool(feature_map, glimpses, self.pooled_size, spatial_scale=1 / self.stride)
        if self.pooling == "align":
            return roi_align(feature_map, glimpses, self.pooled_size, spatial_scale=1 / self.stride, box_gradient=True)
        if self.pooling == "deformable":
            return self.deformable(feature_map, glimpses)
        height, width = (cells * self.stride for cells in self.pooled_size)
        crops = roi_align(feature_map, glimpses, (height, width), box_gradient=True)
        maps = self.backbone(tf.reshape(crops, [-1, height, width, feature_map.shape[-1]]))
        return tf.reshape(maps, tf.concat([tf.shape(glimpses)[:2], maps.shape[1:]], axis=0))

    def pool_sequence(self, feature_map: tf.Tensor | Zoomed, glimpses: tf.Tensor) -> tf.Tensor:
        """All glimpses of one sequence [T, 4] on the map of one image, pooled: [T, pooled_height, pooled_width, C]."""
        if self.pooling != "zoom" or self.num_glimpses == 1:
            return self.pool(feature_map, glimpses[None])[0]
        steps = self.pool(feature_map, glimpses[None, :1]), self.pool(feature_map, glimpses[None, 1:], 1)
        return tf.concat(steps, axis=1)[0]

    def pooled_vectors(self, feature_map: tf.Tensor | Zoomed, glimpses: tf.Tensor, deltas: tf.Tensor,
                       step: int = 0) -> tf.Tensor:
        """What the controller takes of glimpses and their deltas, both [B, M, 4]: vectors [B * M, I]."""
        pooled = self.pool(feature_map, glimpses, step)
        pooled = tf.reshape(pooled, [-1, self.pooled_size[0] * self.pooled_size[1] * pooled.shape[-1]])
        if self.delta_input:
            pooled = tf.concat([pooled, tf.cast(tf.reshape(deltas, [-1, 4]), pooled.dtype)], axis=-1)
        return pooled

    def first_look(self, vectors: tf.Tensor, proposals: tf.Tensor, drop_seed: tf.Tensor | None = None) -> Known:
        """Known of M proposals, [..., 4], whose first glimpses are given as vectors [M, I]."""
        proposals = tf.reshape(proposals, [-1, 4])
        hidden, state = self.controller(vectors, step=0, seed=drop_seed)
        return self._answered(proposals[:, None], hidden, state, hidden, 0)

    def next_look(self, vectors: tf.Tensor, glimpses: tf.Tensor, known: Known, step: int,
                  drop_seed: tf.Tensor | None = None) -> Known:
        """Known after glimpse `step` (1 .. T-1) of the same proposals, its boxes [..., 4] and its vectors [M, I]."""
        glimpses = tf.concat([known.glimpses, tf.reshape(glimpses, [-1, 1, 4])], axis=1)
        hidden, state = self.controller(vectors, step=step, state=known.state, seed=drop_seed)
        fused = self.fusion(known.fused, hidden, step + 1)
        return self._answered(glimpses, hidden, state, fused, step, known.probabilities)

    def _answered(self, glimpses, hidden, state, fused, step, before=None):
        logits, box_deltas = self.heads(fused, step)
        reference = glimpses[:, 0] if self.box_reference == "proposal" else glimpses[:, -1]
        probabilities = tf.nn.softmax(logits)
        if self.score == "mean" and before is not None:
            probabilities = before + (probabilities - before) / (step + 1)
        return Known(glimpses, hidden, state, fused, logits, box_deltas,
                     boxes.at_least_a_pixel(tf.stop_gradient(reference)), probabilities)

    def heads(self, fused: tf.Tensor, step: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
        """fused [..., D] after glimpse `step` -> class logits float32 [..., K + 1], box deltas [..., K, 4]."""
        place = min(step, len(self.class_heads) - 1)
        logits = tf.cast(self.class_heads[place](fused), tf.float32)
        deltas = tf.cast(self.box_heads[place](fused), tf.float32)
        deltas = tf.reshape(deltas, tf.concat([tf.shape(deltas)[:-1], [self.num_classes, 4]], axis=0))
        return logits, deltas * self.box_scale

    def situation(self, known: Known, step: int, seed: tf.Tensor, objects: tf.Tensor | None = None) -> Situation:
        """The Situation in which the policy places the glimpse after `step` further ones; objects [M, 4] as there."""
        placed = boxes.decode(known.box_deltas, known.reference[:, None])
        learned_from = (known.hidden, known.fused, known.probabilities, placed)
        if self.policy_gradient == "head":
            learned_from = tf.nest.map_structure(tf.stop_gradient, learned_from)
        hidden, fused, probabilities, placed = learned_from
        hidden, fused = tf.cast(hidden, tf.float32), tf.cast(fused, tf.float32)
        return Situation(step, hidden, fused, known.glimpses[:, 0], known.glimpses, probabilities, placed, objects,
                         tf.random.fold_in(seed, 2 * step + 1))

    def predictions(self, rollout: Any, images: tf.Tensor, sizes: tf.Tensor | None = None,
                    glimpse: int = -1) -> tuple[tf.Tensor, tf.Tensor]:
        """What the heads say of every proposal: boxes [B, M, K, 4], cut to the image, and probabilities [B, M, K + 1].

        Args:
            rollout: of `call`, or anything with its fields references, box_deltas and probabilities.
            images: whose size counts.
            sizes: as in `call`.
            glimpse: after which glimpse, 0 .. T-1; the last unless given.
        """
        placed = boxes.decode(rollout.box_deltas[:, :, glimpse], rollout.references[:, :, glimpse, None])
        limits = (limit[..., None] for limit in image_limits(images, sizes))
        return boxes.clip(placed, *limits), rollout.probabilities[:, :, glimpse]

    def detect(self, images: tf.Tensor, proposals: tf.Tensor, seed: tf.Tensor, sizes: tf.Tensor | None = None,
               is_proposal: tf.Tensor | None = None, objects: tf.Tensor | None = None,
               **thresholds: Any) -> tuple[Detections, Rollout]:
        """Detections of a batch: the policy's mean, the heads at the last step, non-maximum suppression a class.

        Args:
            images, proposals, seed, sizes, objects: as in `call` (only the random policy draws here).
            is_proposal, thresholds: those of `suppress`.

        Returns:
            (Detections, Rollout).
        """
        rollout = self(images, proposals, seed, sizes=sizes, objects=objects)
        return suppress(*self.predictions(rollout, images, sizes), is_proposal, **thresholds), rollout


def going_on(background: tf.Tensor, first: int, end: int, most: int) -> tf.Tensor:
    """Which episodes get further glimpses: all but those that may stop, and of these the least likely background.

    So episodes of background that one glimpse settles cost no more, as at test time under early stopping. The choice is
    that of online hard example mining (Shrivastava et al. 2016), by probability in place of loss [ours].

    Args:
        background: [B, M], its probability after the first glimpse.
        first, end: the episodes first .. end - 1 may stop, within 0 .. M.
        most: how many of these go on, 0 .. end - first.

    Returns:
        int32 [B, M - (end - first) + most].
    """
    batch, episodes = tf.shape(background)[0], tf.shape(background)[1]
    before, after = (tf.tile(tf.range(*span)[None], [batch, 1]) for span in ((0, first), (end, episodes)))
    return tf.concat([before, first + tf.math.top_k(-background[:, first:end], most).indices, after], axis=1)


def image_limits(images: tf.Tensor | None, sizes: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width that boxes of images [B, H, W, C] are cut to, each [1] or [B, 1]; sizes as in `call`."""
    if sizes is None:
        return tf.shape(images)[1:2], tf.shape(images)[2:3]
    return sizes[:, :1], sizes[:, 1:]
