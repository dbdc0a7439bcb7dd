import numpy as np
import tensorflow as tf

from glimpse import config
from glimpse.data.batches import evaluation_batches
from glimpse.data.digits import DigitScenes
from glimpse.data.framing import Framing
from glimpse.data.proposals import recall
from glimpse.evaluation.evaluator import evaluate_detector, graph_on_demand
from glimpse.training.experiment import Experiment

FRAMING = Framing(60, 64, (64, 64))


class Counted:
    """A data set, or proposals, that count how often they are asked."""

    def __init__(self, wrapped):
        self.wrapped, self.asked = wrapped, []
        self.class_names = getattr(wrapped, "class_names", None)

    def __len__(self):
        return len(self.wrapped)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.wrapped[index]

    def __call__(self, image, id=None):
        self.asked.append(id)
        return self.wrapped(image, id)


def test_the_graph_knows_all_shapes_of_photographs_on_a_canvas():
    """RoI pooling is compiled for shapes that are known; else it costs several times as much."""
    lengths, traced = iter([5, 6, 6, 5, 7]), []

    def proposals(image, id):
        return np.tile(np.array([[1, 2, 20, 30]], np.float32), [next(lengths), 1])

    def count(images, boxes, seed, sizes, is_proposal, objects):
        traced.append((images.shape[1:].as_list(), boxes.shape[1], is_proposal.shape[1]))
        return tf.reduce_sum(tf.cast(is_proposal, tf.int32))

    graph = graph_on_demand(count, FRAMING)
    batches = evaluation_batches(DigitScenes("test", sizes={"test": 5}), proposals, 1, FRAMING)
    assert [int(graph(batch, tf.constant([0, 0]))) for batch in batches] == [5, 6, 6, 5, 7]
    assert traced == [([64, 64, 1], count, count) for count in (5, 6, 8)]


def test_every_image_is_read_once_and_the_recall_is_that_of_its_proposals(tmp_path, tiny):
    bindings = [*tiny, "Experiment.framing = @Framing()", "Framing.short_side = 60", "Framing.canvas = (64, 64)"]
    (tmp_path / "x.gin").write_text("import glimpse.data.framing\ninclude 'experiments/digits.gin'\n")
    with config.configuration(tmp_path / "x.gin", bindings):
        experiment = Experiment()
        examples, proposals = Counted(experiment.examples("test")), Counted(experiment.proposals)
        result = evaluate_detector(experiment.detector, examples, proposals, 0, 3, experiment.framing)
    assert examples.asked == [0, 1, 2, 3] and len(proposals.asked) == 4
    expected = recall(experiment.proposals, [examples[index] for index in range(4)], (0.5, 0.7))[0]
    np.testing.assert_array_equal(list(result["proposal_recall"].values()), expected)
    assert list(result["proposal_recall"]) == ["0.50", "0.70"] and 0 < expected[1] <= expected[0]
