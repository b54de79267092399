"""Verbs that make or convert data sets: convert_msd, convert_nnunet, convert_csv, phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from mist_bundle.cli.kinds import Count, CountOrNone, FileName, Seed
from mist_bundle.cli.words import optional_path, warn
from mist_bundle.dataset.spec_reader import MODALITIES
from mist_bundle.errors import Problem
from mist_bundle.files import read_json
from mist_bundle.runtime.values import Whole, Word

# Heavy imports stand inside the verbs, so that --help answers at once.


def convert_msd(
    source: FileName,
    output: FileName,
    copy: bool = False,
    limit: Count | None = None,
    start: CountOrNone = 0,
    overwrite: bool = False,
) -> None:
    """Describe a Medical Segmentation Decathlon folder for autoconfig; images are linked, not copied.

    Args:
        source: folder with dataset.json, imagesTr and labelsTr.
        output: folder to make.
        copy: copy the images instead of linking them.
        limit: take only so many cases, in sorted order.
        start: pass over so many cases first.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.dataset.msd_layout import convert_msd as convert

    made = convert(Path(source), Path(output), copy=copy, limit=limit, start=start, overwrite=overwrite)
    print(f"Data set: {made}")


def convert_nnunet(
    source: FileName,
    output: FileName,
    splits: FileName | None = None,
    copy: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
) -> None:
    """Describe an nnU-Net raw data set (dataset.json of version 2) for autoconfig; images are linked, not copied.

    Args:
        source: folder with dataset.json, imagesTr and labelsTr.
        output: folder to make.
        splits: splits_final.json, whose folds are kept; the one beside dataset.json by default.
        copy: copy the images instead of linking them.
        dry_run: only show what was understood.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.dataset.nnunet_layout import FOLDS_CSV
    from mist_bundle.dataset.nnunet_layout import convert_nnunet as convert
    from mist_bundle.dataset.nnunet_source import read_nnunet

    dataset = read_nnunet(Path(source), optional_path(splits))
    for thing, value in dataset.table():
        print(f"{thing:<16}{value}")
    if dry_run:
        print("Nothing was written (--dry_run).")
        return
    made = convert(Path(source), Path(output), splits=optional_path(splits), copy=copy, overwrite=overwrite)
    print(f"\nData set: {made}")
    folds = f" --folds {1 + max(dataset.folds.values())} --fold_file {made.parent / FOLDS_CSV}" if dataset.folds else ""
    print(f"Next:     mist-bundle autoconfig {made}{folds}")


def convert_csv(
    source: FileName,
    output: FileName,
    test: FileName | None = None,
    modality: Annotated[str, Word(choices=MODALITIES, what="modality")] | None = None,
    copy: bool = False,
    overwrite: bool = False,
) -> None:
    """Describe a table of cases for autoconfig; images are linked, not copied.

    Args:
        source: CSV with the columns id, mask and one for each image.
        output: folder to make.
        test: the same for unlabelled cases.
        modality: ct, mr or other; without it, it is guessed from names and intensities, with a warning.
        copy: copy the images instead of linking them.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.dataset.csv_layout import convert_csv as convert

    made = convert(
        Path(source), Path(output), test_csv=optional_path(test), copy=copy, overwrite=overwrite, modality=modality
    )
    if modality is None:
        guess = f'is "{read_json(made)["modality"]}", guessed from the names and intensities of the images'
        warn([Problem(f"{made}: $.modality", f"{guess}; correct it there if it is wrong, or pass --modality.")])
    print(f"Data set: {made}")


def phantom(
    output: FileName,
    kind: Annotated[str, Word(choices=("mr2", "ct", "brats", "hippocampus"), what="phantom")] = "mr2",
    cases: Annotated[int, Whole(low=1, high=100_000)] = 12,
    test_cases: Annotated[int, Whole(low=0, high=100_000)] = 3,
    seed: Seed = 0,
    overwrite: bool = False,
) -> None:
    """Make a synthetic data set to try things on.

    Args:
        output: folder to make.
        kind: mr2 (two MR channels), ct, brats (nested labels 0, 1, 2, 4), or hippocampus (one organ in two parts).
        cases: with labels.
        test_cases: without.
        seed: of everything that is drawn.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.dataset.phantom import Kind, make_phantom

    made = make_phantom(
        Path(output), kind=cast("Kind", kind), num_cases=cases, num_test=test_cases, seed=seed, overwrite=overwrite
    )
    print(f"Data set: {made}")
