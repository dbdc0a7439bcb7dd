"""What a keras.json of another program says is not misread."""

import subprocess
import sys

import keras
import pytest

from glimpse.layers import RoIAlign, RoIPooling


@pytest.mark.parametrize("layer", [RoIPooling, RoIAlign])
def test_channels_first_is_refused_with_the_cure(layer):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="set_image_data_format.'channels_last'"):
            layer(3, 3)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert layer(3, 3).pooled_height == 3


def test_another_backend_is_refused_at_once():
    """A stand-in says that it is set to JAX, for Keras itself does not start without that package."""
    program = ("import sys, types; sys.modules['keras'] = types.SimpleNamespace(config=types.SimpleNamespace(backend="
               "lambda: 'jax')); import glimpse.layers")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Keras is set to 'jax': set the environment variable KERAS_BACKEND=tensorflow" in ended.stderr
