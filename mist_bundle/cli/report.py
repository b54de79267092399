"""The verb that writes pages to look at."""

from __future__ import annotations

from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName
from mist_bundle.cli.words import fail_for


@takes(mb.Bundle.report)
def report(bundle: FileName, **arguments: Any) -> None:
    """Write one HTML page about a bundle: data, plan, training, results, pictures, and how to reproduce it.

    Args:
        bundle: the bundle's folder; missing parts are named with the commands that make them.
    """
    written = mb.Bundle(bundle).report(**arguments)
    print(f"Report: {written.page}")
    if written.viewer is not None:
        print(f"Viewer: {written.viewer}")
    elif arguments.get("viewer", True):
        print(f"Viewer: none ({written.no_viewer})")
    fail_for(written.problems, written.num_cases, "not readable")
