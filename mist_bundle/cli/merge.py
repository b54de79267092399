"""The verb that merges what several sites measured."""

from __future__ import annotations

from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.files import FINGERPRINT_JSON


@takes(mb.merge_fingerprints)
def merge_fingerprints(*sources: str, **arguments: Any) -> None:
    """Merge the fingerprint.json of several sites, so that all can plan the same training without sharing images.

    Args:
        *sources: fingerprint.json of each site, as analyze and autoconfig write it.
    """
    count = mb.merge_fingerprints(*sources, **arguments)
    output = arguments.get("output", FINGERPRINT_JSON)
    print(f"Fingerprint of {count} cases: {output}")
    print(f"Plan by it at each site: mist-bundle autoconfig DATASET_JSON --fingerprint {output}")
