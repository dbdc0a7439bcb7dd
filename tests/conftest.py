import pytest


@pytest.fixture(scope="session")
def tiny():
    """Bindings that make a run of experiments/digits.gin a matter of seconds."""
    return [
        "TRAIN_STEPS = 6",
        "Experiment.batch_size = 2",
        "Experiment.log_every = 1",
        "Experiment.save_every = 3",
        "DigitScenes.sizes = {'train': 8, 'validation': 2, 'test': 4}",
        "WindowGrid.sizes = (20, 30)",
        "RoISampling.rois_per_image = 8",
        "small_cnn.filters = (4, 4, 4)",
        "GlimpseDetector.units = (16, 16)",
        "POOLED_SIZE = 3",
        "Trainer.episodes = 2",
    ]
