"""Entry points: each module here is run as `python -m experiments.NAME`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: its start-up notes help nobody here
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's keras.json says of other programs
