"""Channel names of datasets in other layouts, and the modality that they suggest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mist_bundle.dataset.names import RESERVED_COLUMNS, file_name_problem
from mist_bundle.errors import Problem

_COMMON = 0.5  # share of the labelled cases that have a channel which is taken unasked
_CT_NAMES = ("ct", "cbct")
# abbreviations of magnetic resonance channels in the Decathlon and in datasets that share its layout
_MR_WORDS = re.compile(r"mri?|t1|t2|flair|adc|dwi|pd|swi|gd|magnetic resonance", re.IGNORECASE)


def channel_names(modality: Mapping[str, Any]) -> tuple[str, ...]:
    """Turn the channels of a dataset.json (`{"0": "T1w", …}`) into distinct lower-case names that fit file names.

    Returns:
        Names in the order of the channel numbers.
    """
    names: list[str] = []
    for number in sorted(modality, key=_numeric_order):
        name = re.sub(r"[^a-z0-9-]+", "_", str(modality[number]).lower()).strip("_")
        if not name:
            name = f"channel_{number}"
        if name in names or name in RESERVED_COLUMNS or file_name_problem(name):
            name = f"{name}_{number}"
        names.append(name)
    return tuple(names)


def numbering_problem(channels: Mapping[str, Any]) -> str:
    """Why the keys of a dataset.json's channels, `{"0": "T1w", …}`, do not number them, or "" when they do."""
    if set(channels) == {str(number) for number in range(len(channels))}:
        return ""
    example = '{"0": "CT"}'
    return f"numbers the channels {', '.join(channels)}; expected 0 to {len(channels) - 1}, like {example}."


def common_channels(counts: Mapping[str, int], num_cases: int) -> tuple[tuple[str, ...], list[Problem]]:
    """The channels that at least half of the cases have, sorted, and a warning about each of the others.

    A file that one case has more than the others must not cost the others their place.

    Args:
        counts: channel -> number of labelled cases that have it.
        num_cases: number of labelled cases.
    """
    common = []
    warnings = []
    for name, count in sorted(counts.items()):
        if count >= _COMMON * num_cases:
            common.append(name)
        else:
            message = f"only {count} of {num_cases} labelled cases have it; left out. Choose channels with --images."
            warnings.append(Problem(name, message))
    return tuple(common), warnings


def _numeric_order(number: str) -> tuple[int, str]:
    return len(number), number


def modality_of(names: Iterable[str]) -> str:
    """Guess the modality from channel names: "ct", "mr" or "other"."""
    modalities = {_modality_of_channel(str(name).strip().lower()) for name in names}
    return modalities.pop() if len(modalities) == 1 else "other"


def _modality_of_channel(name: str) -> str:
    if name in _CT_NAMES:
        return "ct"
    return "mr" if _MR_WORDS.search(name) else "other"
