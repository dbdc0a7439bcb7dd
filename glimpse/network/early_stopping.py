"""Early stopping at test time: a proposal gets another glimpse only while it may show an object [ours].

Most proposals show background, and one glimpse says so. What is left of T glimpses then costs a small part of what T
glimpses of everything do. A proposal whose class is plain goes on: further glimpses are what places its box. The heads are
read after every glimpse, though they learn from the last alone unless `Trainer.supervision` says "every".
"""

import tensorflow as tf

from glimpse.geometry import boxes
from glimpse.network.detector import FUSIONS, limits_of, suppress

CHUNK = 16  # glimpses of one image that are pooled together


def detect_unless_background(detector, images, proposals, seed, confidence, sizes=None, valid=None):
    """GlimpseDetector.detect with early stopping: Detections, and looks as `look_unless_background` has them."""
    fused, looks = look_unless_background(detector, images, proposals, seed, confidence, sizes)
    return suppress(*detector.answers(fused, proposals, images, sizes), valid), looks


def look_unless_background(detector, images, proposals, seed, confidence, sizes=None):
    """Looks at each proposal T times, or until background has the probability `confidence`.

    Args: a GlimpseDetector; images, proposals, seed and sizes as in its `call`; confidence: above 1, every proposal gets all T
      glimpses, at 0 one.
    Returns: fused float32 [B, N, D], what `detector.answers` takes; looks int32 [B, N], 1 .. T.
    """
    batch, width = tf.shape(proposals)[0], tf.shape(proposals)[1]
    limits = [tf.broadcast_to(tf.reshape(limit, [-1]), [batch]) for limit in limits_of(images, sizes)]
    feature_map, flat_proposals = detector.shared_map(images), tf.reshape(proposals, [-1, 4])

    def look_on(step, rows, fused, output, state):
        """What is known of some proposals, `rows` of all, once those of them that may show an object were looked at further."""
        looks = tf.ones_like(rows)
        if step == detector.num_glimpses - 1:
            return fused, looks
        logits, _ = detector.heads(fused)
        promising = tf.where(tf.nn.softmax(logits)[:, 0] < confidence)
        rows, known, output, *state = (tf.gather(part, promising[:, 0]) for part in (rows, fused, output, *state))
        image = rows // width
        deltas = detector.policy(output, step=step, seed=tf.random.fold_in(seed, 2 * step + 1), explore=False)
        glimpses = boxes.decode(deltas, tf.gather(flat_proposals, rows))
        glimpses = boxes.clip(glimpses, *(tf.gather(limit, image) for limit in limits))
        output, state = detector.controller(_read_listed(detector, feature_map, glimpses, deltas, image), state)
        known = FUSIONS[detector.fusion](known, output, step + 2)
        known, further = look_on(step + 1, rows, known, output, state)
        return tf.tensor_scatter_nd_update(fused, promising, known), tf.tensor_scatter_nd_add(looks, promising, further)

    output, state = detector.controller(detector.read(feature_map, proposals, tf.zeros_like(proposals)))
    fused, looks = look_on(0, tf.range(batch * width), output, output, state)
    return tf.reshape(fused, [batch, width, fused.shape[-1]]), tf.reshape(looks, [batch, width])


def _read_listed(detector, feature_map, glimpses, deltas, image):
    """detector.read of glimpses and deltas [M, 4] in a list; image int32 [M], in order, says whose each is: [M, I].

    Pooling takes equally many glimpses of each map. Lists filled up to the longest would be half filling, since scenes differ;
    so each is cut into chunks, the last partly filling, and every chunk takes a copy of its map.
    """
    batch = tf.shape(feature_map)[0]
    counts = tf.math.bincount(image, minlength=batch, maxlength=batch)
    # One chunk at least, of the first map: not every operation takes none.
    chunks = tf.maximum(-(-counts // CHUNK), tf.one_hot(0, batch, dtype=tf.int32))
    position = tf.range(tf.size(image)) - tf.gather(tf.cumsum(counts, exclusive=True), image)
    chunk = tf.gather(tf.cumsum(chunks, exclusive=True), image) + position // CHUNK
    place = tf.stack([chunk, position % CHUNK], axis=-1)
    maps = tf.gather(feature_map, tf.repeat(tf.range(batch), chunks))
    read = detector.read(maps, *(tf.scatter_nd(place, part, [tf.shape(maps)[0], CHUNK, 4]) for part in (glimpses, deltas)))
    return tf.gather_nd(tf.reshape(read, [-1, CHUNK, read.shape[-1]]), place)
