"""Early stopping at test time: a proposal gets another glimpse only while it may show an object [ours].

Most proposals show background, and one glimpse says so. What is left of T glimpses then costs a small part of what T
glimpses of everything do. A proposal whose class is plain goes on: further glimpses are what places its box. The heads
are read after every glimpse, though they learn from the last alone unless `Trainer.supervision` says "every".
"""

from typing import NamedTuple

import tensorflow as tf

from glimpse.geometry import boxes
from glimpse.network.detector import GlimpseDetector, image_limits
from glimpse.network.suppression import Detections, suppress

CHUNK = 16  # glimpses of one image that are pooled together
NUMBERS_OF_CHUNKS = tuple(number << power for power in range(24) for number in (2, 3))


class Answers(NamedTuple):
    """What the heads said of each proposal where looking stopped: a Rollout of one glimpse, for `predictions`."""

    box_deltas: tf.Tensor  # [B, N, 1, K, 4]
    references: tf.Tensor  # [B, N, 1, 4]
    probabilities: tf.Tensor  # [B, N, 1, K + 1]


def detect_unless_background(detector: GlimpseDetector, images: tf.Tensor, proposals: tf.Tensor, seed: tf.Tensor,
                             confidence: float, sizes: tf.Tensor | None = None, is_proposal: tf.Tensor | None = None,
                             objects: tf.Tensor | None = None) -> tuple[Detections, tf.Tensor]:
    """GlimpseDetector.detect with early stopping: Detections, and counts as `look_unless_background` has them."""
    answers, counts = look_unless_background(
        detector, images, proposals, seed, confidence, sizes, objects, is_proposal)
    return suppress(*detector.predictions(answers, images, sizes), is_proposal), counts


def look_unless_background(detector: GlimpseDetector, images: tf.Tensor, proposals: tf.Tensor, seed: tf.Tensor,
                           confidence: float, sizes: tf.Tensor | None = None,
                           objects: tf.Tensor | None = None,
                           is_proposal: tf.Tensor | None = None) -> tuple[Answers, tf.Tensor]:
    """Looks at each proposal T times, or until background has the probability `confidence`.

    Args:
        detector: a GlimpseDetector.
        images, proposals, seed, sizes, objects: as in its `call`.
        confidence: above 1, every proposal gets all T glimpses, at 0 one.
        is_proposal: bool [B, N], False for boxes that only fill up a list, which get one glimpse.

    Returns:
        Answers; the number of glimpses of each proposal, int32 [B, N], 1 .. T.
    """
    batch, width = tf.shape(proposals)[0], tf.shape(proposals)[1]
    limits = [tf.broadcast_to(tf.reshape(limit, [-1]), [batch]) for limit in image_limits(images, sizes)]
    feature_map = detector.shared_map(images)
    truth = None if objects is None else tf.reshape(boxes.nearest_objects(proposals, objects), [-1, 4])
    counted = None if is_proposal is None else tf.reshape(is_proposal, [-1])

    def answered(known):
        return known.box_deltas, known.reference, known.probabilities

    def look_on(step, rows, known):
        """The answers to some proposals, `rows` of all; those that may show an object were looked at further."""
        answers, counts = answered(known), tf.ones_like(rows)
        if step == detector.num_glimpses - 1:
            return answers, counts
        going_on = known.probabilities[:, 0] < confidence
        promising = tf.where(going_on if counted is None else going_on & tf.gather(counted, rows))
        rows, known = tf.nest.map_structure(lambda part: tf.gather(part, promising[:, 0]), (rows, known))
        image = rows // width
        situation = detector.situation(known, step, seed, None if truth is None else tf.gather(truth, rows))
        deltas = detector.policy(situation=situation, explore=False)
        glimpses = boxes.decode(deltas, known.glimpses[:, 0])
        glimpses = boxes.clip(glimpses, *(tf.gather(limit, image) for limit in limits))
        vectors = _pooled_list(detector, feature_map, glimpses, deltas, image, step + 1)
        known = detector.next_look(vectors, glimpses, known, step + 1)
        further_answers, further_counts = look_on(step + 1, rows, known)
        answers = [tf.tensor_scatter_nd_update(part, promising, further)
                   for part, further in zip(answers, further_answers)]
        return answers, tf.tensor_scatter_nd_add(counts, promising, further_counts)

    known = detector.first_look(detector.pooled_vectors(feature_map, proposals, tf.zeros_like(proposals)), proposals)
    answers, counts = look_on(0, tf.range(batch * width), known)
    by_image = (tf.reshape(part, [batch, width, 1, *part.shape[1:]]) for part in answers)
    return Answers(*by_image), tf.reshape(counts, [batch, width])


def _pooled_list(detector, feature_map, glimpses, deltas, image, step):
    """detector.pooled_vectors of glimpses and deltas [M, 4] in a list, taken at `step`: [M, I].

    `image`, int32 [M] in order, says whose each glimpse is.
    Pooling takes equally many glimpses of each map. Lists filled up to the longest would be half filling, since scenes
    differ; so each is cut into chunks, the last partly filling, and every chunk takes a copy of its map. Pooling is
    compiled for a number of chunks, so there are some to spare, of the last map, up to one of few numbers.
    """
    feature_map = detector.map_at(feature_map, step)
    batch = tf.shape(feature_map)[0]
    counts = tf.math.bincount(image, minlength=batch, maxlength=batch)
    # One chunk at least, of the first map: not every operation takes none.
    chunks = tf.maximum(-(-counts // CHUNK), tf.one_hot(0, batch, dtype=tf.int32))
    total = tf.reduce_sum(chunks)
    room = tf.reduce_min(tf.boolean_mask(NUMBERS_OF_CHUNKS, total <= NUMBERS_OF_CHUNKS))
    chunks += tf.one_hot(batch - 1, batch, dtype=tf.int32) * (room - total)
    position = tf.range(tf.size(image)) - tf.gather(tf.cumsum(counts, exclusive=True), image)
    chunk = tf.gather(tf.cumsum(chunks, exclusive=True), image) + position // CHUNK
    place = tf.stack([chunk, position % CHUNK], axis=-1)
    maps = tf.gather(feature_map, tf.repeat(tf.range(batch), chunks))
    listed = (tf.scatter_nd(place, part, [tf.shape(maps)[0], CHUNK, 4]) for part in (glimpses, deltas))
    vectors = detector.pooled_vectors(maps, *listed, step)
    return tf.gather_nd(tf.reshape(vectors, [-1, CHUNK, vectors.shape[-1]]), place)
