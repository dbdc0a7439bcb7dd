"""Entry points: each module here is run as `python -m experiments.NAME`."""

import os
import platform
import signal
import sys

if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the first imports says nothing; later on see `launch`
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: its start-up notes help nobody here
# TensorFlow leaves oneDNN off on x86 processors without AVX-512 or AVX-VNNI. There a training on one core gains by it.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's keras.json says of other programs
