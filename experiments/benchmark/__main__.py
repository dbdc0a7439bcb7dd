"""Runs a benchmark and prints its table:  python -m experiments.benchmark roi_pooling [--runs N] [--json FILE]"""
import argparse
import importlib
import json
import os
import pathlib
import sys

BENCHMARKS = ("roi_pooling",)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmark", description=__doc__.split(":")[0])
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--runs", type=_positive, default=11, help="timed runs after the warm-up, of which the median is shown")
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="also write the result here")
    options = parser.parse_args(arguments)

    # Imported only now, because a benchmark may have to import its rivals before TensorFlow.
    benchmark = importlib.import_module(f"experiments.benchmark.{options.benchmark}")
    result = benchmark.run(options.runs)
    print(benchmark.table(result))
    if options.json:
        unfinished = options.json.with_name(options.json.name + ".tmp")
        unfinished.write_text(json.dumps(result, indent=2) + "\n")
        os.replace(unfinished, options.json)


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
    sys.exit(main())
