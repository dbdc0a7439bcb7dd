"""A run's log for TensorBoard: what metrics.jsonl holds as scalars, and what the network looks at as pictures."""

import io
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from glimpse.files import discard, temporary_name

DIRECTORY = "tensorboard"


class Board:
    """The event files of a run, in its directory `tensorboard`.

    What an earlier process wrote of later steps than the run goes on from is removed: each step is there once.

    Args:
        workdir: of the run.
        step: that the run goes on from.
    """

    def __init__(self, workdir, step):
        self.directory = pathlib.Path(workdir) / DIRECTORY
        _keep_until(self.directory, step)
        self._writer = tf.summary.create_file_writer(str(self.directory))

    def scalars(self, line):
        """Writes a line of metrics.jsonl, {"step": ..., name: value}."""
        with self._writer.as_default(step=line["step"]):
            for name, value in line.items():
                if name != "step":  # what stands before a slash is a group of curves
                    tf.summary.scalar(name if "/" in name else f"training/{name}", value)
        self._writer.flush()  # who is killed has lost nothing that a checkpoint stands beside

    def strips(self, step, sequences, class_names):
        """Draws what `Validation.sequences` tells."""
        from glimpse.visualization.strips import plot_strip
        from glimpse.visualization.writing import drawn
        with self._writer.as_default(step=step):
            for place, (image, sequence, pooled) in enumerate(sequences, start=1):
                pixels = Image.open(io.BytesIO(drawn(plot_strip(image, sequence, pooled, class_names)))).convert("RGB")
                tf.summary.image(f"glimpses/object_{place}", np.asarray(pixels)[None])
        self._writer.flush()

    def close(self):
        self._writer.close()


def events_of(directory):
    """The events in a directory of TensorBoard, {(step, tag): event}; what a killed process cut short is left out."""
    events = {}
    for path in sorted(pathlib.Path(directory).glob("*tfevents*")):
        try:
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                event = tf.compat.v1.Event.FromString(record)
                events.update({(event.step, value.tag): event for value in event.summary.value})
        except tf.errors.DataLossError:
            continue
    return events


def _keep_until(directory, step):
    """Leaves in one file what was written up to this step."""
    events = [event for (at, _), event in sorted(events_of(directory).items()) if at <= step]
    there = list(directory.glob("*tfevents*"))
    if events:
        path = directory / "events.out.tfevents.0000000000.kept"  # which TensorBoard reads first
        temporary = temporary_name(path)
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for event in [tf.compat.v1.Event(file_version="brain.Event:2"), *events]:
                writer.write(event.SerializeToString())
        temporary.replace(path)
        there = [each for each in there if each != path]
    for each in there:
        discard(each)
