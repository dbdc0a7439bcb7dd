"""RoI pooling and RoI align: pure functions of tensors."""
from glimpse.ops.roi_align import roi_align
from glimpse.ops.roi_pool import roi_pool

__all__ = ["roi_align", "roi_pool"]
