"""`python -m mist_bundle COMMAND`: the same as `mist-bundle COMMAND`."""

import sys

from mist_bundle.cli import main

if __name__ == "__main__":
    sys.exit(main())
