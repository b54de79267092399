"""Cases of a BIDS dataset whose label maps or masks lie in derivatives/ (https://bids-specification.readthedocs.io).

Images are sub-01/[ses-1/]anat/sub-01_[ses-1_]T1w.nii.gz and the like, label maps
derivatives/labels/sub-01/[ses-1/]anat/sub-01_[ses-1_]dseg.nii.gz; dseg.tsv names the labels. A case is a subject,
session and run; a channel is a suffix, with the entities that tell images of the session apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mist_bundle.dataset.bids_labels import read_label_names
from mist_bundle.dataset.bids_masks import MASK_SUFFIX, are_by_structure, described, left_out, masks_by_structure
from mist_bundle.dataset.bids_names import SUBJECT, BidsFile, bids_files
from mist_bundle.dataset.channels import common_channels, modality_of
from mist_bundle.dataset.conversion import ConversionOptions, Converted, convert
from mist_bundle.dataset.foreign import BIDS_DESCRIPTION, advising
from mist_bundle.dataset.groups import PATIENT
from mist_bundle.dataset.placed_case import CaseSource, FileCase
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json
from mist_bundle.runtime.wording import list_names, nearest_hint

SESSION = "session"  # column of cases.csv
_DERIVATIVES = "derivatives"
_NO_IMAGES = ("dseg", "probseg", "mask", "defacemask")  # suffixes of files in the folders of images that are none
_ADVICE = "Say where they are with --derivatives, --suffix, --entities and --images."


def convert_bids(
    root: Path,
    output: Path,
    *,
    derivatives: str | None = None,
    suffix: str = "dseg",
    structures: Sequence[str] = (),
    entities: Sequence[str] = (),
    images: Sequence[str] = (),
    options: ConversionOptions | None = None,
) -> Converted:
    """Convert a BIDS dataset to the layout that `DatasetSpec.from_json` reads.

    Args:
        root: folder of the dataset, with sub-*.
        output: folder to create; by default also the name of the task.
        derivatives: folder in derivatives/ that holds the label maps; by default the only one that holds any.
        suffix: of the label maps, or `mask` for a mask of each structure.
        structures: that have a mask each, in the order of the labels; see `masks_by_structure`.
        entities: `key-value` pairs that the names of the label maps must have, such as desc-manual.
        images: channels in their order, such as T1w and FLAIR; by default those of at least half of the cases.
        options: see `ConversionOptions`.

    Raises:
        InputError: no case is usable, or `output` exists. Nothing is written.
    """
    with advising(Path(root), "convert_bids"):
        source = read_bids(
            Path(root),
            derivatives=derivatives,
            suffix=suffix,
            structures=structures,
            entities=entities,
            images=images,
        )
    return convert(source, Path(output), options or ConversionOptions())


@dataclass(kw_only=True, slots=True)
class _Scan:
    """A subject, session and run: its images by channel, its label maps, and its masks by structure."""

    subject: str
    session: str
    images: dict[str, list[Path]] = field(default_factory=dict)
    labels: list[Path] = field(default_factory=list)
    masks: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        """Whether it has a label map or a mask."""
        return bool(self.labels or self.masks)


def read_bids(
    root: Path,
    *,
    derivatives: str | None = None,
    suffix: str = "dseg",
    structures: Sequence[str] = (),
    entities: Sequence[str] = (),
    images: Sequence[str] = (),
) -> CaseSource:
    """Find the images and label maps, or masks, of a BIDS dataset.

    Raises:
        InputError: it is not a BIDS dataset, or no case is usable; all problems at once.
    """
    problems: list[Problem] = []
    raw = []
    for file in bids_files(root, problems):
        if file.suffix not in _NO_IMAGES:
            raw.append(file)
    if not raw:
        message = "holds no image of a BIDS dataset (sub-01/anat/sub-01_T1w.nii.gz). Give its root."
        raise InputError([*problems, Problem(str(root), message)])
    folder = _label_folder(root, derivatives, suffix)
    labels = []
    for file in bids_files(folder, problems):
        if file.suffix == suffix and set(entities) <= _pairs(file):
            labels.append(file)
    if not labels:
        also = f" with {', '.join(entities)}" if entities else ""
        raise InputError([*problems, Problem(str(folder), f"holds no label map *_{suffix}{also}. {_ADVICE}")])
    masks: list[tuple[str, BidsFile]] = []
    warnings: list[Problem] = []
    if are_by_structure(labels, structures):
        structures, masks = masks_by_structure(labels, structures)
        warnings += left_out(labels)
        labels = []
    else:
        warnings += _mixed_masks(labels, suffix)
    scans = _scans(raw, labels, masks)
    columns, remarks = _channels(scans, images)
    warnings += remarks
    training, testing = _cases(scans, columns, problems, _how_to_choose(labels, suffix))
    if not training:
        raise InputError(problems)
    label_names, name_problems = read_label_names([root, folder], labels)
    if name_problems:  # they concern all cases
        raise InputError([*problems, *name_problems])
    modality = modality_of(columns)
    has_sessions = any(scan.session for scan in scans.values())
    return CaseSource(
        place=root,
        columns=columns,
        training=tuple(training),
        testing=tuple(testing),
        structures=tuple(structures),
        label_names=label_names,
        problems=tuple(problems),
        warnings=tuple(warnings),
        extra_columns=(PATIENT, SESSION) if has_sessions else (PATIENT,),
        modality="" if modality == "other" else modality,
        texts=_texts(root),
    )


def _label_folder(root: Path, derivatives: str | None, suffix: str) -> Path:
    """The derivative that holds the label maps.

    Raises:
        InputError: it does not exist, or there is none or several to choose from.
    """
    parent = root / _DERIVATIVES
    if derivatives is not None:
        folder = parent / derivatives
        if not folder.is_dir():
            raise InputError(Problem("--derivatives", f"names {folder}, which is not a folder. {_ADVICE}"))
        return folder
    holding = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if folder.is_dir() and any(folder.glob(f"sub-*/**/*_{suffix}.*")):
            holding.append(folder)
    if len(holding) == 1:
        return holding[0]
    if not holding and suffix != MASK_SUFFIX and any(parent.glob(f"*/sub-*/**/*_{MASK_SUFFIX}.*")):
        message = f"holds masks, but no *_{suffix}. If each is that of a structure, pass --suffix {MASK_SUFFIX}."
        raise InputError(Problem(str(parent), message))
    if not holding:
        message = f"holds no folder with label maps like labels/sub-01/anat/sub-01_{suffix}.nii.gz. {_ADVICE}"
        raise InputError(Problem(str(parent), message))
    names = [folder.name for folder in holding]
    message = f"holds label maps in {list_names(names)}. Choose with --derivatives {names[0]}."
    raise InputError(Problem(str(parent), message))


def _mixed_masks(labels: Sequence[BidsFile], suffix: str) -> list[Problem]:
    """A warning about masks that may be of different structures."""
    names = described(labels)
    if suffix != MASK_SUFFIX or len(names) < 2:
        return []
    message = f"of {list_names(names)} become the same label. {_how_to_choose(labels, suffix)}"
    return [Problem("masks", message)]


def _how_to_choose(labels: Sequence[BidsFile], suffix: str) -> str:
    """What to do about several label maps of a case."""
    names = described(labels)
    if suffix == MASK_SUFFIX and len(names) > 1:
        return (
            f"If they are of different structures, pass --labels {','.join(names)}; if they are of the same, choose "
            f"with --entities, like desc-{names[0]}."
        )
    return "Choose with --entities, like desc-manual."


def _pairs(file: BidsFile) -> set[str]:
    return {f"{key}-{value}" for key, value in file.entities.items()}


def _scans(
    raw: Sequence[BidsFile], labels: Sequence[BidsFile], masks: Sequence[tuple[str, BidsFile]]
) -> dict[str, _Scan]:
    """Case id -> scan. Images without a run belong to every run of their session that has a label map or mask."""
    scans: dict[str, _Scan] = {}
    for file in labels:
        _scan_of(scans, file, file.run).labels.append(file.path)
    for structure, file in masks:
        _scan_of(scans, file, file.run).masks.setdefault(structure, []).append(file.path)
    for file in raw:
        runs = [file.run]
        if not file.run:
            session = _case_id(file, "")
            runs = [case_id[len(session) + 5 :] for case_id in scans if case_id.startswith(f"{session}_run-")]
            if session in scans or not runs:
                runs.append("")
        for run in runs:
            _scan_of(scans, file, run).images.setdefault(file.channel, []).append(file.path)
    return dict(sorted(scans.items()))


def _scan_of(scans: dict[str, _Scan], file: BidsFile, run: str) -> _Scan:
    scan = _Scan(subject=file.entities[SUBJECT], session=file.session)
    return scans.setdefault(_case_id(file, run), scan)


def _case_id(file: BidsFile, run: str) -> str:
    parts = [f"sub-{file.entities[SUBJECT]}"]
    if file.session:
        parts.append(f"ses-{file.session}")
    if run:
        parts.append(f"run-{run}")
    return "_".join(parts)


def _channels(scans: dict[str, _Scan], chosen: Sequence[str]) -> tuple[tuple[str, ...], list[Problem]]:
    """The channels to use, and a warning about those that are left out.

    Raises:
        InputError: a chosen channel does not occur, or no channel is common.
    """
    labelled = [scan for scan in scans.values() if scan.is_labelled]
    counts: Counter[str] = Counter()
    for scan in labelled:
        counts.update(scan.images.keys())
    if chosen:
        problems = []
        for name in chosen:
            if name not in counts:
                hint = nearest_hint(name, counts) or f"There are {list_names(sorted(counts))}."
                problems.append(Problem("--images", f"names {name!r}, of which no labelled case has an image. {hint}"))
        if problems:
            raise InputError(problems)
        return tuple(chosen), []
    common, warnings = common_channels(counts, len(labelled))
    if not common:
        found = list_names(sorted(counts)) if counts else "no image"
        message = f"no channel is common to the {len(labelled)} label maps; beside them lie {found}. {_ADVICE}"
        raise InputError(Problem("--images", message))
    return common, warnings


def _cases(
    scans: dict[str, _Scan], columns: Sequence[str], problems: list[Problem], how_to_choose: str
) -> tuple[list[FileCase], list[FileCase]]:
    """Labelled and unlabelled cases; those that lack an image or are ambiguous are added to `problems`."""
    training: list[FileCase] = []
    testing: list[FileCase] = []
    for case_id, scan in scans.items():
        findings = []
        images = {}
        for column in columns:
            paths = scan.images.get(column, [])
            if len(paths) == 1:
                images[column] = paths[0]
            elif paths:
                findings.append(f"has {len(paths)} images {column}: {list_names([path.name for path in paths])}.")
            else:
                findings.append(f"has no image {column}.")
        if len(scan.labels) > 1:
            names = list_names([path.name for path in scan.labels])
            findings.append(f"has {len(scan.labels)} label maps: {names}. {how_to_choose}")
        for structure, paths in scan.masks.items():
            if len(paths) > 1:
                names = list_names([path.name for path in paths])
                findings.append(f"has {len(paths)} masks of {structure}: {names}. Choose with --entities.")
        if not scan.is_labelled and not images:
            continue  # a session for another purpose
        if findings:
            problems.append(Problem(case_id, " ".join(findings)))
            continue
        extra = {PATIENT: f"sub-{scan.subject}", SESSION: scan.session}
        label = scan.labels[0] if scan.labels else None
        masks = {structure: paths[0] for structure, paths in scan.masks.items()}
        case = FileCase(id=case_id, images=images, label=label, masks=masks, extra=extra)
        (training if scan.is_labelled else testing).append(case)
    return training, testing


def _texts(root: Path) -> dict[str, str]:
    """Description, licence and reference from dataset_description.json, as far as it can be read."""
    path = root / BIDS_DESCRIPTION
    try:
        content = read_json(path) if path.is_file() else {}
    except InputError:
        return {}
    if not isinstance(content, dict):
        return {}
    texts = {}
    for key, theirs in (("description", "Name"), ("licence", "License"), ("reference", "DatasetDOI")):
        if isinstance(content.get(theirs), str):
            texts[key] = content[theirs]
    return texts
