"""Where the files of a report lie: the cases of a data set, or those of a bundle with their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.bundle.launch import configured_dataset_dir
from mist_bundle.dataset.cases import Case
from mist_bundle.files import DATALIST_JSON, read_json, work_dir_of


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFiles:
    """The files of one case.

    Attributes:
        id: the case.
        images: channel name -> file.
        label: the reference.
        prediction: the out-of-fold prediction; None where there is none.
        fold: the fold in which the case was held out; None outside a bundle.
    """

    id: str
    images: dict[str, Path]
    label: Path
    prediction: Path | None = None
    fold: int | None = None


def files_of_cases(cases: Sequence[Case]) -> list[CaseFiles]:
    """The files of labelled cases of a data set."""
    return [CaseFiles(id=case.id, images=case.images, label=case.label) for case in cases if case.label is not None]


def files_of_bundle(bundle: Path, channel_names: Sequence[str], dataset_dir: Path | None = None) -> list[CaseFiles]:
    """The training cases of a bundle by its datalist, sorted by id; files that are not there are listed all the same.

    Args:
        bundle: its folder.
        channel_names: of the plan, in the order of the datalist's images.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
    """
    root = dataset_dir or configured_dataset_dir(bundle)
    folds = work_dir_of(bundle)
    found = []
    for item in read_json(bundle / DATALIST_JSON)["training"]:
        prediction = folds / f"fold_{item['fold']}" / "predictions" / f"{item['id']}.nii.gz"
        found.append(
            CaseFiles(
                id=str(item["id"]),
                images={name: root / path for name, path in zip(channel_names, item["image"], strict=True)},
                label=root / item["label"],
                prediction=prediction if prediction.is_file() else None,
                fold=int(item["fold"]),
            )
        )
    return sorted(found, key=lambda case: case.id)
