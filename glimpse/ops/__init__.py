"""RoI pooling and RoI align: pure functions of tensors."""
from glimpse.ops.roi_pool import roi_pool

__all__ = ["roi_pool"]
