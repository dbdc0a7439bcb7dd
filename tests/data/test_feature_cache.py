import gin
import keras
import numpy as np
import pytest
from PIL import Image

from glimpse.config import configuration
from glimpse.data.array_cache import ArrayCache
from glimpse.data.batches import RoISampling, training_batches
from glimpse.data.feature_cache import FeatureCache
from glimpse.data.framing import Framing
from glimpse.data.proposals import WindowGrid
from glimpse.data.voc import VOC
from glimpse.errors import GlimpseError
from glimpse.network.backbones import small_cnn
from glimpse.training.experiment import Experiment
from glimpse.training.metrics_log import read_metrics
from tests.data.photo_files import pixels, write_image, write_voc

IMAGES = np.random.default_rng(0).integers(0, 256, [3, 16, 24, 3], np.uint8)


def frozen(seed=0):
    keras.utils.set_random_seed(seed)
    pixels = keras.Input([None, None, 3])
    backbone = keras.Model(pixels, keras.layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(pixels))
    backbone.trainable = False
    return backbone


def maps_of(cache, images):
    return cache.load([cache.path(image[None]) for image in images])


def test_a_map_is_computed_once_for_an_image_and_the_weights(tmp_path):
    backbone = frozen()
    cache = FeatureCache(tmp_path, backbone)
    maps = maps_of(cache, IMAGES)
    np.testing.assert_allclose(maps, backbone(IMAGES), rtol=1e-5, atol=1e-4)
    assert maps.dtype == np.float32 and len(list(tmp_path.rglob("*.npz"))) == 3

    cache.backbone = lambda image: pytest.fail("computed again")
    np.testing.assert_array_equal(maps_of(cache, IMAGES[::-1]), maps[::-1])
    other = FeatureCache(tmp_path, frozen(seed=1))
    assert np.abs(maps_of(other, IMAGES) - maps).max() > 0.1 and len(list(tmp_path.rglob("*.npz"))) == 6


def test_an_image_is_known_by_its_content_and_shape(tmp_path):
    cache = ArrayCache(tmp_path, (None, None, 4))
    changed = IMAGES[0].copy()
    changed[5, 5, 1] ^= 1
    assert len({cache.path(image) for image in (IMAGES[0], changed, IMAGES[0].reshape(24, 16, 3), IMAGES[1])}) == 4
    assert cache.path(np.asfortranarray(IMAGES[0])) == cache.path(IMAGES[0])


def test_a_broken_file_is_named(tmp_path):
    cache = FeatureCache(tmp_path, frozen())
    maps_of(cache, IMAGES)
    cache.cache.path(IMAGES[1]).write_bytes(b"half a fi")
    with pytest.raises(GlimpseError, match=r"\.npz is broken .*; remove it, and it is computed again"):
        maps_of(cache, IMAGES)
    np.savez(cache.cache.path(IMAGES[1]), array=np.zeros([8, 12, 5], np.float32))
    with pytest.raises(GlimpseError, match=r"\.npz is broken \(of shape \(8, 12, 5\)\); remove it"):
        maps_of(cache, IMAGES)


@pytest.mark.parametrize("directory", [5, "", None])
def test_what_is_no_path_is_named(directory):
    with pytest.raises(GlimpseError, match="Experiment.feature_cache must be a path, a text in quotes, got"):
        FeatureCache(directory, frozen())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(GlimpseError, match=r"\.npz cannot be written .*; name a directory"):
        maps_of(FeatureCache(tmp_path / "file", frozen()), IMAGES)


def test_a_backbone_that_is_trained_is_refused(tmp_path):
    backbone = frozen()
    backbone.trainable = True
    with pytest.raises(GlimpseError, match="but this one is trained, from 'conv/kernel' on: set its train_from = None"):
        FeatureCache(tmp_path, backbone)


@pytest.fixture
def photos(tmp_path):
    for place, size in enumerate(((30, 40), (40, 60), (60, 40))):
        write_image(tmp_path / f"JPEGImages/{place}.jpg", size=size)
    write_voc(tmp_path, {str(place): [("cat", 3, 5, 22, 28)] for place in range(3)}, size=None, split="train")
    return VOC(split="train", root=str(tmp_path), classes=["cat"])


def batches_of(photos, tmp_path, steps, examples=None):
    """Batches from kept maps, and what was read for them, [(index, ...)]."""
    read = []

    class Watched:
        def __len__(self):
            return len(photos)

        def __getitem__(self, index):
            read.append(index)
            return photos[index]

    watched = Watched()
    if examples == "stamped":
        watched.stamp = photos.stamp
    framing = Framing(short_side=40, longest_side=64, canvas=(64, 64))
    cache = FeatureCache(tmp_path / "cache", frozen())
    batches = training_batches(watched, WindowGrid(), RoISampling(8), 2, 0, 0, steps, framing, cache)
    return iter(batches.as_numpy_iterator()), read


def test_an_image_whose_map_is_kept_is_read_no_more(photos, tmp_path):
    every_time, read = batches_of(photos, tmp_path, 12)
    known, read_once = batches_of(photos, tmp_path, 12, "stamped")
    for batch, again in zip(every_time, known, strict=True):
        assert batch.keys() == again.keys() and "images" not in batch
        for name in batch:
            np.testing.assert_array_equal(batch[name], again[name])
    assert len(read) >= 24 > 15 >= len(read_once)  # 3 images and 3 of them mirrored, some by two threads at a time


def test_an_image_that_changes_under_a_run_is_read_again(photos, tmp_path):
    framing = Framing(short_side=40, longest_side=64, canvas=(64, 64), flip=0.0)
    cache = FeatureCache(tmp_path / "cache", frozen())
    made = iter(training_batches(photos, WindowGrid(), RoISampling(8), 3, 0, 0, 30, framing, cache).as_numpy_iterator())
    before = next(made)["feature_map"]
    for place, size in enumerate(((30, 40), (40, 60), (60, 40))):
        Image.fromarray(255 - pixels(*size)).save(tmp_path / "new.jpg")  # whole at once: others are reading
        (tmp_path / "new.jpg").replace(tmp_path / f"JPEGImages/{place}.jpg")
    after = [next(made)["feature_map"] for _ in range(29)][-1]
    by_sum = lambda maps: np.sort(maps.sum(axis=(1, 2, 3)))  # noqa: E731  the order differs between epochs
    assert np.abs(by_sum(after) - by_sum(before)).min() > 1


@gin.register
def frozen_cnn():
    backbone = small_cnn(filters=(4, 6), strides=(2, 2))
    backbone.build((None, None, None, 1))
    backbone.trainable = False
    return backbone


FROZEN = ["GlimpseDetector.backbone = @frozen_cnn()", "NUM_GLIMPSES = 2", "Trainer.weight_decay = 0.1"]


def test_an_experiment_learns_the_same_from_maps_that_are_kept(tmp_path, tiny):
    logs = []
    for bindings in ([], [f"Experiment.feature_cache = {str(tmp_path / 'cache')!r}"]):
        workdir = tmp_path / f"run{len(logs)}"
        workdir.mkdir()
        with configuration("experiments/digits.gin", [*tiny, *FROZEN, *bindings]):
            experiment = Experiment()
            assert not (tmp_path / "cache").exists()  # who only builds it, such as to evaluate a run, writes nothing
            experiment.train(workdir)
        logs.append([line["class_loss"] + line["box_loss"] for line in read_metrics(workdir)])
    np.testing.assert_allclose(logs[1], logs[0], rtol=1e-3)
    # 6 steps of 2 of 8 scenes
    assert len(set(np.round(logs[0], 4))) > 1 and len(list((tmp_path / "cache").rglob("*.npz"))) == 8


@pytest.mark.parametrize("binding", ["POOLING = 'crop'", "POOLING = 'zoom'", "Experiment.framing = @Framing()"])
def test_what_shares_no_map_of_one_size_is_refused(tmp_path, tiny, binding):
    (tmp_path / "x.gin").write_text("import glimpse.data.framing\ninclude 'experiments/digits.gin'\n")
    with pytest.raises(GlimpseError, match="feature_cache needs a shared feature map of one size"):
        with configuration(tmp_path / "x.gin", [*tiny, *FROZEN, binding, "Experiment.feature_cache = 'cache'"]):
            Experiment()


def test_images_that_differ_each_time_are_refused(tmp_path, tiny):
    (tmp_path / "x.gin").write_text("import glimpse.data.framing\ninclude 'experiments/digits.gin'\n")
    framing = ["Experiment.framing = @Framing()", "Framing.canvas = (96, 96)", "Framing.colour_jitter = 0.2"]
    with pytest.raises(GlimpseError, match="feature_cache keeps maps of images as they are: set Framing.least_scale"):
        with configuration(tmp_path / "x.gin", [*tiny, *FROZEN, *framing, "Framing.short_side = 96",
                                                "Framing.longest_side = 96", "Experiment.feature_cache = 'cache'"]):
            Experiment()
