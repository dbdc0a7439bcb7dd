"""The matches of a data set: every detection with the object that it overlaps most, and the file that keeps them.

All that average precision asks for is in them, at any threshold and for any choice of the images. A run keeps them
beside its `results.json`, so that a study can resample the test images long after the detections are gone.
"""

import io
from typing import NamedTuple

import numpy as np

from glimpse.data.array_files import read_arrays
from glimpse.data.fields import one_line
from glimpse.data.text_files import require_regular
from glimpse.errors import GlimpseError
from glimpse.files import file_name_of, write_whole
from glimpse.geometry.overlaps import pairwise_iou

# Overlaps are kept in steps of 1/10000, rounded down: every threshold of two decimals decides as it did before.
OVERLAP_STEPS = 10_000


class Matches(NamedTuple):
    """D detections in descending score, ties in the order given, and G objects in the order of their images."""

    images: np.ndarray  # [D] int, the image of each detection
    scores: np.ndarray  # [D] float
    labels: np.ndarray  # [D] int, 0..K-1
    overlaps: np.ndarray  # [D] float, IoU with the object, 0 where there is none
    objects: np.ndarray  # [D] int, index of the object among all G, of no meaning where the overlap is 0
    object_images: np.ndarray  # [G] int
    object_labels: np.ndarray  # [G] int, 0..K-1
    difficult: np.ndarray  # [G] bool
    num_images: int
    num_classes: int

    @property
    def positives(self):
        """[K] int, how many objects of each class count."""
        return np.bincount(self.object_labels[~self.difficult], minlength=self.num_classes)


def match(detections, ground_truth, num_classes):
    """Holds every detection against the object of its own class that it overlaps most.

    Args:
        detections, ground_truth: lists of dicts, one an image, as `glimpse.evaluation.average_precision.evaluate`
            takes them.
        num_classes: K.

    Returns:
        Matches.
    """
    columns = [(np.zeros(0, int), np.zeros(0), np.zeros(0, int), np.zeros(0), np.zeros(0, int))]
    objects = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool))]
    objects_before = 0
    for image, (found, true) in enumerate(zip(detections, ground_truth)):
        overlaps, nearest = best_matches(found["boxes"], found["labels"], true["boxes"], true["labels"])
        columns.append((np.full(len(overlaps), image), found["scores"], found["labels"], overlaps,
                        nearest + objects_before))
        objects.append((np.full(len(true["boxes"]), image), true["labels"], true["difficult"]))
        objects_before += len(true["boxes"])
    images, scores, labels, overlaps, nearest = (np.concatenate(column) for column in zip(*columns))
    order = np.argsort(-scores, kind="stable")
    return Matches(images[order], scores[order], labels[order], overlaps[order], nearest[order],
                   *(np.concatenate(column) for column in zip(*objects)), len(ground_truth), num_classes)


def best_matches(boxes, labels, true_boxes, true_labels):
    """The object of its own class that each detection of one image overlaps most, difficult ones included.

    The choice does not depend on the threshold. Among equal overlaps the first object is chosen, as in
    the development kit.

    Args:
        boxes: [D, 4] float, xyxy in continuous pixels; `labels`: [D] int.
        true_boxes: [G, 4] float, likewise; `true_labels`: [G] int.

    Returns:
        overlaps [D] float64, 0 where there is no object of that class, and objects [D] int, the indices
        into `true_boxes`, of no meaning where the overlap is 0.
    """
    if len(true_boxes) == 0:
        return np.zeros(len(boxes)), np.zeros(len(boxes), int)
    overlaps = pairwise_iou(boxes, true_boxes) * (labels[:, None] == true_labels)
    return overlaps.max(axis=1), overlaps.argmax(axis=1)


def matches_file(split):
    """The name of the file of a split, in the directory of a run."""
    return f"matches_{file_name_of(split)}.npz"


def write_matches(path, matches):
    """Writes Matches as a compressed NumPy file, whole.

    Rows stay in the order of the scores, so that these are only to be shown and need few digits. An object is named by
    its place in its image, a small number, which compresses better than its place in the data set.
    """
    first = np.searchsorted(matches.object_images, np.arange(matches.num_images))
    levels = np.arange(OVERLAP_STEPS + 1) / OVERLAP_STEPS
    if len(matches.images):
        of_object = np.where(matches.overlaps > 0, matches.objects - first[matches.images], 0)
    else:
        of_object = matches.objects
    content = io.BytesIO()
    np.savez_compressed(
        content, images=_smallest(matches.images), scores=matches.scores.astype(np.float16),
        labels=_smallest(matches.labels),
        overlaps=_smallest(np.searchsorted(levels, matches.overlaps, side="right") - 1),
        objects=_smallest(of_object), object_images=_smallest(matches.object_images),
        object_labels=_smallest(matches.object_labels), difficult=matches.difficult.astype(bool),
        num_images=matches.num_images, num_classes=matches.num_classes)
    write_whole(path, content.getvalue())


def read_matches(path):
    """Reads what `write_matches` has written.

    Raises:
        GlimpseError: the file cannot be read or is none of these.
    """
    try:
        require_regular(path)
        part = read_arrays(path)
        matches = _of_file(**{name: part[name] for name in Matches._fields})
    except Exception as error:  # of many kinds, as the damage; the file is what they have in common
        raise GlimpseError(f"{path} cannot be read ({type(error).__name__}: {one_line(error)}); remove the run and run "
                           "it again, or remove the file to do without intervals over images") from error
    return matches


def _of_file(images, scores, labels, overlaps, objects, object_images, object_labels, difficult, num_images,
             num_classes):
    """Matches of the arrays of a file. Raises: ValueError where they are none."""
    num_images, num_classes = (_numbers(name, value, 2**21).item() for name, value in
                               (("num_images", num_images), ("num_classes", num_classes)))
    images, labels, overlaps, objects, object_images, object_labels, difficult = (
        _numbers(name, value, below) for name, value, below in (
            ("images", images, num_images), ("labels", labels, num_classes), ("overlaps", overlaps, OVERLAP_STEPS + 1),
            ("objects", objects, len(object_images) + 1), ("object_images", object_images, num_images),
            ("object_labels", object_labels, num_classes), ("difficult", difficult, 2)))
    if scores.dtype.kind != "f" or not np.isfinite(scores).all() or (np.diff(scores) > 0).any():
        raise ValueError("scores are no falling numbers")
    if not len(images) == len(scores) == len(labels) == len(overlaps) == len(objects):
        raise ValueError("detections are not of one length")
    if not len(object_images) == len(object_labels) == len(difficult) or (np.diff(object_images) < 0).any():
        raise ValueError("objects are not of one length, or not in the order of their images")
    counts = np.bincount(object_images, minlength=num_images)
    first = np.append(np.cumsum(counts) - counts, 0)
    if (objects[overlaps > 0] >= counts[images[overlaps > 0]]).any():
        raise ValueError("a detection overlaps an object that is not there")
    return Matches(images, scores.astype(float), labels, overlaps / OVERLAP_STEPS, objects + first[images],
                   object_images, object_labels, difficult.astype(bool), num_images, num_classes)


def _numbers(name, values, below):
    """Whole numbers in 0 .. below - 1, as int."""
    if values.dtype.kind not in "bui" or values.size and not 0 <= int(values.min()) <= int(values.max()) < below:
        raise ValueError(f"{name} are no whole numbers from 0 to {below - 1}")
    return values.astype(int)


def _smallest(values):
    """Whole numbers >= 0 in the smallest type that holds them."""
    values = np.asarray(values, int)
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
