"""Writes the report of a study: `python -m experiments.report --study=runs/glimpse_count_quick [--split=test]`.

Into the directory of the study go `report.md`, its pictures, and `report.html`, which holds them and opens anywhere;
the main tables are printed as well.
"""

import argparse
from pathlib import Path

from experiments.launch import exit_on_error


@exit_on_error
def main(arguments=None):
    flags = argparse.ArgumentParser(prog="python -m experiments.report", description=__doc__, allow_abbrev=False)
    flags.add_argument("--study", required=True, type=Path, help="directory of the study")
    flags.add_argument("--split", default="test", help="split whose metrics are reported (default: test)")
    flags = flags.parse_args(arguments)
    from glimpse.studies.report.contents import read_contents
    from glimpse.studies.report.document import summary_text, write_report
    contents = read_contents(flags.study, flags.split)
    path = write_report(contents)
    print(summary_text(contents))
    print(f"\nreport: {path}")


if __name__ == "__main__":
    main()
