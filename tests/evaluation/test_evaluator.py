import numpy as np

from glimpse import config
from glimpse.data.proposals import recall
from glimpse.evaluation.evaluator import evaluate_detector
from glimpse.training.experiment import Experiment


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
