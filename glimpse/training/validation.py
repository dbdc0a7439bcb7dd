"""Watching a run: its mAP on a fixed part of the validation split, and what it looks at there."""

import numpy as np

from glimpse.data.batches import evaluation_batches
from glimpse.data.example import Part, outlines
from glimpse.errors import GlimpseError
from glimpse.evaluation.average_precision import evaluate
from glimpse.evaluation.evaluator import detected, graph_on_demand, truth_of
from glimpse.evaluation.sequences import follow, pooled_glimpses, sequences_of_objects

METRIC = "voc10_map@0.50:0.95"


class Validation:
    """What a detector does on a fixed part of a data set, asked again and again while it trains.

    All that it draws follows from the seed, and none of it is drawn where the training draws.

    Args:
        detector: a built GlimpseDetector.
        examples: a data set, see `glimpse.data.example`.
        proposals: callable, (image, id) -> [N, 4].
        seed: of the run.
        most: how many images, evenly spaced in the data set, which may be in the order of its classes.
        batch_size: images to a call.
        framing: a Framing, or None for images of one size.

    Raises:
        GlimpseError: where no object of these images counts, so that mAP is undefined.
    """

    def __init__(self, detector, examples, proposals, seed, most, batch_size, framing=None):
        self.detector, self.proposals, self.seed = detector, proposals, seed
        self.batch_size, self.framing = batch_size, framing
        count = min(most, len(examples))
        self.examples = Part(examples, np.linspace(0, len(examples) - 1, count).round().astype(int).tolist())
        if all(outline.difficult.all() for outline in outlines(self.examples)):
            raise GlimpseError(f"the {count} images of the validation split that are to be looked at hold no object "
                               "that counts; raise Experiment.validation_images, or set Experiment.validate_every=None")
        self._detect, self._follow = graph_on_demand(self._detections, framing), {}
        self._shown = None

    def _detections(self, images, boxes, seed, sizes, is_proposal, objects):
        found, rollout = self.detector.detect(images, boxes, seed, sizes, is_proposal, objects)
        return found, rollout.deltas

    def mean_ap(self):
        """mAP 50:95 now, 0..1."""
        detections, truth = [], []
        batches = evaluation_batches(self.examples, self.proposals, self.batch_size, self.framing)
        for batch, found, _, _ in detected(self._detect, batches, self.seed):
            detections += found
            truth += map(truth_of, batch.examples)
        return evaluate(detections, truth, self.examples.class_names)[METRIC]

    def sequences(self, most=4):
        """The first object of each of the first images that have one a proposal overlaps by half: the same every time.

        Returns:
            a list of at most `most` (image uint8 [H, W, C] as the network sees it, GlimpseSequence, pooled glimpses
            float [T, pooled_height, pooled_width, D]).
        """
        shown = []
        examples = self.examples if self._shown is None else Part(self.examples, self._shown)
        for followed in follow(self.detector, examples, self.proposals, self.seed, 1, self.framing,
                               graphs=self._follow, quiet=True):
            for sequence in sequences_of_objects(followed)[:1]:
                image = followed.example.image
                shown.append((followed.index, image, sequence,
                              pooled_glimpses(self.detector, image, sequence.glimpses)))
            if len(shown) == most:
                break
        if self._shown is None:
            self._shown = [place for place, *_ in shown]
        return [parts for _, *parts in shown]
