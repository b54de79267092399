"""`python -m mist_bundle.autoconfig dataset.json`: the same as `mist-bundle autoconfig dataset.json`."""

import sys

from mist_bundle.cli import run_verb


def main() -> int:
    """Run autoconfig on the words of the command line; returns the exit code."""
    return run_verb("autoconfig", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
