"""Case folders with a mask file for each structure, as TotalSegmentator writes and distributes them.

A case is a folder like s0000 with ct.nii.gz, and in its sub-folder segmentations liver.nii.gz, spleen.nii.gz and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mist_bundle.dataset.channels import common_channels
from mist_bundle.dataset.conversion import ConversionOptions, Converted, convert
from mist_bundle.dataset.foreign import MASK_FOLDER, advising
from mist_bundle.dataset.names import class_name_problem, id_problem, is_image
from mist_bundle.dataset.placed_case import CaseSource, FileCase
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading.formats import image_stem
from mist_bundle.runtime.wording import list_names, nearest_hint


def convert_labels(
    root: Path,
    output: Path,
    structures: Sequence[str] = (),
    *,
    mask_folder: str = MASK_FOLDER,
    images: Sequence[str] = (),
    options: ConversionOptions | None = None,
) -> Converted:
    """Convert case folders with a mask file for each structure to the layout that `DatasetSpec.from_json` reads.

    Args:
        root: folder of the case folders.
        output: folder to create; by default also the name of the task.
        structures: names of the mask files, in the order of the labels; by default all that occur, sorted.
        mask_folder: name of the folder of masks in each case folder.
        images: names of the image files of a case, in the order of the channels; by default those of at
            least half of the cases, sorted.
        options: see `ConversionOptions`.

    Raises:
        InputError: no case is usable, or `output` exists. Nothing is written.
    """
    with advising(Path(root), "convert_labels"):
        source = read_label_folders(Path(root), structures, mask_folder=mask_folder, images=images)
    return convert(source, Path(output), options or ConversionOptions())


def read_label_folders(
    root: Path, structures: Sequence[str] = (), *, mask_folder: str = MASK_FOLDER, images: Sequence[str] = ()
) -> CaseSource:
    """Find images and masks below a folder.

    Raises:
        InputError: there is no such case, or a name cannot be used; all problems at once.
    """
    if not root.is_dir():
        raise InputError(Problem(str(root), "is not a folder. Give the folder of the case folders."))
    if Path(mask_folder).is_absolute() or ".." in Path(mask_folder).parts:
        message = f"is {mask_folder!r}; expected the name of a folder in each case folder, like {MASK_FOLDER}."
        raise InputError(Problem("--masks", message))
    cases, problems = _find_cases(root, mask_folder)
    if not cases:
        message = f"holds no case folder with an image and a folder {mask_folder}."
        raise InputError([*problems, Problem(str(root), message)])
    occurring = sorted({name for case in cases for name in case.masks})
    _check_names("--labels", structures, occurring)
    chosen = tuple(structures) or tuple(occurring)
    columns, warnings = _columns(root, cases, images)
    return CaseSource(
        place=root,
        columns=columns,
        warnings=tuple(warnings),
        training=tuple(_with_masks_of(case, chosen) for case in cases),
        structures=chosen,
        problems=tuple(problems),
    )


def _find_cases(root: Path, mask_folder: str) -> tuple[list[FileCase], list[Problem]]:
    """The case folders that can be used, and a problem for each of the others."""
    cases: list[FileCase] = []
    problems: list[Problem] = []
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        findings: list[str] = []
        case = FileCase(
            id=folder.name,
            images=_images_by_name(folder, findings),
            masks=_images_by_name(folder / mask_folder, findings),
        )
        if not (folder / mask_folder).is_dir():
            findings.append(f'has no folder "{mask_folder}" of masks (--masks names another).')
        elif not case.masks:
            findings.append(f'has no mask in its folder "{mask_folder}".')
        if not case.images:
            findings.append("has no image.")
        if id_problem(folder.name):
            findings.append(f"cannot be the id of a case: it {id_problem(folder.name)}. Rename its folder.")
        if findings:
            problems.append(Problem(folder.name, " ".join(findings)))
        else:
            cases.append(case)
    return cases, problems


def _columns(root: Path, cases: Sequence[FileCase], images: Sequence[str]) -> tuple[tuple[str, ...], list[Problem]]:
    """The images to use, and a warning about those that are left out.

    Raises:
        InputError: no case has an image that the user names, or no image is common.
    """
    counts: Counter[str] = Counter()
    for case in cases:
        counts.update(case.images.keys())
    _check_names("--images", images, sorted(counts))
    if images:
        return tuple(images), []
    columns, warnings = common_channels(counts, len(cases))
    if not columns:
        found = f"no image is common to half of the {len(cases)} cases: they hold {list_names(sorted(counts))}."
        raise InputError(Problem(str(root), f"{found} Name the image of a channel alike in every case."))
    return columns, warnings


def _with_masks_of(case: FileCase, structures: Sequence[str]) -> FileCase:
    masks = {name: path for name, path in case.masks.items() if name in structures}
    return FileCase(id=case.id, images=case.images, masks=masks)


def _images_by_name(folder: Path, findings: list[str]) -> dict[str, Path]:
    """File name without suffix -> image file of a folder."""
    files: dict[str, Path] = {}
    if not folder.is_dir():
        return files
    for path in sorted(folder.iterdir()):
        if not is_image(path) or path.is_dir():
            continue
        name = image_stem(path)
        wrong = class_name_problem(name)
        if wrong:
            findings.append(f"{path.name} cannot name a channel or class: it {wrong}. Rename the file.")
        if name in files:
            findings.append(f"{files[name].name} and {path.name} have the same name. Remove one of them.")
        files[name] = path
    return files


def _check_names(option: str, names: Sequence[str], known: Sequence[str]) -> None:
    problems = []
    for name in names:
        if name not in known:
            hint = nearest_hint(name, known) or f"There are {list_names(known)}."
            problems.append(Problem(option, f"names {name!r}, of which no case has a file. {hint}"))
    if problems:
        raise InputError(problems)
