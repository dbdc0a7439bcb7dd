import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from experiments import export
from glimpse.data.batches import evaluation_batches
from glimpse.randomness import stateless_seed
from glimpse.training.restore import restored

ANSWER = """
import sys
import numpy as np
import tensorflow as tf
for directory, batch, answers in zip(*[iter(sys.argv[1:])] * 3):
    given = {name: tf.constant(value) for name, value in np.load(batch).items()}
    found = tf.saved_model.load(directory).signatures["serving_default"](**given)
    np.savez(answers, **{name: value.numpy() for name, value in found.items()})
assert not [name for name in sys.modules if name.split(".")[0] in ("glimpse", "experiments", "gin")]
"""


def test_the_model_answers_as_the_run_does_in_a_process_that_knows_tensorflow_alone(tmp_path, digit_run, photo_run):
    arguments, expected = [], []
    for name, run in (("digits", digit_run), ("photos", photo_run)):
        export.main([f"--run={run}", f"--out={tmp_path / name}"])
        with restored(run) as (experiment, step):
            data = experiment.data(split="test")
            examples = [data[0], data[1]] if experiment.framing is None else [data[1]]  # of one size
            batch, = evaluation_batches(examples, experiment.proposals, 2, experiment.framing)
            height, width = batch.sizes[0]
            if experiment.framing is not None:
                assert batch.images.shape[1:3] != (height, width)
            np.savez(tmp_path / f"{name}.npz", images=batch.images[:, :height, :width], proposals=batch.proposals)
            seed = stateless_seed(experiment.seed, "evaluation", 0)
            found, _ = tf.function(experiment.detector.detect)(batch.images, batch.proposals, seed, batch.sizes)
            expected.append(found._asdict())
            content = json.loads((tmp_path / name / "detector.json").read_text())
            assert content["classes"] == list(experiment.trained_on.class_names) and content["step"] == step == 6
        arguments += [tmp_path / name, tmp_path / f"{name}.npz", tmp_path / f"{name}-answers.npz"]
    subprocess.run([sys.executable, "-c", ANSWER, *map(str, arguments)], check=True, cwd=tmp_path)
    for name, found in zip(("digits", "photos"), expected):
        answers = np.load(tmp_path / f"{name}-answers.npz")
        assert set(answers) == set(found) and found["counts"].numpy().min() > 5
        for part, value in found.items():
            assert answers[part].dtype == value.dtype
            np.testing.assert_allclose(answers[part], value, atol=1e-5, rtol=1e-5)
    described = [json.loads((tmp_path / name / "detector.json").read_text())["images"] for name in ("digits", "photos")]
    assert described == [{"channels": 1, "height": 96, "width": 96},
                         {"channels": 3, "short_side": 40, "longest_side": 64, "canvas": None}]


def test_the_directory_one_stands_in_will_do_if_it_is_empty(tmp_path, digit_run, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    export.main([f"--run={digit_run}", "--out=."])
    assert {"saved_model.pb", "detector.json"} < {path.name for path in (tmp_path / "here").iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_faults_end_with_one_line_and_nothing_is_written(tmp_path, capsys):
    def fails(*arguments):
        with pytest.raises(SystemExit) as stop:
            export.main(list(map(str, arguments)))
        assert stop.value.code == 2
        return capsys.readouterr().err.strip()

    (tmp_path / "mine.txt").write_text("mine")
    assert f"--out={tmp_path} is not empty; name another directory" in fails(f"--run={tmp_path}", f"--out={tmp_path}")
    assert "mine.txt is a file; name a directory" in fails(f"--run={tmp_path}", f"--out={tmp_path / 'mine.txt'}")
    assert "holds no config.gin" in fails(f"--run={tmp_path}", f"--out={tmp_path / 'new'}")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
