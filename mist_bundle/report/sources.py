"""The files that a report reads: the cases of a dataset, or those of a bundle with their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import configured_dataset_dir
from mist_bundle.dataset.cases import Case


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFiles:
    """The files of a case.

    Attributes:
        id: of the case.
        images: channel name -> file.
        label: the reference.
        prediction: the out-of-fold prediction; None where it does not exist.
        fold: the fold in which the case was held out; None outside a bundle.
    """

    id: str
    images: dict[str, Path]
    label: Path
    prediction: Path | None = None
    fold: int | None = None

    @property
    def are_there(self) -> bool:
        """Whether images and reference exist."""
        return all(path.is_file() for path in (self.label, *self.images.values()))


def files_of_cases(cases: Sequence[Case]) -> list[CaseFiles]:
    """The files of the labelled cases of a dataset."""
    files = []
    for case in cases:
        if case.label is not None:
            files.append(CaseFiles(id=case.id, images=case.images, label=case.label))
    return files


def files_of_bundle(bundle: Bundle, dataset_dir: Path | None = None) -> list[CaseFiles]:
    """The training cases of a bundle, sorted by id, whether or not their files exist.

    Args:
        bundle: the bundle.
        dataset_dir: folder of the cases, if it is not the folder that the bundle was configured from.

    Raises:
        InputError: the plan or the datalist cannot be read.
    """
    root = dataset_dir or configured_dataset_dir(bundle.root)
    files = []
    for case in bundle.datalist.training:
        if case.label is None or case.fold is None:
            continue
        images = {}
        for channel, path in zip(bundle.plan.channel_names, case.images, strict=True):
            if channel not in case.missing:
                images[channel] = root / path
        prediction = bundle.fold(case.fold).prediction(case.id)
        files.append(
            CaseFiles(
                id=case.id,
                images=images,
                label=root / case.label,
                prediction=prediction if prediction.is_file() else None,
                fold=case.fold,
            )
        )
    return sorted(files, key=lambda case: case.id)
