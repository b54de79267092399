"""File names of BIDS: entities `key-value` joined by underscores, then a suffix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.dataset.names import is_image
from mist_bundle.errors import Problem
from mist_bundle.runtime.reading.formats import image_stem

SUBJECT, SESSION, RUN = "sub", "ses", "run"
_ENTITY = re.compile(r"([a-zA-Z0-9]+)-([a-zA-Z0-9.+]+)")
_WORD = re.compile(r"[a-zA-Z0-9]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class BidsFile:
    """An image file with the parts of its name.

    Attributes:
        path: the file.
        entities: key -> value, in the order of the name; `sub` always.
        suffix: what kind of image it is, such as T1w.
    """

    path: Path
    entities: Mapping[str, str]
    suffix: str

    @property
    def session(self) -> str:
        """Label of the session, "" without sessions."""
        return self.entities.get(SESSION, "")

    @property
    def run(self) -> str:
        """Number of the run, "" where there is only one."""
        return self.entities.get(RUN, "")

    @property
    def channel(self) -> str:
        """The suffix with the entities that tell images of a session apart, such as `ce-gd_T1w`."""
        parts = []
        for key, value in self.entities.items():
            if key not in (SUBJECT, SESSION, RUN):
                parts.append(f"{key}-{value}")
        return "_".join([*parts, self.suffix])


def parse_name(path: Path) -> BidsFile | str:
    """Read the name of an image file; what is wrong with it where it is not a BIDS name."""
    *pairs, suffix = image_stem(path).split("_")
    if not _WORD.fullmatch(suffix):
        return f"has no suffix like T1w at the end of its name, but {suffix!r}"
    entities: dict[str, str] = {}
    for pair in pairs:
        match = _ENTITY.fullmatch(pair)
        if match is None:
            return f"has the part {pair!r}, which is not a key-value pair like ses-1"
        if match[1] in entities:
            return f"has the entity {match[1]!r} twice"
        entities[match[1]] = match[2]
    if SUBJECT not in entities:
        return "does not begin with the subject, like sub-01"
    return BidsFile(path=path, entities=entities, suffix=suffix)


def bids_files(root: Path, problems: list[Problem]) -> list[BidsFile]:
    """The image files of all subjects and sessions below a folder, sorted; those with other names are `problems`.

    Only sub-*/<kind>/ and sub-*/ses-*/<kind>/ are looked into, as BIDS has them.
    """
    files: list[BidsFile] = []
    for subject in sorted(root.glob("sub-*")):
        paths = [*subject.glob("*/*"), *subject.glob("ses-*/*/*")]
        for path in sorted(paths):
            if not is_image(path) or path.is_dir():
                continue
            parsed = parse_name(path)
            place = path.relative_to(root).as_posix()
            if isinstance(parsed, str):
                problems.append(Problem(place, f"{parsed}. Rename it by the rules of BIDS, or remove it."))
            elif f"sub-{parsed.entities[SUBJECT]}" != subject.name:
                problems.append(Problem(place, f"names the subject {parsed.entities[SUBJECT]!r}, unlike its folder."))
            elif parsed.session and f"ses-{parsed.session}" not in path.parts:
                problems.append(Problem(place, f"names the session {parsed.session!r}, unlike its folder."))
            elif not path.is_file():
                message = "is a link without content, as git-annex leaves it. Fetch it (datalad get), or remove it."
                problems.append(Problem(place, message))
            else:
                files.append(parsed)
    return files
