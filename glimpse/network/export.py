"""A trained detector as a TensorFlow SavedModel, which answers wherever TensorFlow runs, without this package."""

import numpy as np
import tensorflow as tf

from glimpse.data.framing import MULTIPLE, PADDING
from glimpse.randomness import stateless_seed


class ExportedDetector(tf.Module):
    """`GlimpseDetector.detect` as the one function of a tf.Module, saved as the signature "serving_default".

    Args:
        detector: a built GlimpseDetector.
        shape: (H, W, channels) of the images that it was trained on.
        framing: of the run; None where all its images are of one size.
        seed: of the run. The random policy always draws what it does in the first batch of an evaluation, from
            (seed, "evaluation", 0): the same images and proposals give the same answers.
    """

    def __init__(self, detector, shape, framing, seed):
        super().__init__()
        self.variables_of_detector = [variable.value for variable in detector.variables]
        height, width = shape[:2] if framing is None else (None, None)

        def detect(images, proposals):
            """Detections of a batch.

            Args:
                images: uint8 [B, H, W, channels], all of one size, scaled as the Framing scales, without padding.
                proposals: float32 [B, N, 4], xyxy in their pixels. An image with fewer than others may repeat one of
                    its own: of two that are alike, non-maximum suppression keeps one.

            Returns:
                dict of boxes [B, 100, 4], scores [B, 100], labels int32 [B, 100], counts int32 [B].
            """
            sizes = tf.tile(tf.shape(images)[None, 1:3], [tf.shape(images)[0], 1])
            images = images if framing is None else padded(images, framing.canvas, getattr(framing, "grows", False))
            found, _ = detector.detect(images, proposals, stateless_seed(seed, "evaluation", 0), sizes)
            return found._asdict()

        self.detect = tf.function(detect, input_signature=[
            tf.TensorSpec([None, height, width, shape[2]], tf.uint8, "images"),
            tf.TensorSpec([None, None, 4], tf.float32, "proposals")])


def padded(images: tf.Tensor, canvas: tuple[int, int] | None, grows: bool = False) -> tf.Tensor:
    """Images uint8 [B, H, W, C] at the top left of one canvas each, as `Framing.stack` has it.

    Args:
        images: uint8 [B, H, W, C].
        canvas: (height, width), or None for the next multiples of 32.
        grows: whether images that the canvas does not hold get the next multiples of 32.

    Raises:
        InvalidArgumentError: where the canvas is too small.
    """
    size = tf.shape(images)[1:3]
    multiples = -(-size // MULTIPLE) * MULTIPLE
    wanted = tf.maximum(canvas, multiples) if canvas and grows else tf.constant(canvas) if canvas else multiples
    fits = tf.debugging.assert_less_equal(size, wanted, "images must fit into the canvas of the run's Framing")
    with tf.control_dependencies([fits]):
        margins = [[0, 0], [0, wanted[0] - size[0]], [0, wanted[1] - size[1]], [0, 0]]
    colour = PADDING if images.shape[3] == 3 else round(np.mean(PADDING))
    inside = tf.pad(tf.ones_like(images, tf.bool), margins)
    images = tf.where(inside, tf.pad(images, margins), tf.constant(colour, tf.uint8))
    known = canvas if canvas and not grows else (None, None)
    return tf.ensure_shape(images, [None, *known, images.shape[3]])
