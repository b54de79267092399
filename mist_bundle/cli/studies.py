"""Verbs that train several times: study."""

from __future__ import annotations

from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.cli.words import heading


@takes(mb.study)
def study(**arguments: Any) -> None:
    """Repeat a training with other seeds, for mean and spread of its results; run it again to continue."""
    done = mb.study(**arguments, announce=heading)
    seeds = ", ".join(map(str, done.means))
    print(f"\nMean ± standard deviation between the seeds {seeds}, and the mean of each:")
    for line in done.lines():
        print(f"  {line}")
    print(f"Study: {done.folder}")
