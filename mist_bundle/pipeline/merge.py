"""One fingerprint of several sites' data: what was measured travels, the images stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import refuse_existing, refuse_to_replace


def merge_fingerprints(sources: Sequence[Path], output: Path, *, overwrite: bool = False) -> Fingerprint:
    """Merge the fingerprints of parts of a dataset; the order of the parts does not matter.

    Args:
        sources: fingerprint.json files, as analyze and autoconfig write them.
        output: the file to write.
        overwrite: replace an existing file.

    Raises:
        InputError: naming every source that cannot be read, and every case that is in two of them.
    """
    refuse_existing(output, overwrite=overwrite)
    refuse_to_replace(output, sources)
    problems: list[Problem] = []
    parts: list[Fingerprint] = []
    for source in sources:
        with Collecting(problems):
            parts.append(Fingerprint.read(source))
    names = Counter(case.id for part in parts for case in part.cases)
    for name, count in names.items():
        if count > 1:
            text = f"is in {count} of the fingerprints; name it differently at each site, or leave one of them out."
            problems.append(Problem(name, text))
    if not sources:
        problems.append(Problem("sources", "names no fingerprint; expected the fingerprint.json of each site."))
    if problems:
        raise InputError(problems)
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    output.parent.mkdir(parents=True, exist_ok=True)
    merged.write(output)
    return merged
