"""Computes proposals and their recall, which bounds every mAP: python -m experiments.propose --gin_file=experiments/aquarium.gin

Selective search is computed on all cores and kept in its cache; what is there already is left alone, so this may be
stopped and started again.
"""

import multiprocessing

import gin
import numpy as np
from tqdm import tqdm

from experiments.launch import exit_on_error, parser
from glimpse import config
from glimpse.data.proposals import recall
from glimpse.data.selective_search import SelectiveSearch
from glimpse.errors import GlimpseError, whole_number
from glimpse.training import run

COUNTS = (10, 30, 100, 300, 1000, 2000, None)
IOUS = (0.5, 0.7)


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--split", action="append", help="train, validation or test; may be given again; all three unless given")
    flags.add_argument("--jobs", type=int, default=run.cores(), help="images at a time; one a core")
    flags.add_argument("--images", type=int, help="the first so many of each split alone, to see what to expect")
    flags = flags.parse_args(arguments)
    jobs = whole_number("--jobs", flags.jobs)
    with config.configuration(flags.gin_file, flags.gin_param):
        parts = gin.get_bindings("Experiment")
        missing = {"data", "proposals"} - set(parts)
        if missing:
            raise GlimpseError(f"sets no Experiment.{' and no Experiment.'.join(sorted(missing))}")
        for split in flags.split or ("train", "validation", "test"):
            examples = parts["data"](split=split)
            images = range(min(len(examples), whole_number("--images", flags.images) if flags.images else len(examples)))
            if isinstance(parts["proposals"], SelectiveSearch):
                compute(examples, images, parts["proposals"], jobs)
            print(table(split, examples, images, parts["proposals"]), flush=True)


def compute(examples, images, proposals, jobs):
    """Fills the cache of selective search for the images of these indices."""
    # New processes, not copies of this one, which may hold TensorFlow's threads.
    with multiprocessing.get_context("spawn").Pool(jobs, _start, (examples, proposals)) as pool:
        list(tqdm(pool.imap_unordered(_compute, images), f"selective search, {proposals.mode}", len(images), unit="image",
                  mininterval=1))


def _start(examples, proposals):
    global _examples, _proposals
    _examples, _proposals = examples, proposals


def _compute(index):
    image = _examples[index].image
    if not _proposals.path(image).exists():
        _proposals.compute(image)


def table(split, examples, images, proposals):
    """Recall over the number of proposals, as text."""
    numbers = []

    def counted(image, id):
        boxes = proposals(image, id)
        numbers.append(len(boxes))
        return boxes

    shares = recall(counted, tqdm((examples[i] for i in images), "recall", len(images), unit="image", leave=False,
                                  disable=None), IOUS, COUNTS)
    lines = [f"{split}: {len(images)} images, {np.mean(numbers):.0f} proposals an image ({min(numbers)} to {max(numbers)})",
             f"{'first':>8}" + "".join(f"{f'recall at IoU {iou}':>20}" for iou in IOUS)]
    for count, row in zip(COUNTS, shares):
        if count is None or count < max(numbers):
            lines.append(f"{count or 'all':>8}" + "".join(f"{100 * share:18.1f} %" for share in row))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
