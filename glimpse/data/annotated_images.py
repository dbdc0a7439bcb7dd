"""What the readers of photographs share: files and boxes are checked at the start, pixels are read when asked for."""

import collections
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from glimpse.data.example import Example, Outline
from glimpse.data.fields import Fault, shown, text
from glimpse.data.image_files import FRAMES, LIMIT, MOST_PIXELS, probe_image, read_image
from glimpse.errors import GlimpseError, one_of, whole_number

ON_FAULT = ("raise", "skip")
SLACK = 1.0  # pixels that a box may lie outside its image; such a box, of a writer who counts otherwise, is cut to it
ROUNDING = 0.01  # pixels that a box may be cut by without a word in the log
_PLURALS = {"image": "images", "object": "objects", "class": "classes"}
_LOG = logging.getLogger(__name__)


class Annotation(NamedTuple):
    """One image as its data set describes it, unchecked but for its types.

    size: (width, height), or None where none is declared. objects: list of Object, or of Fault for what cannot be read.
    relative: whether their boxes are fractions of the image's width and height, as in YOLO.
    """

    id: str | int
    path: Path
    size: tuple | None
    objects: list
    relative: bool = False


class Object(NamedTuple):
    """One object, unchecked but for its types.

    where: file and object, for messages. label: None for an unknown class `name`. box: xyxy in continuous pixels, any
    floats.
    """

    where: str
    name: str
    label: int | None
    box: tuple
    difficult: bool


class AnnotatedImages:
    """A data set (see `glimpse.data.example`) of annotated image files; readers say where they lie.

    Args:
        source: what messages and the log call the data set.
        class_names: K names, distinct.
        annotations: iterable of Annotation, or of Fault where an annotation could not be read.
        on_fault: "raise" stops at the first defect; "skip" leaves out a defective object, or an image whose file or
            annotation is defective, and says in the log how many. An object that was left out is background from then
            on.
        frame: what the boxes refer to: the pixels as "stored" in the file, as VOC, COCO and their tools have it, or
            "upright", turned as EXIF says. A declared size that only fits the other frame is a defect; where sizes
            cannot tell the frames apart (square images, half turns), the log says how many files EXIF would turn.
        most_pixels: an image of more pixels than that is defective; it is not decoded.
        channels: 3 for RGB, 1 for grey.
        faults: Faults beside those of images and their objects, {"class": [...], "object": [...]}.

    Raises:
        GlimpseError (Fault): names file, object and reason.
    """

    def __init__(self, source, class_names, annotations, on_fault, frame, most_pixels=MOST_PIXELS, faults={},
                 channels=3):
        self.frame = one_of("frame", frame, FRAMES)
        self.skipped = {"image": [], "object": []}  # Faults; also of a "class", where there are any
        self._on_fault = one_of("on_fault", on_fault, ON_FAULT)
        self._channels = one_of("channels", channels, (1, 3))
        self._most_pixels = whole_number("most_pixels", most_pixels)
        if self._most_pixels > LIMIT:
            raise GlimpseError(f"most_pixels must be at most {LIMIT}, got {most_pixels}")
        for fault in faults.get("class", ()):
            self._leave_out("class", fault)
        self.class_names = _distinct(source, class_names)
        self._cut = self._turned = 0  # boxes cut to their images; images that EXIF would turn
        self._checked = []
        annotations = list(annotations)
        ids = collections.Counter(a.id for a in annotations if isinstance(a, Annotation))
        with ThreadPoolExecutor() as pool:  # waiting for a disk is most of it
            probes = pool.map(self._probe, annotations)
            for annotation, probe in tqdm(zip(annotations, probes), f"checking {source}", total=len(annotations),
                                          unit="image", disable=None, leave=False, delay=2):
                if not isinstance(probe, Fault) and ids[annotation.id] > 1:
                    probe = Fault("listed more than once", annotation.path)
                if isinstance(probe, Fault):
                    self._leave_out("image", probe)
                else:
                    (width, height), in_doubt = probe
                    self._turned += in_doubt
                    objects = self._objects(annotation, width, height)
                    self._checked.append((annotation.path, Outline(annotation.id, (height, width), *objects)))
        for fault in faults.get("object", ()):  # after the images: one that cannot be read loses its objects
            self._leave_out("object", fault)
        self._log(source)
        if not self._checked:
            raise GlimpseError(f"{source} has no image that can be used")

    def __len__(self):
        return len(self._checked)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        path, (id, _, *objects) = self._checked[index]
        return Example(id, read_image(path, self.frame, self._most_pixels, self._channels), *objects)

    def outline(self, index):
        """The Outline of an example; nothing is read."""
        return self._checked[index][1]

    def stamp(self, index):
        """Of the file of an image: what changes when it is written, (nanoseconds, bytes)."""
        path = self._checked[index][0]
        try:
            status = path.stat()
        except OSError as error:
            raise Fault("no such image file", path, error.strerror) from error
        return status.st_mtime_ns, status.st_size

    def _probe(self, annotation):
        """(width, height) of an annotation's image and whether its frame is in doubt, or the Fault that it has."""
        if isinstance(annotation, Fault):
            return annotation
        try:
            sizes, turned = probe_image(annotation.path, self._most_pixels)
        except Fault as fault:
            return fault
        size, declared = sizes[self.frame], annotation.size
        if declared not in (None, size):
            other, = set(FRAMES) - {self.frame}
            hint = f"; EXIF turns this image, and frame = {other!r} would fit" if declared == sizes[other] else ""
            return Fault("the annotation is of another size than the image", annotation.path,
                         "{}x{}, the image {}x{}{}".format(*declared, *size, hint))
        return size, turned and (declared is None or sizes["stored"] == sizes["upright"])

    def _objects(self, annotation, width, height):
        """The sound ones of an image's objects: boxes float32 [G, 4], labels int32 [G], difficult bool [G]."""
        kept = []
        for item in annotation.objects:
            try:
                if isinstance(item, Fault):
                    raise item
                if annotation.relative:
                    item = item._replace(box=tuple(value * side for value, side in zip(item.box, (width, height) * 2)))
                kept.append((self._box(item, width, height), item.label, item.difficult))
            except Fault as fault:
                self._leave_out("object", fault)
        boxes, labels, difficult = zip(*kept) if kept else ((), (), ())
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int32), np.array(difficult, bool)

    def _box(self, item, width, height):
        """The box of an Object, float32 [4], cut to its image; raises Fault."""
        if item.label is None:
            raise Fault(f"unknown class {shown(item.name)}", item.where, f"there are {', '.join(self.class_names)}")
        where, box = f"{item.where} ({shown(item.name)})", np.array(item.box, np.float64)
        x1, y1, x2, y2 = box
        if not np.isfinite(box).all():
            raise Fault("a coordinate is no number", where, f"x1, y1, x2, y2 = {item.box}")
        if not (x1 < x2 and y1 < y2):
            raise Fault("an empty or reversed box", where, f"x1, y1, x2, y2 = {item.box}")
        limits = np.array([width, height, width, height])
        cut = np.clip(box, 0, limits)
        moved, cut = np.abs(box - cut).max(), cut.astype(np.float32)
        if moved > SLACK or not (cut[0] < cut[2] and cut[1] < cut[3]):  # as float32, a box may have become empty
            raise Fault("a box outside the image" if moved else "an empty or reversed box", where,
                        f"x1, y1, x2, y2 = {item.box}, image {width}x{height}")
        self._cut += bool(moved > ROUNDING)
        return cut

    def _leave_out(self, what, fault):
        if self._on_fault == "raise":
            raise fault
        self.skipped.setdefault(what, []).append(fault)

    def _log(self, source):
        for what, faults in self.skipped.items():
            kinds = collections.Counter(fault.kind for fault in faults)
            for kind, count in kinds.items():
                first = next(fault for fault in faults if fault.kind == kind)
                _LOG.warning("%s: left out %d %s: %s; the first: %s", source, count,
                             what if count == 1 else _PLURALS[what], kind, first)
        if self._cut:
            _LOG.warning("%s: cut %d boxes to their images, which they left by at most %g pixel", source, self._cut,
                         SLACK)
        if self._turned:
            _LOG.warning("%s: EXIF would turn %d images whose annotations do not tell the frame of their boxes; "
                         "taken as %s", source, self._turned, self.frame)


def _distinct(source, class_names):
    if not isinstance(class_names, (tuple, list)) or not class_names:
        raise GlimpseError(f"{source}: classes must be a list of names, got {class_names!r}")
    for place, name in enumerate(class_names, start=1):
        text(name, f"class {place}", source)
    if len(set(class_names)) < len(class_names):
        twice = next(name for name, count in collections.Counter(class_names).items() if count > 1)
        raise Fault(f"class {twice!r} is listed more than once", source)
    return tuple(class_names)
