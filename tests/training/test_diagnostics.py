import numpy as np
import pytest
import tensorflow as tf

from glimpse.training.diagnostics import Agreement, episode_statistics, statistic_names
from glimpse.training.estimators import Episodes


def test_episode_statistics_by_hand():
    """One image, two episodes of one foreground RoI (and of a background one full of other numbers), two glimpses."""
    deltas = np.full([1, 2, 2, 1, 4], 7, np.float32)
    deltas[0, :, 0, 0] = [[0.1, 0, 0.5, 0], [0.3, 0, 0.5, 0]]
    glimpses = np.full([1, 2, 2, 2, 4], 5, np.float32)
    glimpses[0, :, 0] = [[[10, 10, 20, 20], [13, 14, 23, 24]], [[10, 10, 20, 20], [10, 10, 20, 32]]]
    quality = np.full([1, 2, 2, 2], 0.9, np.float32)
    quality[0, :, 0] = [[0.2, 0.5], [0.2, 0.7]]
    drawn = Episodes(tf.constant([[True, False]]), None, tf.constant(deltas), tf.constant(quality), None)
    statistics = episode_statistics(drawn, tf.constant(glimpses), sizes=tf.constant([[32, 40]]))
    assert set(statistics) == set(statistic_names(num_glimpses=2))
    expected = {
        "mean_dx": 0.2, "mean_dy": 0, "mean_log_width": 0.5, "mean_log_height": 0, "spread_dx": 0.1, "spread_dy": 0,
        "spread_log_width": 0, "spread_log_height": 0, "moved": (5 + 6) / 2, "cut": 0.5, "gain": (0.3 + 0.5) / 2}
    for name, value in expected.items():
        assert float(statistics[f"glimpse_2/{name}"]) == pytest.approx(value, abs=1e-6), name
    assert float(statistics["return_variance/within"]) == pytest.approx(0.01)
    assert float(statistics["return_variance/between"]) == pytest.approx(0, abs=1e-9)


def test_variance_between_rois():
    quality = tf.constant([[[[0.1], [0.5]], [[0.3], [0.5]]]])  # two episodes of two RoIs: means 0.2 and 0.5
    drawn = Episodes(tf.constant([[True, True]]), None, tf.zeros([1, 2, 2, 0, 4]), quality, None)
    statistics = episode_statistics(drawn, tf.zeros([1, 2, 2, 1, 4]), tf.constant([[32, 32]]))
    assert float(statistics["return_variance/within"]) == pytest.approx(0.01 / 2)
    assert float(statistics["return_variance/between"]) == pytest.approx(0.15**2)


def test_without_foreground_every_statistic_is_zero():
    drawn = Episodes(tf.constant([[False]]), None, tf.ones([1, 2, 1, 1, 4]), tf.ones([1, 2, 1, 2]), None)
    statistics = episode_statistics(drawn, tf.ones([1, 2, 1, 2, 4]), tf.constant([[32, 32]]))
    assert all(float(value) == 0 for value in statistics.values())


def test_agreement_of_gradients():
    same, opposed, noise = Agreement(3), Agreement(3), Agreement(3)
    for step in range(4):
        same.update_state([tf.constant([1.0, 2]), tf.constant([[3.0]])])
        opposed.update_state([tf.constant([1.0, 2]) * (-1) ** step, tf.constant([[3.0]])])
        noise.update_state([10.0 * tf.one_hot(step, 3)])
    assert float(same.result()) == pytest.approx(1)
    assert float(opposed.result()) == pytest.approx(9 / 14)  # the third stays, the first two cancel
    assert float(noise.result()) == pytest.approx(3 / 16 * 4 / 3)  # three at right angles, and a zero
