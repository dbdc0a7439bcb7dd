"""Computes proposals and their recall, which bounds every mAP.

    python -m experiments.propose --gin_file=experiments/aquarium.gin

Selective search is computed on all cores and kept in its cache; what is there already is left alone, so this may be
stopped and started again.
"""

import multiprocessing

import numpy as np
from tqdm import tqdm

from experiments.launch import check_jobs, exit_on_error, jobs, parser, start_tensorflow
from glimpse.errors import GlimpseError, whole_number

COUNTS = (10, 30, 100, 300, 1000, 2000, None)
IOUS = (0.5, 0.7)


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--split", action="append",
                       help="train, validation or test; may be given again; all three unless given")
    flags.add_argument("--jobs", type=int, help="images at a time; one a core unless given")
    flags.add_argument("--images", type=int, help="the first so many of each split alone, to see what to expect")
    flags = flags.parse_args(arguments)
    check_jobs(flags)
    most = None if flags.images is None else whole_number("--images", flags.images)
    start_tensorflow()
    import gin

    from glimpse import config
    from glimpse.data.selective_search import SelectiveSearch
    from glimpse.training.parts import check_built
    with config.configuration(flags.gin_file, flags.gin_param):
        parts = gin.get_bindings("Experiment")
        missing = {"data", "proposals"} - set(parts)
        if missing:
            raise GlimpseError(f"sets no Experiment.{' and no Experiment.'.join(sorted(missing))}")
        check_built("Experiment.proposals", parts["proposals"], ["__call__"], "@SelectiveSearch()")
        for split in flags.split or ("train", "validation", "test"):
            examples = parts["data"](split=split)
            images = range(min(len(examples), most or len(examples)))
            if isinstance(parts["proposals"], SelectiveSearch):
                compute(examples, images, parts["proposals"], jobs(flags))
            print(table(split, examples, images, parts["proposals"]), flush=True)


def compute(examples, images, proposals, processes):
    """Fills the cache of selective search for the images of these indices."""
    # New processes, not copies of this one, which may hold TensorFlow's threads.
    with multiprocessing.get_context("spawn").Pool(processes, _start, (examples, proposals)) as pool:
        list(tqdm(pool.imap_unordered(_compute, images), f"selective search, {proposals.mode}", len(images),
                  unit="image",
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
    from glimpse.data.proposals import recall
    numbers = []

    def counted(image, id):
        boxes = proposals(image, id)
        numbers.append(len(boxes))
        return boxes

    recalls = recall(counted, tqdm((examples[i] for i in images), "recall", len(images), unit="image", leave=False,
                                   disable=None), IOUS, COUNTS)
    lines = [
        f"{split}: {len(images)} images, {np.mean(numbers):.0f} proposals an image ({min(numbers)} to {max(numbers)})",
        f"{'first':>8}" + "".join(f"{f'recall at IoU {iou}':>20}" for iou in IOUS)]
    for count, row in zip(COUNTS, recalls):
        if count is None or count < max(numbers):
            lines.append(f"{count or 'all':>8}" + "".join(f"{100 * each:18.1f} %" for each in row))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
