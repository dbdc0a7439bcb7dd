"""Keras layers over `glimpse.ops`."""
from glimpse.layers.roi_align import RoIAlign
from glimpse.layers.roi_pooling import RoIPooling

__all__ = ["RoIAlign", "RoIPooling"]
