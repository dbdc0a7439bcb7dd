"""Computes proposals and their recall, which bounds every mAP.

    python -m experiments.propose --gin_file=experiments/aquarium.gin

Selective search is computed on all cores and kept in its cache; what is there already is left alone, so this may be
stopped and started again.
"""

import multiprocessing
import pathlib

from tqdm import tqdm

from experiments.launch import check_jobs, exit_on_error, jobs, parser, start_tensorflow
from glimpse.errors import GlimpseError, whole_number


@exit_on_error
def main(arguments=None):
    flags = parser(__doc__)
    flags.add_argument("--split", action="append",
                       help="train, validation or test; may be given again; all three unless given")
    flags.add_argument("--jobs", type=int, help="images at a time; one a core unless given")
    flags.add_argument("--images", type=int, help="the first so many of each split alone, to see what to expect")
    flags.add_argument("--picture", type=pathlib.Path, metavar="NAME",
                       help="also draw the recall over the number of proposals, as NAME.png and NAME.pdf")
    flags = flags.parse_args(arguments)
    check_jobs(flags)
    if flags.picture and not flags.picture.parent.is_dir():
        raise GlimpseError(f"--picture={flags.picture}: there is no directory {flags.picture.parent}; make it first")
    most = None if flags.images is None else whole_number("--images", flags.images)
    start_tensorflow()
    import gin

    from glimpse import config
    from glimpse.data.example import NoSplit
    from glimpse.data.proposals import RECALL_IOUS, measured_recall
    from glimpse.data.selective_search import SelectiveSearch
    from glimpse.training.parts import check_built
    from glimpse.visualization.data_pictures import plot_recall
    from glimpse.visualization.writing import write_figure
    with config.configuration(flags.gin_file, flags.gin_param):
        parts = gin.get_bindings("Experiment")
        missing = {"data", "proposals"} - set(parts)
        if missing:
            raise GlimpseError(f"sets no Experiment.{' and no Experiment.'.join(sorted(missing))}")
        check_built("Experiment.proposals", parts["proposals"], ["__call__"], "@SelectiveSearch()")
        recalls = {}
        for split in flags.split or ("train", "validation", "test"):
            try:
                examples = parts["data"](split=split)
            except NoSplit as error:
                if flags.split:
                    raise
                print(str(error).splitlines()[0])
                continue
            images = range(min(len(examples), most or len(examples)))
            if isinstance(parts["proposals"], SelectiveSearch):
                compute(examples, images, parts["proposals"], jobs(flags))
            recalls[split] = measured_recall(parts["proposals"], tqdm(
                (examples[i] for i in images), "recall", len(images), unit="image", leave=False, disable=None))
            print(table(split, len(images), recalls[split]), flush=True)
    if flags.picture:
        write_figure(flags.picture, plot_recall({
            f"{split}, IoU {iou}": (found["numbers"], found["recall"][:, place])
            for split, found in recalls.items() for place, iou in enumerate(RECALL_IOUS)}))


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


def table(split, images, found):
    """Recall over the number of proposals, as text."""
    from glimpse.data.proposals import RECALL_IOUS
    lines = [f"{split}: {images} images, {found['mean']:.0f} proposals an image ({found['least']} to {found['most']})",
             f"{'first':>8}" + "".join(f"{f'recall at IoU {iou}':>20}" for iou in RECALL_IOUS)]
    lines += [f"{count or 'all':>8}" + "".join(f"{100 * each:18.1f} %" for each in row)
              for count, row in zip(found["counts"], found["recall"])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
