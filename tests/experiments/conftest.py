import pytest

from experiments import train
from tests.data.photo_files import write_image, write_voc


@pytest.fixture(scope="session")
def digit_run(tmp_path_factory, tiny):
    """A tiny trained run on digit scenes, without a Framing."""
    workdir = tmp_path_factory.mktemp("digits") / "run"
    train.main(["--gin_file=experiments/digits.gin", *(f"--gin_param={b}" for b in tiny), f"--workdir={workdir}"])
    return workdir


@pytest.fixture(scope="session")
def train_on_photos(tmp_path_factory, tiny):
    """Trains on small photographs of three sizes, in VOC's layout, with a Framing; returns the directory of the run."""
    def train_with(*bindings):
        root = tmp_path_factory.mktemp("photos")
        for split in ("train", "val", "test"):
            for place, size in enumerate(((30, 40), (40, 60), (60, 40))):
                write_image(root / "JPEGImages" / f"{split}-{place}.jpg", size=size)
            write_voc(root, {f"{split}-{place}": [("cat", 3, 5, 22, 28), ("dog", 20, 2, 38, 20, int(place > 0))]
                             for place in range(3)}, size=None, split=split)
        bindings = [b for b in tiny if "DigitScenes" not in b] + [
            "Experiment.data = @VOC", f"VOC.root = {str(root)!r}", "VOC.classes = ['cat', 'dog']",
            "Experiment.framing = @Framing()", "Framing.short_side = 40", "Framing.longest_side = 64",
            "Experiment.evaluation_batch_size = 2", *bindings]
        (root / "x.gin").write_text("import glimpse.data.voc\nimport glimpse.data.framing\n"
                                    "include 'experiments/digits.gin'\n" + "\n".join(bindings))
        train.main([f"--gin_file={root / 'x.gin'}", f"--workdir={root / 'run'}"])
        return root / "run"
    return train_with


@pytest.fixture(scope="session")
def photo_run(train_on_photos):
    return train_on_photos()
