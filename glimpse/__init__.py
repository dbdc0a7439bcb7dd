"""Attentional glimpse networks for object detection, after Hara et al. (2017)."""
