"""Evaluates a trained run on a split: python -m experiments.evaluate --run=runs/x --split=test"""

import argparse
import json
import pathlib

from experiments.launch import exit_on_error
from glimpse.training.experiment import restored


@exit_on_error
def main(arguments=None):
    flags = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    flags.add_argument("--run", required=True, type=pathlib.Path, help="directory of the run")
    flags.add_argument("--split", default="test", help="train, validation or test")
    flags = flags.parse_args(arguments)
    with restored(flags.run) as (experiment, step):
        print(json.dumps({"step": step, **experiment.evaluate(flags.split)}, indent=2))


if __name__ == "__main__":
    main()
