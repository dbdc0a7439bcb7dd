"""What the entry points share: flags, the check of --out, a quiet start of TensorFlow, and how a fault ends a program.

Entry points import what needs TensorFlow after `start_tensorflow`, inside functions: --help and the refusal of an
argument take no seconds then.
"""

import argparse
import contextlib
import functools
import importlib.util
import os
import pathlib
import signal
import sys
import tempfile

from glimpse import system_faults
from glimpse.errors import GlimpseError, whole_number
from glimpse.training import stopping


def parser(description):
    """An argument parser with the flags that gin documents for its programs."""
    flags = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add_configuration_flags(flags)
    return flags


def add_configuration_flags(flags):
    """Adds those flags to a parser."""
    flags.add_argument("--gin_file", required=True, help="a configuration, a path or a name below configs/")
    flags.add_argument("--gin_param", action="append", default=[], metavar="NAME=VALUE",
                       help="a binding over the file; may be given again")


def run_parser(description):
    """An argument parser with the flags that name a trained run."""
    flags = argparse.ArgumentParser(description=description, allow_abbrev=False)
    flags.add_argument("--run", required=True, type=pathlib.Path, help="directory of the run")
    flags.add_argument("--allow_import", action="append", default=[], metavar="NAME",
                       help="let the run's configuration import this module, which is not known from its training "
                            "here; may be given again")
    return flags


def jobs(flags):
    """The value of --jobs: one a core unless given."""
    from glimpse.training.environment import cores
    return cores() if flags.jobs is None else flags.jobs


def check_jobs(flags):
    """Raises GlimpseError where --jobs is given and no number of processes."""
    if flags.jobs is not None:
        whole_number("--jobs", flags.jobs)


def check_out(out):
    """Raises GlimpseError where --out, a Path, is no directory and cannot become one."""
    file = next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        raise GlimpseError(f"--out={out}: {file} is a file; name a directory")


def check_tensorboard():
    """Raises GlimpseError where the package that writes for TensorBoard is missing."""
    if importlib.util.find_spec("tensorboard") is None:
        raise GlimpseError("--tensorboard needs a package: python -m pip install -e '.[tensorboard]'")


def start_tensorflow():
    """Imports TensorFlow; what it says in C++ of itself and of the devices that it looks for is shown if that fails.

    Keras is set to what this program computes in, whatever the user's keras.json says of other programs.
    """
    try:
        with _held_back():
            import tensorflow as tf
            tf.config.list_physical_devices()
            import keras
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        settings = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "keras.json"
        if not settings.is_file():
            raise
        raise GlimpseError(f"{settings}: Keras cannot start with it ({error!r}); remove it, or mend it") from error
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def imported_quietly(name):
    """The module of this name, which may import TensorFlow at its own time, such as after torch."""
    with _held_back():
        module = importlib.import_module(name)
        if "tensorflow" in sys.modules:
            sys.modules["tensorflow"].config.list_physical_devices()
    return module


@contextlib.contextmanager
def _held_back():
    """Keeps what is written to file descriptor 2; shows it only if the `with` ends in an error, or the process dies.

    TensorFlow's C++ may end the process at once, such as for want of an instruction. So it is a child that shows it.
    """
    if "tensorflow" in sys.modules or not hasattr(os, "fork"):
        yield
        return
    sys.stderr.flush()
    terminal, (ended, well) = os.dup(2), os.pipe()
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            _show_unless_well(said.fileno(), terminal, ended, well)
        os.dup2(said.fileno(), 2)

        def end(signum, frame):  # imports that are broken off say much, and nothing is to be saved yet
            os.write(well, b"!")
            os.write(terminal, b"stopped\n")
            os._exit(128 + signum)

        try:
            with stopping.handled(end):
                yield
            os.write(well, b"!")
        finally:
            os.dup2(terminal, 2)
            for each in (terminal, ended, well):
                os.close(each)
            os.waitpid(child, 0)


def _show_unless_well(said, terminal, ended, well):
    """The child of `_held_back`: waits for a byte from it, or for its end without one, and ends."""
    try:
        for each in stopping.SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        os.close(well)
        if not os.read(ended, 1):
            with open(terminal, "wb", closefd=False) as shown:
                shown.write(os.pread(said, os.fstat(said).st_size, 0))
    finally:
        os._exit(0)


def exit_on_error(main):
    """Prints a GlimpseError, or what the system refuses, as one line and exits with status 2; or with the error's own.

    Any other exception keeps its traceback. A signal that ends the program is one line too, and the status is 128 and
    its number, as shells have it.
    """
    @functools.wraps(main)
    def wrapped(arguments=None):
        for stream in (sys.stdout, sys.stderr):  # a name that the terminal has no letters for ends no program
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            with stopping.at_once():
                stopping.end_with_parent()
                main(arguments)
                sys.stdout.flush()  # a full disk may show only here
        except GlimpseError as error:
            print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)  # a path may hold a line break
            sys.exit(getattr(error, "status", 2))
        except KeyboardInterrupt as stop:
            print(str(stop) or "stopped", file=sys.stderr)
            status = 128 + getattr(stop, "signum", signal.SIGINT)
            if arguments is not None:
                sys.exit(status)
            sys.stdout.flush()
            os._exit(status)  # TensorFlow's threads may still compute, and do not survive the end of Python
        except BrokenPipeError:  # who reads has seen enough, as `| head` has
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python would fail once more at its end
            sys.exit(128 + getattr(signal, "SIGPIPE", 13))
        except Exception as error:
            line = system_faults.line_of(error)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
            sys.exit(2)
    return wrapped
