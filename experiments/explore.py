"""Makes a page to explore what a trained run looks at: python -m experiments.explore --run=runs/x [--against=runs/y]

One HTML file, to be opened anywhere, with every object of the split: what was looked at, what was answered after each
glimpse, what became of it. Beside it goes the same as a table, a CSV file. With --against, two runs of the same data
stand side by side.
"""

import pathlib

from experiments.launch import check_out, exit_on_error, run_parser, start_tensorflow
from glimpse.errors import GlimpseError, whole_number
from glimpse.files import write_whole


@exit_on_error
def main(arguments=None):
    flags = run_parser(__doc__)
    flags.add_argument("--against", type=pathlib.Path, metavar="RUN", help="another run of the same data")
    flags.add_argument("--split", default="test", help="train, validation or test")
    flags.add_argument("--images", type=int, metavar="N", help="the first so many of the split alone")
    flags.add_argument("--out", type=pathlib.Path, help="the file; RUN/explore.html unless given")
    flags = flags.parse_args(arguments)
    most = None if flags.images is None else whole_number("--images", flags.images)
    runs = [flags.run] if flags.against is None else [flags.run, flags.against]
    names = names_of(runs)
    out = flags.out or flags.run / "explore.html"
    files = out, out.with_suffix(".csv")
    check_files(out, files)
    start_tensorflow()
    from glimpse.explorer.explored import check_same_data, compare
    from glimpse.explorer.page import page, table
    explored, settings = [], []
    for run, name in zip(runs, names):
        found, chosen = explored_run(run, name, flags.split, most, flags.allow_import)
        explored.append(found)
        settings.append(chosen)
    if flags.against is not None:
        check_same_data(*explored)
        compare(*explored)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(files[0], page(flags.split, explored, settings))
    write_whole(files[1], table(explored).to_csv(index=False).encode("utf-8", "backslashreplace"))
    print(f"{len(explored[0].objects):,} objects in {len(explored[0].images):,} images, "
          f"{out.stat().st_size / 1e6:.1f} MB: {files[0]}, and as a table {files[1]}")


def names_of(runs):
    """What to call the runs: their directories' names, or their paths where these are the same."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise GlimpseError(f"--run and --against are both {runs[0]}; name two runs")
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def check_files(out, files):
    """Raises GlimpseError unless the files can be written where nothing stands."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise GlimpseError(f"--out={out} must be the name of an HTML file, such as explore.html")
    check_out(out.parent)
    for path in files:
        if path.exists():
            raise GlimpseError(f"{path} is there already; remove it, or name another file with --out")


def explored_run(run, name, split, most, allow_import):
    """The Explored of a run, and its settings as texts."""
    from glimpse import config
    from glimpse.data.example import Part
    from glimpse.explorer.objects import explore
    from glimpse.training.restore import restored
    with restored(run, allow_import) as (experiment, step):
        examples = experiment.annotated(split)
        first = Part(examples, range(min(most or len(examples), len(examples))))
        found = explore(name, experiment.detector, first, experiment.proposals, experiment.seed,
                        experiment.trained_on.class_names, experiment.evaluation_batch_size, experiment.framing)
        return found, {**{key: str(value) for key, value in config.macros().items()}, "steps trained": str(step)}


if __name__ == "__main__":
    main()
