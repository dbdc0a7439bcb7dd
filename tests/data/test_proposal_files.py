import io
import json
import os
import pathlib
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import scipy.io

from glimpse.data import proposal_files
from glimpse.data.proposal_files import ProposalFiles
from glimpse.errors import GlimpseError
from tests.data.mutated import broken

IMAGE = np.zeros([30, 40, 3], np.uint8)
MUTATIONS = int(os.environ.get("GLIMPSE_MUTATIONS", 2400))


def write_mat(path, boxes):
    """In the layout of Fast R-CNN's selective_search_data: two cell arrays, y1 x1 y2 x2, 1-based and inclusive."""
    cells = {name: np.empty([1, len(boxes)], object) for name in ("images", "boxes")}
    for place, (id, values) in enumerate(boxes.items()):
        cells["images"][0, place], cells["boxes"][0, place] = id, np.array(values, np.uint16).reshape(-1, 4)
    scipy.io.savemat(path, {"images": cells["images"].T, "boxes": cells["boxes"]})


def test_the_layout_of_fast_rcnn_by_hand(tmp_path):
    # The whole image; the one pixel in row 7 and column 5; and as uint16, which must not wrap below 0.
    write_mat(tmp_path / "a.mat", {"000005": [[1, 1, 30, 40], [7, 5, 7, 5]], "000007": [[2, 3, 4, 9]]})
    proposals = ProposalFiles([tmp_path / "a.mat"])
    np.testing.assert_array_equal(proposals(IMAGE, "000005"), [[0, 0, 40, 30], [4, 6, 5, 7]])
    np.testing.assert_array_equal(proposals(IMAGE, "000007"), [[2, 1, 9, 4]])
    assert proposals(IMAGE, "000005").dtype == np.float32
    np.testing.assert_array_equal(ProposalFiles([str(tmp_path / "a.mat")], most=1)(IMAGE, "000005"), [[0, 0, 40, 30]])


def test_npz_and_several_files(tmp_path):
    np.savez(tmp_path / "a.npz", x=[[0.5, 1, 2, 3.25]])
    write_mat(tmp_path / "b.mat", {"y": [[1, 1, 2, 2]]})
    proposals = ProposalFiles([tmp_path / "a.npz", tmp_path / "b.mat"])
    np.testing.assert_array_equal(proposals(IMAGE, "x"), [[0.5, 1, 2, 3.25]])
    np.testing.assert_array_equal(proposals(IMAGE, "y"), [[0, 0, 2, 2]])


@pytest.mark.parametrize("content, message", [
    (dict(x=[[0, 0, 42, 3]]), "image 'x' of 40x30 pixels has proposals outside it"),
    (dict(x=[[0, 0, np.nan, 3]]), "image 'x' of 40x30 pixels has proposals outside it"),
    (dict(x=[[0, 0, 1, 3], [5, 5, 5, 9]]), "a.npz holds no proposals .*image 'x' has an empty or reversed proposal"),
    (dict(x=[[0, 9, 1, 3]]), "a.npz holds no proposals .*image 'x' has an empty or reversed proposal"),
    (dict(x=[[40, 0, 41, 3]]), "image 'x' of 40x30 pixels has proposals outside it"),
    (dict(x=[["0", "0", "1", "3"]]), "a.npz holds no proposals .*an array .N, 4. of numbers"),
    (dict(x=np.empty([0, 4])), "image 'x' of 40x30 pixels has no proposal"),
    (dict(x=[0, 0, 1, 3]), r"a.npz holds no proposals .*\[N, 4\]"),
    (dict(y=[[0, 0, 1, 3]]), "hold no proposals of image 'x'"),
])
def test_faults_name_file_or_image(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(GlimpseError, match=message):
        ProposalFiles([tmp_path / "a.npz"])(IMAGE, "x")


def test_files_that_are_none_of_either(tmp_path):
    (tmp_path / "a.mat").write_text("boxes")
    scipy.io.savemat(tmp_path / "b.mat", {"boxes": np.zeros([3, 4])})
    for name in ("a.mat", "b.mat", "c.npz", "d.txt"):
        with pytest.raises(GlimpseError, match=f"{name} holds no proposals that can be read"):
            ProposalFiles([tmp_path / name])
    np.savez(tmp_path / "a.npz", x=[[0, 0, 1, 3]])
    with pytest.raises(GlimpseError, match="image 'x' has proposals in another file"):
        ProposalFiles([tmp_path / "a.npz"] * 2)
    with pytest.raises(GlimpseError, match="ProposalFiles.paths must be a list of files, got 'a.npz'"):
        ProposalFiles("a.npz")


def test_ids_that_are_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", **{"42": [[0, 0, 1, 3]]})
    np.testing.assert_array_equal(ProposalFiles([tmp_path / "a.npz"])(IMAGE, 42), [[0, 0, 1, 3]])


def test_an_image_that_a_file_has_twice_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            content = io.BytesIO()
            np.save(content, np.float32([[0, 0, 1, 3]]))
            file.writestr("x.npy", content.getvalue())
    with pytest.raises(GlimpseError, match="a.npz holds no proposals .*'x' is in it more than once"):
        ProposalFiles([tmp_path / "a.npz"])


def test_a_reader_of_mat_that_crashes_is_an_error_in_one_line(tmp_path, monkeypatch):
    """SciPy's can, on a damaged file."""
    (tmp_path / "crash.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(proposal_files, "MAT_BOXES", tmp_path / "crash.py")
    write_mat(tmp_path / "a.mat", {"x": [[1, 1, 2, 2]]})
    with pytest.raises(GlimpseError, match="a.mat holds no proposals that can be read: .*its reader crashed .-11."):
        ProposalFiles([tmp_path / "a.mat"])


def test_damaged_mat_files_are_refused_or_give_boxes(tmp_path):
    """A process a file, as the program has it, but a copy of one that has SciPy already."""
    write_mat(tmp_path / "a.mat", {"x": [[1, 1, 20, 20]] * 9, "y": [[1, 1, 2, 2]]})
    cells = scipy.io.loadmat(tmp_path / "a.mat", variable_names=("boxes", "images"))
    scipy.io.savemat(tmp_path / "b.mat", {name: cells[name] for name in ("boxes", "images")}, do_compression=True)
    command = [sys.executable, "-m", "tests.data.mat_mutations", tmp_path, str(MUTATIONS // 20)]
    ended = subprocess.run(command, cwd=pathlib.Path(__file__).parents[2], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    outcomes = json.loads(ended.stdout)
    assert outcomes["refused"] and not outcomes["hung"] and sum(outcomes.values()) == MUTATIONS // 20, outcomes


def test_damaged_npz_files_are_refused_or_give_boxes(tmp_path):
    np.savez(tmp_path / "a.npz", x=[[0, 0, 1, 3]] * 9)
    whole = (tmp_path / "a.npz").read_bytes()
    for number in range(MUTATIONS // 8):
        (tmp_path / "a.npz").write_bytes(broken(random.Random(number), whole))
        try:
            boxes = ProposalFiles([tmp_path / "a.npz"])(IMAGE, "x")
        except GlimpseError as error:
            assert str(error).isprintable()
        else:
            np.testing.assert_array_equal(boxes, [[0, 0, 1, 3]] * 9)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(GlimpseError, match="a.npz holds no proposals .*it is no regular file"):
        ProposalFiles([tmp_path / "a.npz"])
