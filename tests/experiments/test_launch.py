"""How the programs start and how they refuse."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from experiments import launch

PROGRAMS = ("detect", "evaluate", "explore", "export", "inspect", "propose", "report", "sweep", "train", "visualize",
            "benchmark.__main__")
WITHOUT_TENSORFLOW = f"""
import importlib, sys
for name in {PROGRAMS}:
    for arguments in (["--help"], ["--nonsense"]):
        try:
            importlib.import_module(f"experiments.{{name}}").main(arguments)
        except SystemExit:
            pass
        else:
            raise AssertionError(name)
from experiments import detect, sweep
try:
    sweep.main(["--gin_file=x", "--jobs=0"])
except SystemExit as stop:
    assert stop.code == 2
heavy = {{"tensorflow", "keras", "matplotlib", "pandas", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_and_refusals_of_arguments_import_no_tensorflow():
    subprocess.run([sys.executable, "-c", WITHOUT_TENSORFLOW], check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("machine, given, expected", [
    ("x86_64", {}, "1"), ("x86_64", {"TF_ENABLE_ONEDNN_OPTS": "0"}, "0"), ("aarch64", {}, "None")])
def test_onednn_is_on_for_x86_unless_the_user_says_otherwise(machine, given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"} | given
    program = (f"import os, platform; platform.machine = lambda: {machine!r}; import experiments; "
               "print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))")
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          env=environment).stdout == expected + "\n"


def test_a_quiet_start_whatever_keras_is_set_to(tmp_path, tiny):
    """A keras.json of another program, and a locale that is not UTF-8."""
    (tmp_path / "keras.json").write_text(json.dumps(
        {"backend": "jax", "image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-3}))
    text = "# größe\ninclude 'experiments/digits.gin'\n" + "\n".join(tiny)
    (tmp_path / "größe.gin").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_CPP", "LC_", "LANG"))}
    ended = subprocess.run(
        [sys.executable, "-m", "experiments.train", "--gin_file=größe.gin", "--workdir=x", "--dry_run"], cwd=tmp_path,
        env=environment | {"KERAS_HOME": str(tmp_path), "PYTHONPATH": str(pathlib.Path(launch.__file__).parents[1]),
                           "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        capture_output=True)
    assert ended.returncode == 0 and ended.stderr == b"", ended.stderr[-2000:]
    assert b"GlimpseDetector.num_glimpses" in ended.stdout


@pytest.mark.parametrize("content", ["[]", '{"floatx": "int8"}'])
def test_a_keras_json_that_keras_cannot_start_with_is_named(tmp_path, content):
    (tmp_path / "keras.json").write_text(content)
    ended = subprocess.run([sys.executable, "-m", "experiments.evaluate", "--run=x"], capture_output=True, text=True,
                           env=os.environ | {"KERAS_HOME": str(tmp_path)}, cwd=pathlib.Path(__file__).parents[2])
    assert ended.returncode == 2 and f"error: {tmp_path}/keras.json: Keras cannot" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("fails", [False, True])
def test_what_tensorflow_says_at_its_start_is_shown_only_if_it_fails(capfd, monkeypatch, fails):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    try:
        with launch._held_back():
            os.write(2, b"could not find cuda drivers\n")
            if fails:
                raise ImportError("no such library")
    except ImportError:
        pass
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "could not find cuda drivers\n" * fails + "after\n"


@pytest.mark.parametrize("ending, status", [("os.abort()", -6), ("os.kill(os.getpid(), 11)", -11),
                                            ("os._exit(3)", 3)])
def test_what_tensorflow_says_is_shown_where_it_ends_the_process_itself(tmp_path, ending, status):
    """As where the processor lacks an instruction that it was built for."""
    (tmp_path / "tensorflow.py").write_text(f"import os\nos.write(2, b'F0000 needs AVX\\n')\n{ending}\n")
    ended = subprocess.run(
        [sys.executable, "-c", "from experiments.launch import start_tensorflow; start_tensorflow()"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{pathlib.Path(launch.__file__).parents[1]}"},
        capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (status, b"F0000 needs AVX\n")


def test_a_reader_that_has_seen_enough_is_no_fault():
    """As in `python -m experiments.sweep ... --only_print | head -1`."""
    program = "from experiments.launch import exit_on_error\nexit_on_error(lambda _: print('x\\n' * 100000))()"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"x\n"
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 128 + 13


def test_ctrl_c_among_the_first_imports_says_nothing(tmp_path):
    (tmp_path / "argparse.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    ended = subprocess.run([sys.executable, "-m", "experiments.train"], env=os.environ | {"PYTHONPATH": str(tmp_path)},
                           cwd=pathlib.Path(__file__).parents[2], capture_output=True)
    assert ended.returncode == -signal.SIGINT and ended.stderr == b""
