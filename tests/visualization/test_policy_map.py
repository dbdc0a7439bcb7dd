import numpy as np
import pytest

from glimpse.geometry import boxes
from glimpse.visualization.policy_map import MISSES, misses, plot_policy_map

PROPOSAL = np.float32([10, 10, 30, 50])  # 20 wide, 40 high


@pytest.mark.parametrize("delta, kind", [
    ((0, 0, 0, 0), "well placed"),
    ((0.14, -0.14, 0.1, 0.1), "well placed"),
    ((0, 0, 0.2, 0.2), "too small"),
    ((0, 0, -0.3, 0.0), "too large"),  # narrower alone: the mean of the two is beyond log 1.15
    ((0, 0, 0.4, -0.4), "well placed"),  # of another shape, but of the same size
    ((0.2, 0.16, 0.1, 0.1), "too far left"),
    ((-0.2, 0, 0, 0), "too far right"),
    ((0, 0.2, 0, 0), "too high"),
    ((0, -0.2, 0, 0), "too low"),
    ((0.2, 0, 0.3, 0.3), "too small"),  # 2.1 times the threshold against 1.3 times
])
def test_how_a_proposal_misses(delta, kind):
    target = np.asarray(boxes.decode(np.float32([delta]), PROPOSAL[None]))
    assert MISSES[misses(PROPOSAL[None], target)[0]] == kind


def arrays(count=400, further=2):
    random = np.random.default_rng(0)
    wanted = random.normal(0, 0.2, [count, 4]).astype(np.float32)
    proposals = np.tile(PROPOSAL, [count, 1])
    steps = [(step + 1) / further * wanted for step in range(further)]
    return np.stack(steps, axis=1), proposals, np.asarray(boxes.decode(wanted, proposals))


@pytest.mark.parametrize("further", [1, 2, 4])
def test_a_policy_map_is_readable(assert_readable, further):
    figure = plot_policy_map(*arrays(further=further))
    assert len(figure.axes) == 2 * further * len(MISSES)
    assert_readable(figure)


def test_arrows_and_densities_are_those_of_the_arrays():
    deltas, proposals, objects = arrays()
    kinds = misses(proposals, objects)
    figure = plot_policy_map(deltas, proposals, objects)
    for column, name in enumerate(MISSES):
        chosen = deltas[kinds == column]
        assert any(text.get_text() == f"{name}\n{len(chosen)}" for text in figure.texts)
        for row in range(4):
            panel, part = figure.axes[4 * column + row], (slice(0, 2), slice(2, 4))[row % 2]
            arrow, = (each for each in panel.collections if hasattr(each, "U"))
            last = chosen[:, 0, part].mean(axis=0) if row >= 2 else np.zeros(2)
            movement = chosen[:, row // 2, part].mean(axis=0) - last
            np.testing.assert_allclose([arrow.X[0], arrow.Y[0]], last, atol=1e-6)
            np.testing.assert_allclose([arrow.U[0], arrow.V[0]], movement, atol=1e-6)
            mesh, = (each for each in panel.collections if not hasattr(each, "U"))
            assert mesh.get_array().max() == 1
            # The centre of mass of the density is the mean.
            density, edges = mesh.get_array().filled(0), mesh.get_coordinates()[0, :, 0]
            across = (density.sum(axis=0) * (edges[:-1] + edges[1:]) / 2).sum() / density.sum()
            assert across == pytest.approx(chosen[:, row // 2, part][:, 0].mean(), abs=0.02)


def test_a_policy_that_always_looks_at_one_place(assert_readable):
    deltas, proposals, objects = arrays(further=2)
    figure = plot_policy_map(np.zeros_like(deltas) + np.float32([0, 0, 1.1, 1.1]), proposals, objects)
    assert_readable(figure)
    assert {axes.get_title() for axes in figure.axes} == {"sd 0.00, 0.00"}


def test_a_kind_that_does_not_occur_says_so():
    figure = plot_policy_map(np.zeros([1, 1, 4], np.float32), PROPOSAL[None], PROPOSAL[None])
    assert sum(text.get_text() == "none" for axes in figure.axes for text in axes.texts) == 12


def test_one_glimpse_has_no_policy():
    with pytest.raises(ValueError, match="with one glimpse there is no policy"):
        plot_policy_map(np.zeros([1, 0, 4], np.float32), PROPOSAL[None], PROPOSAL[None])
