"""Feature maps of a frozen backbone, kept on disk: experiments on what comes after it then cost only that."""

import hashlib
import logging

import numpy as np
import tensorflow as tf

from glimpse.data.array_cache import ArrayCache
from glimpse.errors import GlimpseError, path_given

_LOG = logging.getLogger(__name__)


class FeatureCache:
    """Feature maps under the content of the image and of the backbone's weights; computed when first asked for.

    Args:
        directory: made where it is not there. A map takes 4 bytes a number: 700 kB of EfficientNet-Lite0 at stride 16
            from an image of 640 x 640, and as much again for its mirror image.
        backbone: model, images -> feature map, of which nothing is trained.

    Raises:
        GlimpseError: where something of it is.
    """

    def __init__(self, directory, backbone):
        if backbone.trainable_variables:
            raise GlimpseError(
                "Experiment.feature_cache keeps what a frozen backbone gives, but this one is trained, from "
                f"{backbone.trainable_variables[0].path!r} on: set its train_from = None, or feature_cache = None")
        weights = hashlib.blake2b(digest_size=8)
        if backbone.layers[-1].compute_dtype != "float32":
            weights.update(backbone.layers[-1].compute_dtype.encode())
        for values in backbone.get_weights():
            weights.update(np.ascontiguousarray(values))
        self.cache = ArrayCache(
            path_given("Experiment.feature_cache",
                       directory) / f"feature-maps-{backbone.layers[-1].name}-{weights.hexdigest()}",
            (None, None, backbone.output_shape[-1]))
        # Three times faster than layer by layer.
        self.backbone = tf.function(lambda images: tf.cast(backbone(images), tf.float32))
        self._warned = False

    def path(self, images):
        """The file of the map of the one image uint8 [1, H, W, C], padded as the network sees it; made if need be."""
        path = self.cache.path(images[0])
        if not path.exists():
            if not self._warned:
                _LOG.warning("feature maps that are not in %s yet are computed when first needed", self.cache.directory)
                self._warned = True
            self.cache.save(path, self.backbone(images)[0].numpy())
        return path

    def load(self, paths):
        """The maps in B such files, float32 [B, h, w, D]."""
        return np.stack([self.cache.load(path) for path in paths])
