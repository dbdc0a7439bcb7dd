"""What the entry points share: the flags of a configuration, the check of --out, and how a fault ends a program."""

import argparse
import functools
import sys

from glimpse.errors import GlimpseError


def parser(description):
    """An argument parser with the flags that gin documents for its programs."""
    flags = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add_configuration_flags(flags)
    return flags


def add_configuration_flags(flags):
    """Adds those flags to a parser."""
    flags.add_argument("--gin_file", required=True, help="a configuration, a path or a name below configs/")
    flags.add_argument("--gin_param", action="append", default=[], metavar="NAME=VALUE",
                       help="a binding over the file; may be given again")


def check_out(out):
    """Raises GlimpseError where --out, a Path, is no directory and cannot become one."""
    file = next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        raise GlimpseError(f"--out={out}: {file} is a file; name a directory")


def exit_on_error(main):
    """Prints a GlimpseError as one line and exits with status 2; any other exception keeps its traceback."""
    @functools.wraps(main)
    def wrapped(arguments=None):
        try:
            main(arguments)
        except GlimpseError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(130)
    return wrapped
