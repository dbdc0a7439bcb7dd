"""A GlimpseDetector with RoI align, the policies `learned` and `refine`, and its training, written in PyTorch (eager).

It takes the weights of ours, so that both compute the same numbers. Feature maps are [B, C, H, W], as torch has them.
"""
import math

import numpy as np
import torch
import torchvision
from torch.nn import functional

SAMPLING_RATIO = 2  # the default of ours
LARGEST_LOG_RATIO = math.log(1000 / 16)


class Twin(torch.nn.Module):
    """The network of a built detector; a backbone of plain convolutions is a part of it, any other is not."""

    def __init__(self, detector):
        super().__init__()
        self.classes, self.glimpses, self.stride = detector.num_classes, detector.num_glimpses, detector.stride
        self.pooled_size, self.box_scale = detector.pooled_size, torch.tensor(detector.box_scale)
        self.backbone = torch.nn.ModuleList(
            _convolution(layer) for layer in detector.backbone.layers if layer.trainable_variables)
        self.fc6, self.fc7 = (_linear(layer.input_weights, layer.bias) for layer in detector.controller.stages[0])
        # Ours flattens a pooled glimpse as [height, width, C], torch as [C, height, width].
        weights = self.fc6.weight.detach().reshape(len(self.fc6.weight), *self.pooled_size, -1)
        self.fc6.weight = torch.nn.Parameter(weights.permute(0, 3, 1, 2).flatten(1).contiguous())
        self.class_head, self.box_head = (_linear(head.kernel, head.bias)
                                          for head in (detector.class_heads[0], detector.box_heads[0]))
        self.again6 = self.again7 = self.glimpse_head = None
        if self.glimpses > 1:
            self.again6, self.again7 = (_linear(layer.recurrent_weights) for layer in detector.controller.stages[0])
            if hasattr(detector.policy, "linear"):
                self.glimpse_head = _linear(detector.policy.linear.kernel, detector.policy.linear.bias)

    def shared_map(self, images):
        """Images float [B, C, H, W], 0..255 -> feature map."""
        features = images / 255
        for convolution in self.backbone:
            # Keras pads by one on both sides at stride 1; below and to the right alone at stride 2.
            before = int(convolution.stride[0] == 1)
            features = functional.relu(convolution(functional.pad(features, (before, 1, before, 1))))
        return features

    def forward(self, batch, proposals, size):
        """Logits [B * N, K + 1] and deltas [B * N, K, 4] after the last of T glimpses of proposals [B, N, 4]."""
        features = batch["feature_map"] if "feature_map" in batch else self.shared_map(batch["images"])
        count = proposals.shape[1]
        proposals = proposals.flatten(0, 1)
        hidden6 = functional.relu(self.fc6(self.pool(features, proposals, count)))
        fused = hidden7 = functional.relu(self.fc7(hidden6))
        for _ in range(self.glimpses - 1):
            # Ours: policy_gradient = "head".
            if self.glimpse_head is None:
                deltas = self.refined(fused.detach(), proposals)
            else:
                deltas = self.glimpse_head(hidden7.detach())
            glimpses = torch.clamp(decode(deltas, proposals), 0, size)
            pooled = self.pool(features, glimpses, count)
            hidden6 = functional.relu(self.fc6(pooled) + self.again6(hidden6))
            hidden7 = functional.relu(self.fc7(hidden6) + self.again7(hidden7))
            fused = torch.maximum(fused, hidden7)
        return self.heads(fused)

    def heads(self, fused):
        return self.class_head(fused), self.box_head(fused).unflatten(1, (self.classes, 4)) * self.box_scale

    @torch.no_grad()
    def refined(self, fused, proposals):
        """Deltas to the boxes that the heads answer now for their most probable object class."""
        logits, deltas = self.heads(fused)
        label = logits[:, 1:].argmax(dim=1)
        placed = decode(deltas[torch.arange(len(label)), label], at_least_a_pixel(proposals))
        return encode(at_least_a_pixel(placed), at_least_a_pixel(proposals))

    def pool(self, features, boxes, count):
        """Boxes [B * N, 4], N an image -> vectors [B * N, I].

        torchvision's operator has no gradient into the boxes; where one is asked for, the same samples are taken by
        `grid_sample`, which has it.
        """
        if not boxes.requires_grad:
            image = torch.arange(len(features), dtype=boxes.dtype).repeat_interleave(count)[:, None]
            return torchvision.ops.roi_align(features, torch.cat([image, boxes], dim=1), self.pooled_size,
                                             1 / self.stride, SAMPLING_RATIO, aligned=True).flatten(1)
        down, across = (self.places(boxes, axis, features.shape[2:]) for axis in (1, 0))
        grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), dim=-1)
        samples = functional.grid_sample(features, grid.unflatten(0, (len(features), count)).flatten(1, 2),
                                         padding_mode="border", align_corners=False)
        pooled = functional.avg_pool2d(samples, SAMPLING_RATIO)  # [B, C, N * pooled_height, pooled_width]
        return pooled.unflatten(2, (count, -1)).transpose(1, 2).flatten(2).flatten(0, 1)

    def places(self, boxes, axis, sides):
        """Where the bins of boxes [M, 4] are sampled along x (0) or y (1), from -1 to 1 over the map: [M, samples]."""
        samples = self.pooled_size[1 - axis] * SAMPLING_RATIO
        start, end = boxes[:, axis, None], boxes[:, axis + 2, None]
        places = start + (end - start) * (torch.arange(samples) + 0.5) / samples
        return places * (2 / (self.stride * sides[1 - axis])) - 1


def batch_of(batch):
    """A batch of ours, a dict of TensorFlow's tensors, as torch has it."""
    of_torch = {name: torch.tensor(part.numpy()) for name, part in batch.items()}
    for name in {"images", "feature_map"} & set(batch):
        of_torch[name] = of_torch[name].float().permute(0, 3, 1, 2).contiguous()
    return of_torch


def training_step(twin, batch, weight_decay, size):
    """A function that takes one step on a batch, at a learning rate of 0, and returns its loss.

    Args:
        twin: Twin.
        batch: of `batch_of`.
        weight_decay: as `Trainer` has it.
        size: side of the square images in pixels.
    """
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.0)
    classes, targets = batch["classes"].flatten().long(), batch["targets"].flatten(0, 1)
    rows, labels, foreground = torch.arange(len(classes)), (classes - 1).clamp(min=0), classes > 0
    references = at_least_a_pixel(batch["rois"].flatten(0, 1))

    def step():
        optimizer.zero_grad()
        logits, deltas = twin(batch, batch["rois"], size)
        difference = (deltas[rows, labels] - encode(targets, references)) / twin.box_scale
        box_loss = functional.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none").sum(dim=1)
        loss = functional.cross_entropy(logits, classes) + (foreground * box_loss).mean()
        if weight_decay:
            loss = loss + weight_decay / 2 * sum(p.square().sum() for p in twin.parameters() if p.ndim > 1)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


@torch.no_grad()
def first_look(twin, vectors):
    """fc7 of pooled glimpses [M, I]."""
    return functional.relu(twin.fc7(functional.relu(twin.fc6(vectors))))


@torch.no_grad()
def detect(twin, batch, proposals, size, least_score=0.01, nms_iou=0.3, most=100):
    """Detections of the one image of a batch: boxes [D, 4], scores [D], the most confident first; all logits."""
    logits, deltas = twin(batch, proposals, size)
    boxes = torch.clamp(decode(deltas, at_least_a_pixel(proposals[0])[:, None]), 0, size)
    scores = torch.softmax(logits, dim=1)[:, 1:]
    rows, labels = torch.nonzero(scores > least_score, as_tuple=True)
    boxes, scores = boxes[rows, labels], scores[rows, labels]
    kept = torchvision.ops.batched_nms(boxes, scores, labels, nms_iou)[:most]
    return boxes[kept], scores[kept], logits


def encode(boxes, proposals):
    """As `glimpse.geometry.boxes.encode`."""
    size, other = boxes[..., 2:] - boxes[..., :2], proposals[..., 2:] - proposals[..., :2]
    shift = (boxes[..., 2:] + boxes[..., :2] - proposals[..., 2:] - proposals[..., :2]) / 2
    return torch.cat([shift / other, torch.log(size / other)], dim=-1)


def decode(deltas, proposals):
    """As `glimpse.geometry.boxes.decode`."""
    size, centre = proposals[..., 2:] - proposals[..., :2], (proposals[..., 2:] + proposals[..., :2]) / 2
    centre = centre + deltas[..., :2] * size
    half = torch.exp(deltas[..., 2:].clamp(max=LARGEST_LOG_RATIO)) * size / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def at_least_a_pixel(boxes):
    return torch.cat([boxes[..., :2], torch.maximum(boxes[..., 2:], boxes[..., :2] + 1)], dim=-1)


def _convolution(layer):
    kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
    module = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2], layer.strides)
    return _with_weights(module, kernel, layer.bias)


def _linear(kernel, bias=None):
    kernel = np.asarray(kernel).T
    return _with_weights(torch.nn.Linear(kernel.shape[1], kernel.shape[0], bias=bias is not None), kernel, bias)


def _with_weights(module, weight, bias):
    module.weight = torch.nn.Parameter(torch.tensor(np.ascontiguousarray(weight)))
    if bias is not None:
        module.bias = torch.nn.Parameter(torch.tensor(np.asarray(bias)))
    return module
