"""Entry points: each module here is run as `python -m experiments.NAME`."""

import os
import signal
import sys

if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the first imports says nothing; later on see `launch`
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: its start-up notes help nobody here
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's keras.json says of other programs
