"""What the detector knows as it looks: what glimpses are taken from, what is known after each, and all of them."""

from typing import NamedTuple

import tensorflow as tf


class Zoomed(NamedTuple):
    """What glimpses are taken from with the pooling "zoom"."""

    coarse: tf.Tensor  # [B, h, w, C], the feature map of the image at a lower resolution; the first glimpse
    image: tf.Tensor  # [B, H, W, channels], for all others


class Known(NamedTuple):
    """What is known of M proposals after a glimpse of them: the state that goes from one glimpse to the next."""

    glimpses: tf.Tensor  # [M, t, 4], so far, xyxy pixels; the first is the proposal
    hidden: tf.Tensor  # [M, D], fc7 of the last glimpse
    state: tuple  # of the controller
    fused: tf.Tensor  # [M, D], the fused vector; the heads read it
    logits: tf.Tensor  # [M, K + 1], 0 is background
    box_deltas: tf.Tensor  # [M, K, 4], from the reference to the box of each class
    reference: tf.Tensor  # [M, 4], the proposal or the last glimpse, at least a pixel wide and high; a constant
    probabilities: tf.Tensor  # [M, K + 1], of the classes, as they count


class Rollout(NamedTuple):
    """What T glimpses of M episodes an image were and gave. An episode is one sequence of glimpses of one proposal."""

    glimpses: tf.Tensor  # [B, M, T, 4], xyxy pixels; the first is the proposal
    deltas: tf.Tensor  # [B, M, T-1, 4], as drawn, before the glimpse was cut to the image
    policy_inputs: tf.Tensor  # [B, M, T-1, I], what the policy decided on before each of these deltas
    fused: tf.Tensor  # [B, M, T, D], and so on as in Known, after each glimpse
    logits: tf.Tensor  # [B, M, T, K + 1]
    box_deltas: tf.Tensor  # [B, M, T, K, 4]
    references: tf.Tensor  # [B, M, T, 4]
    probabilities: tf.Tensor  # [B, M, T, K + 1]
