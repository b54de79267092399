"""Check the images of a case before a network sees them: a broken file is named instead of getting a prediction."""

from __future__ import annotations

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.integrity import check_headers, check_voxels
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.numerics.digest import scan_digest


def check_prediction_case(case: Case) -> list[str]:
    """What is wrong with the images of an unlabelled case: unreadable, truncated, NaN, or not in one grid."""
    return _examined(case)[1]


def digest_images(case: Case) -> dict[str, str]:
    """The hash of each channel's voxels, which copies of a scan share; "" for constant images.

    Raises:
        InputError: as `check_prediction_case` finds.
    """
    volumes, findings = _examined(case)
    if findings:
        raise InputError(Problem("test case", " ".join(findings)))
    return {name: scan_digest(volume.array, volume.affine) for name, volume in zip(case.images, volumes, strict=True)}


def _examined(case: Case) -> tuple[list[Volume], list[str]]:
    findings: list[str] = []
    volumes = []
    for path in case.images.values():
        try:
            volumes.append(read_volume(path))
        except InputError as error:
            findings += [str(problem) for problem in error.problems]
    for volume in volumes:
        findings += check_voxels(volume)
    for other in volumes[1:]:
        findings += check_headers(volumes[0], other.on_grid_of(volumes[0]))
    return volumes, findings
