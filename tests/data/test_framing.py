import numpy as np
import pytest

from glimpse.data.batches import RoISampling, evaluation_batches, training_batches
from glimpse.data.example import Example
from glimpse.data.framing import PADDING, Framing, mirrored, recoloured
from glimpse.data.proposals import WindowGrid
from glimpse.errors import GlimpseError
from tests.data.photo_files import pixels

SIZES = ((30, 40), (40, 30), (64, 20))
PHOTOS = [Example(str(place), pixels(*size, seed=place), np.array([[2, 4, 12, 24]], np.float32), np.zeros(1, np.int32),
                  np.zeros(1, bool)) for place, size in enumerate(SIZES)]
GRID = WindowGrid(sizes=(10, 16), aspect_ratios=(1,))


def ragged(image, id):
    return GRID(image)[:3 + int(id)]


@pytest.mark.parametrize("size, scaled", [
    ((30, 40), (60, 80)),      # the short side decides
    ((40, 30), (80, 60)),
    ((64, 20), (100, 31)),     # the longest side does: 20 * 100 / 64 = 31.25
    ((60, 100), (60, 100)),    # fits already
    ((600, 800), (60, 80)),    # made smaller
])
def test_the_short_side_unless_the_longest_becomes_too_long(size, scaled):
    example = Example("x", pixels(*size), np.array([[0, 0, size[1], size[0]]], np.float32), np.zeros(1), np.zeros(1))
    placed, proposals, scale = Framing(60, 100).place(example, np.array([[1, 1, 2, 2]], np.float32))
    assert placed.image.shape == (*scaled, 3)
    np.testing.assert_allclose(placed.boxes, [[0, 0, scaled[1], scaled[0]]], rtol=1e-6)
    np.testing.assert_allclose(proposals, [scale * [1, 1, 2, 2]], rtol=1e-6)
    np.testing.assert_allclose(scale, [scaled[1] / size[1], scaled[0] / size[0]] * 2, rtol=1e-6)
    assert (placed.image is example.image) == (size == scaled)


def test_grey_images_are_scaled_as_coloured_ones_of_that_grey():
    grey = PHOTOS[0].image[..., :1]
    placed, coloured = (Framing(60, 100).place(PHOTOS[0]._replace(image=image), np.zeros([0, 4], np.float32))[0].image
                        for image in (grey, np.repeat(grey, 3, axis=2)))
    assert placed.shape == (60, 80, 1)
    np.testing.assert_array_equal(placed[..., 0], coloured[..., 1])


def test_a_box_stays_on_what_it_shows():
    image = np.zeros((30, 40, 3), np.uint8)
    image[4:24, 2:12] = 255
    example = PHOTOS[0]._replace(image=image)
    for flip in (False, True):
        placed, proposals, _ = Framing(60, 100).place(example, example.boxes, flip)
        for x1, y1, x2, y2 in (*placed.boxes.astype(int), *proposals.astype(int)):
            assert (placed.image[y1 + 2:y2 - 2, x1 + 2:x2 - 2] == 255).all()
            outside = placed.image.astype(int)
            outside[y1 - 2:y2 + 2, x1 - 2:x2 + 2] = 0
            assert not outside.any()


def test_mirroring_by_hand_and_twice():
    boxes = np.array([[0, 1, 10, 5], [30, 2, 40, 3]], np.float32)
    np.testing.assert_array_equal(mirrored(boxes, 40), [[30, 1, 40, 5], [0, 2, 10, 3]])
    np.testing.assert_array_equal(mirrored(mirrored(boxes, 40), 40), boxes)


def test_images_stand_at_the_top_left_of_a_padded_canvas():
    for framing, canvas in ((Framing(), (64, 64)), (Framing(canvas=(96, 64)), (96, 64))):
        stacked = framing.stack([e.image for e in PHOTOS])
        assert stacked.shape == (3, *canvas, 3)
        for image, size in zip(stacked, SIZES):
            assert (image[size[0]:] == PADDING).all() and (image[:, size[1]:] == PADDING).all()
        np.testing.assert_array_equal(stacked[2, :64, :20], PHOTOS[2].image)
    with pytest.raises(GlimpseError, match="canvas must be at least 64x40 .* got 32x64"):
        Framing(canvas=(32, 64)).stack([e.image for e in PHOTOS])


def test_the_smallest_canvas_holds_all_images_of_the_training_and_grows_for_others():
    framing = Framing(short_side=48, longest_side=64, canvas="smallest")
    assert framing.canvas is None
    assert framing.smallest_canvas([(30, 40), (300, 500), (30, 40)]) == (64, 64)  # 48 x 64 and 38 x 64
    assert framing.smallest_canvas([(300, 1000), (150, 500)]) == (32, 64)  # 19 x 64
    framing = framing.with_canvas((32, 64))
    assert framing.stack([np.zeros([19, 64, 3], np.uint8)]).shape == (1, 32, 64, 3)
    assert framing.stack([np.zeros([64, 48, 3], np.uint8)]).shape == (1, 64, 64, 3)


def test_training_batches_are_functions_of_seed_and_step():
    def batches(first, last, seed=0, flip=0.5):
        return list(training_batches(PHOTOS, ragged, RoISampling(8), 2, seed, first, last, Framing(60, 100, flip=flip))
                    .as_numpy_iterator())

    unbroken, resumed = batches(0, 6), batches(3, 6)
    for batch, again in zip(unbroken[3:], resumed, strict=True):
        assert set(batch) == {"images", "sizes", "objects", "object_classes", "rois", "classes", "targets"}
        for name in batch:
            np.testing.assert_array_equal(batch[name], again[name])
    straight = batches(0, 6, flip=0)
    same = [np.array_equal(image, other) for batch, other_batch in zip(unbroken, straight)
            for image, other in zip(batch["images"], other_batch["images"])]
    assert 0 < sum(same) < len(same)  # some are mirrored
    for batch in unbroken:
        assert set(map(tuple, batch["sizes"])) <= {(60, 80), (80, 60), (100, 31)}
        assert (batch["rois"] <= batch["sizes"][:, None, [1, 0, 1, 0]] + 1e-3).all()


def test_evaluation_batches_fill_up_lists_of_proposals_and_keep_the_scale():
    batch, rest = evaluation_batches(PHOTOS, ragged, 2, Framing(60, 100))
    assert batch.proposals.shape == (2, 4, 4) and batch.is_proposal.tolist() == [[True] * 3 + [False], [True] * 4]
    assert not batch.proposals[0, 3].any()
    assert rest.proposals.shape == (1, 6, 4) and rest.is_proposal.tolist() == [[True] * 5 + [False]]
    assert batch.sizes.tolist() == [[60, 80], [80, 60]] and batch.images.shape == (2, 96, 96, 3)
    np.testing.assert_allclose(batch.proposals[1] / batch.scales[1], ragged(PHOTOS[1].image, "1"), rtol=1e-6)
    assert batch.examples == PHOTOS[:2]


def test_lists_of_many_lengths_are_filled_up_to_few():
    """The first is as long as it is, the others 3, 4, 6, 8, 12, 16, ... boxes."""
    lengths = iter([7, 3, 4, 5, 6, 7, 8, 9, 12, 13, 700, 769])
    batches = evaluation_batches([PHOTOS[0]] * 12, lambda image, id: np.zeros([next(lengths), 4], np.float32), 1,
                                 Framing(60, 100))
    assert [batch.proposals.shape[1] for batch in batches] == [7, 3, 4, 6, 6, 7, 8, 12, 12, 16, 768, 1024]


def test_images_of_different_sizes_need_a_framing():
    with pytest.raises(GlimpseError, match="images 0 and 1 of one batch differ in size; set Experiment.framing"):
        next(evaluation_batches(PHOTOS, ragged, 3))


@pytest.mark.parametrize("options, message", [
    (dict(short_side=0), "Framing.short_side must be a whole number of at least 1, got 0"),
    (dict(short_side=600, longest_side=500), "Framing.longest_side must be a whole number of at least 600, got 500"),
    (dict(canvas=(600, 1000)), r"Framing.canvas must be multiples of 32, got \(600, 1000\)"),
    (dict(flip=2), "Framing.flip must lie in .* got 2"),
])
def test_faults_name_the_parameter_and_the_value(options, message):
    with pytest.raises(GlimpseError, match=message):
        Framing(**options)


def test_an_image_made_smaller_besides_and_its_boxes():
    """By hand: 30 x 40 is scaled to 60 x 80, and then by 0.75 to 45 x 60."""
    example = PHOTOS[0]._replace(boxes=np.array([[4, 6, 20, 18]], np.float32))
    placed, proposals, scale = Framing(60, 100).place(example, example.boxes, smaller=0.75)
    assert placed.image.shape == (45, 60, 3)
    np.testing.assert_allclose(scale, [1.5] * 4)
    np.testing.assert_allclose(placed.boxes, [[6, 9, 30, 27]])
    np.testing.assert_allclose(proposals, placed.boxes)


def test_brightness_contrast_and_saturation_by_hand():
    image = np.array([[[100, 100, 100], [50, 50, 50]]], np.uint8)
    np.testing.assert_array_equal(recoloured(image, (1, 1, 1)), image)
    np.testing.assert_array_equal(recoloured(image, (1.5, 1, 1)), [[[150] * 3, [75] * 3]])
    np.testing.assert_array_equal(recoloured(image, (1, 0.2, 1)), [[[80] * 3, [70] * 3]])  # about their mean, 75
    red = np.array([[[200, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(recoloured(red, (1, 1, 0)), [[[60] * 3]])  # 0.299 of 200, its grey
    assert recoloured(image[..., :1], (1.5, 1, 1)).shape == (1, 2, 1)


def test_variations_are_drawn_anew_each_step_and_the_same_again():
    framing = Framing(flip=0.5, least_scale=0.5, colour_jitter=0.2)
    drawn = [framing.variations(50, 0, step) for step in (1, 2)]
    assert drawn[0] != drawn[1] and drawn == [framing.variations(50, 0, step) for step in (1, 2)]
    assert all(0.5 <= each["smaller"] <= 1 and all(0.8 <= factor <= 1.2 for factor in each["colours"])
               for each in drawn[0])
    still = Framing(flip=0.5)
    assert not still.jitters and framing.jitters
    assert {(each["smaller"], *each["colours"]) for each in still.variations(9, 0, 1)} == {(1.0, 1.0, 1.0, 1.0)}
    assert [each["flip"] for each in still.variations(50, 0, 1)] == [each["flip"] for each in drawn[0]]


def test_training_batches_vary_and_follow_from_their_step():
    framing = Framing(60, 100, canvas=(128, 128), flip=0.0, least_scale=0.5, colour_jitter=0.2)
    sampling = RoISampling(rois_per_image=4)

    def batch(first):
        return next(iter(training_batches(PHOTOS, GRID, sampling, 3, 0, first, first + 1, framing)))

    sizes = [batch(step)["sizes"].numpy().tolist() for step in (0, 1)]
    assert sorted(sizes[0]) != sorted(sizes[1])  # each epoch shows each image once
    np.testing.assert_array_equal(batch(1)["images"], batch(1)["images"])
