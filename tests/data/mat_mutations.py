"""Mutates a.mat and b.mat of a folder and prints what became of them as JSON.

    python -m tests.data.mat_mutations FOLDER COUNT

Each is read in a process of its own, a copy of this one, as `glimpse.data.mat_boxes` is run by the program.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time

import numpy as np

from glimpse.data import mat_boxes
from glimpse.data.proposal_files import _boxes_of_mat
from tests.data.mutated import broken


def outcome(path):
    """"read", "refused", "crashed" (in the other process) or "hung"."""
    with tempfile.TemporaryFile() as written:
        child = os.fork()
        if not child:
            os.dup2(written.fileno(), 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                mat_boxes.main(path)
                sys.stdout.flush()
                os._exit(0)
            except Exception:
                os._exit(1)
        began = time.monotonic()
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - began > 60:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "hung"
            time.sleep(0.001)
        if os.WIFSIGNALED(status):
            return "crashed"
        if os.WEXITSTATUS(status):
            return "refused"
        written.seek(0)
        ids, boxes = _boxes_of_mat(written.read())
        assert len(ids) == len(boxes) and all(each.ndim == 2 and each.shape[1] == 4 for each in boxes)
        assert all(each.dtype == np.float32 for each in boxes)
        return "read"


def main(folder, count):
    outcomes = dict.fromkeys(("read", "refused", "crashed", "hung"), 0)
    whole = [open(os.path.join(folder, name), "rb").read() for name in ("a.mat", "b.mat")]
    for number in range(count):
        path = os.path.join(folder, "mutated.mat")
        with open(path, "wb") as file:
            file.write(broken(random.Random(number), whole[number % 2]))
        outcomes[outcome(path)] += 1
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
