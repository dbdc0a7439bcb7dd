"""Early stopping at test time: a proposal gets another glimpse only while the network is not sure of it [ours].

Most proposals show background, and one glimpse says so. What is left of T glimpses then costs a small part of what T
glimpses of everything do. The heads are read after every glimpse; train them so (`Trainer.supervision = "every"`).
"""

import tensorflow as tf

from glimpse import boxes
from glimpse.detector import FUSIONS, limits_of, suppress


def detect_until_sure(detector, images, proposals, seed, confidence, sizes=None, valid=None):
    """GlimpseDetector.detect with early stopping: Detections, and looks as `look_until_sure` has them."""
    fused, looks = look_until_sure(detector, images, proposals, seed, confidence, sizes)
    return suppress(*detector.answers(fused, proposals, images, sizes), valid), looks


def look_until_sure(detector, images, proposals, seed, confidence, sizes=None):
    """Looks at each proposal until the most probable class, background included, has `confidence`, at most T times.

    Args: a GlimpseDetector; images, proposals, seed and sizes as in its `call`; confidence: above 1, every proposal gets all T
      glimpses, at 0 one.
    Returns: fused float32 [B, N, D], what `detector.answers` takes; looks int32 [B, N], 1 .. T.
    """
    batch, width = tf.shape(proposals)[0], tf.shape(proposals)[1]
    feature_map = detector.shared_map(images)
    output, state = detector.controller(detector.read(feature_map, proposals, tf.zeros_like(proposals)))
    fused, looks, rows = output, tf.ones([batch * width], tf.int32), tf.range(batch * width)
    flat_proposals = tf.reshape(proposals, [-1, 4])
    for step in range(detector.num_glimpses - 1):
        logits, _ = detector.heads(tf.gather(fused, rows))
        unsure = tf.reduce_max(tf.nn.softmax(logits), axis=-1) < confidence
        rows, output, *state = (tf.boolean_mask(part, unsure) for part in (rows, output, *state))
        deltas = detector.policy(output, step=step, seed=tf.random.fold_in(seed, 2 * step + 1), explore=False)
        glimpses = boxes.decode(deltas, tf.gather(flat_proposals, rows))
        limits = (tf.broadcast_to(tf.reshape(limit, [-1]), [batch]) for limit in limits_of(images, sizes))
        glimpses = boxes.clip(glimpses, *(tf.gather(limit, rows // width) for limit in limits))
        # The pooling takes as many glimpses of each image: the lists are filled up, to one at least since not every
        # operation takes none, and cut again.
        counts = tf.math.bincount(rows // width, minlength=batch, maxlength=batch)
        longest = tf.maximum(tf.reduce_max(counts), 1)
        padded = (tf.RaggedTensor.from_row_lengths(part, counts).to_tensor(shape=[batch, longest, 4])
                  for part in (glimpses, deltas))
        pooled = detector.read(feature_map, *padded)
        pooled = tf.boolean_mask(pooled, tf.reshape(tf.sequence_mask(counts, longest), [-1]))
        output, state = detector.controller(pooled, state)
        place = rows[:, None]
        fused = tf.tensor_scatter_nd_update(
            fused, place, FUSIONS[detector.fusion](tf.gather(fused, rows), output, step + 2))
        looks = tf.tensor_scatter_nd_add(looks, place, tf.ones_like(rows))
    return tf.reshape(fused, [batch, width, fused.shape[-1]]), tf.reshape(looks, [batch, width])
