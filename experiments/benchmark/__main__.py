"""Runs a benchmark and prints its table:  python -m experiments.benchmark roi_pooling [--runs N] [--json FILE]"""
import argparse
import pathlib
import sys

from experiments.launch import exit_on_error, imported_quietly
from glimpse.files import write_json

BENCHMARKS = {
    "roi_pooling": "RoI pooling and RoI align against torchvision",
    "glimpses": "what a further glimpse costs, with and without early stopping",
    "study": "what each row of a study costs, before it is run",
    "input_pipeline": "how long a training step waits for its batch",
    "coverage": "how often 95 % intervals contain the true mean",
    "memory": "whether memory grows",
    "watching": "what validation and TensorBoard add to a training step",
    "scaling": "what more devices gain, and what a longer list costs",
    "peer": "the networks against the same in PyTorch",
}


@exit_on_error
def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmark", description=__doc__.split(":")[0],
        epilog="\n".join(f"  {name:16}{what}" for name, what in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter, add_help=not BENCHMARKS.keys() & arguments)
    parser.add_argument("benchmark", choices=BENCHMARKS, metavar="benchmark", help="one of those below")
    chosen, _ = parser.parse_known_args(arguments)
    # Imported only now, because a benchmark may have to import its rivals before TensorFlow.
    benchmark = imported_quietly(f"experiments.benchmark.{chosen.benchmark}")

    parser = argparse.ArgumentParser(parents=[parser], prog=parser.prog, description=benchmark.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=_positive, default=11, help="timed runs after the warm-up")
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="also write the result here")
    if hasattr(benchmark, "ratios"):
        parser.add_argument("--ratios", type=_new_file, metavar="NAME",
                            help="also draw the ratios, as NAME.png and NAME.pdf")
    benchmark.add_flags(parser)
    options = parser.parse_args(arguments)
    result = benchmark.run(options)
    print(benchmark.table(result))
    if options.json:
        write_json(options.json, result)
    if getattr(options, "ratios", None):
        from glimpse.studies.pictures.ratios import plot_ratios
        from glimpse.visualization.writing import write_figure
        write_figure(options.ratios, plot_ratios(*benchmark.ratios(result)))


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _new_file(text):
    path = pathlib.Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot be written: {text}")
    return path


if __name__ == "__main__":
    main()
