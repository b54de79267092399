"""Bundles of models that other programs trained: nnU-Net's and MIST's results folders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.bundle.generate import BundleInput, generate_bundle
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.nnunet_layout import FOLDS_CSV
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import ID_COLUMN, write_table
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import MODEL_PT, check_can_write, refuse_existing
from mist_bundle.pipeline.configure import autoconfig
from mist_bundle.pipeline.fold_choice import FOLD_COLUMN, FoldRules
from mist_bundle.planning.imported import ImportedModel, adopt, plan_without_cases
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.folds.finite import not_finite_text
from mist_bundle.runtime.folds.publish_weights import SAFETENSORS, write_safetensors

if TYPE_CHECKING:
    import torch

ALL_FOLDS = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Understood:
    """What was read of a results folder.

    Attributes:
        spec: channels and labels.
        model: everything that the plan keeps.
        weights: fold (a number, or "all") -> state dict with our names.
        best: the fold whose weights become model.pt.
        left_out: tensors that only training needs.
        held_out: case id -> fold that did not see it, as far as the folder tells.
    """

    spec: DatasetSpec
    model: ImportedModel
    weights: Mapping[str, Mapping[str, torch.Tensor]]
    best: str
    left_out: tuple[str, ...]
    held_out: Mapping[str, int]

    def table(self) -> list[tuple[str, str]]:
        """Return a summary as rows of property and value."""
        model, spec = self.model, self.spec
        labels = []
        for value, name in spec.label_names.items():
            labels.append(f"{value} {name}")
        regions = [f"{name} {list(values)}" for name, values in spec.final_classes.items()] if model.regions else []
        return [
            ("task", spec.task),
            ("modality", spec.modality),
            ("channels", ", ".join(spec.channel_names)),
            ("labels", ", ".join(labels)),
            ("regions", ", ".join(regions) or "none"),
            ("trained by", f"{model.origin['program']} ({model.origin['trainer']}, {model.origin['configuration']})"),
            ("network", f"{model.network}, {len(model.strides)} levels of {list(model.widths)} channels"),
            ("spacing", " x ".join(f"{value:g}" for value in model.spacing_mm) + " mm"),
            ("patch", " x ".join(map(str, model.patch_size))),
            ("flips", ", ".join(map(str, model.test_time_flip_axes)) or "none"),
            ("folds", ", ".join(self.weights)),
            ("model.pt", f"fold {self.best}"),
            ("not kept", f"{len(self.left_out)} tensors that only training needs"),
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedBundle:
    """Result of an import.

    Attributes:
        bundle: the new bundle's folder; None if nothing was to be written.
        table: what was understood: rows of property and value.
        warnings: what is not known, or was left out.
    """

    bundle: Path | None
    table: tuple[tuple[str, str], ...]
    warnings: tuple[Problem, ...]


def import_nnunet(
    results: Path, output: Path, *, checkpoint: str = "final", folds: Sequence[int] | None = None, **how: Any
) -> ImportedBundle:
    """Write the bundle of a model that nnU-Net trained.

    Args:
        results: folder with plans.json, dataset.json and fold_*/checkpoint_*.pth.
        output: the bundle's folder.
        checkpoint: "final" or "best".
        folds: to import; by default all.
        how: arguments of `write_imported`.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle.transfer.foreign import Understanding

    def understand() -> Understood:
        with Understanding(str(results), "nnU-Net v2"):
            understood = understand_nnunet(results, _data_folder(output), checkpoint, folds)
        return understood  # noqa: RET504 -- inside of the context, a type checker sees no return

    return write_imported(understand, output, **how)


def import_mist(results: Path, output: Path, *, folds: Sequence[int] | None = None, **how: Any) -> ImportedBundle:
    """Write the bundle of a model that MIST trained.

    Args:
        results: folder with config.json and models/fold_*.pt.
        output: the bundle's folder.
        folds: to import; by default all.
        how: arguments of `write_imported`.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle.transfer.foreign import Understanding

    def understand() -> Understood:
        with Understanding(str(results), "MIST 2"):
            understood = understand_mist(results, _data_folder(output), folds)
        return understood  # noqa: RET504 -- as above

    return write_imported(understand, output, **how)


def understand_mist(results: Path, location: Path, folds: Sequence[int] | None = None) -> Understood:
    """Read a results folder of MIST; `location` is where the bundle will expect cases."""
    from mist_bundle.transfer.mist_model import convert_weights, describe_data, describe_model
    from mist_bundle.transfer.mist_results import read_results

    read, weights = read_results(results, folds)
    converted, left_out = convert_weights(read, weights)
    return Understood(
        spec=describe_data(read, location),
        model=describe_model(read),
        weights=converted,
        best=next(iter(converted)),
        left_out=tuple(left_out),
        held_out=read.held_out(),
    )


def understand_nnunet(
    results: Path, location: Path, checkpoint: str = "final", folds: Sequence[int] | None = None
) -> Understood:
    """Read an nnU-Net results folder; `location` is where the bundle will expect cases."""
    from mist_bundle.transfer.nnunet_model import best_fold, convert_weights, describe_data, describe_model, held_out
    from mist_bundle.transfer.nnunet_results import read_results

    read, weights = read_results(results, checkpoint, folds)
    converted, left_out = convert_weights(read, weights)
    return Understood(
        spec=describe_data(read, location),
        model=describe_model(read),
        weights=converted,
        best=best_fold(read),
        left_out=tuple(left_out),
        held_out=held_out(read),
    )


def write_imported(
    understand: Callable[[], Understood],
    output: Path,
    *,
    dataset: Path | None = None,
    fold_file: Path | None = None,
    workers: int | str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> ImportedBundle:
    """Write the bundle of a model that another program trained.

    Args:
        understand: reads the program's results.
        output: the bundle's folder.
        dataset: dataset.json of the training data, so that folds can be evaluated and trained again.
        fold_file: CSV or JSON with the fold that held out each case.
        workers: processes that measure the cases.
        overwrite: replace an existing bundle.
        dry_run: write nothing.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    problems: list[Problem] = []
    understood = None
    with Collecting(problems):
        understood = understand()
    with Collecting(problems):
        check_can_write(output)
        refuse_existing(output, overwrite=overwrite)
    if fold_file is not None and dataset is None:
        problems.append(Problem("--fold_file", "needs the cases: pass --dataset with their dataset.json."))
    if understood is None:
        raise InputError(problems)
    for fold, weights in understood.weights.items():
        wrong = not_finite_text(weights)
        if wrong is not None:
            problems.append(Problem(f"fold {fold}", f"{wrong}: its training diverged. Choose other --folds."))
    if dataset is not None:
        with Collecting(problems):
            _check_same_data(DatasetSpec.from_json(dataset), understood)
    if problems:
        raise InputError(problems)
    model = understood.model if dataset is None else understood.model.with_cases()
    table, warnings = tuple(understood.table()), tuple(Problem(*warning) for warning in model.warnings)
    if dry_run:
        return ImportedBundle(bundle=None, table=table, warnings=warnings)
    if dataset is None:
        bundle = _write_without_cases(understood, output, overwrite=overwrite)
        return ImportedBundle(bundle=bundle, table=table, warnings=warnings)

    def adapt(plan: Plan) -> tuple[Plan, Mapping[str, bytes]]:
        return adopt(plan, model), weight_files(understood)

    with tempfile.TemporaryDirectory() as scratch:
        folds = fold_file or _fold_table(understood, dataset, Path(scratch))
        configured = autoconfig(
            dataset,
            output.parent,
            understood.model.planner_options,
            fold_rules=FoldRules(fold_file=folds),
            workers=workers,
            overwrite=overwrite,
            adapt=adapt,
            name=output.name,
        )
    return ImportedBundle(bundle=configured.bundle, table=table, warnings=(*configured.warnings, *configured.excluded))


def weight_files(understood: Understood) -> dict[str, bytes]:
    """Return path in the bundle -> content of the weights."""
    from mist_bundle.transfer.tensors import torch_bytes

    files = {}
    for fold, weights in understood.weights.items():
        if fold != ALL_FOLDS:
            files[f"models/fold_{fold}.pt"] = torch_bytes(weights)
    best = torch_bytes(understood.weights[understood.best])
    files[MODEL_PT] = best
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "model.pt"
        source.write_bytes(best)
        copy = write_safetensors(source, Path(scratch) / SAFETENSORS)
        if copy is not None:
            files[f"models/{SAFETENSORS}"] = copy.read_bytes()
    return files


def _data_folder(output: Path) -> Path:
    """Where a bundle without cases looks for cases by default."""
    return output.parent / f"{output.name}_data"


def _write_without_cases(understood: Understood, output: Path, *, overwrite: bool) -> Path:
    plan = plan_without_cases(understood.spec, understood.model)
    content = BundleInput(
        spec=understood.spec,
        plan=plan,
        cases=(),
        test_cases=(),
        folds={},
        excluded=(),
        extra_files=weight_files(understood),
    )
    return generate_bundle(content, output.parent, name=output.name, overwrite=overwrite)


def _check_same_data(spec: DatasetSpec, understood: Understood) -> None:
    """Refuse data that are not those of the model."""
    trained = understood.spec
    place, problems = str(spec.json_path), []
    if spec.num_channels != trained.num_channels:
        names = f"{', '.join(spec.channel_names)}; the model was trained with {', '.join(trained.channel_names)}"
        problems.append(Problem(f"{place}: $.images", f"has the channels {names}."))
    if spec.labels != trained.labels or spec.ignore_label != trained.ignore_label:
        labels = f"{list(spec.labels)}, ignored {spec.ignore_label}"
        expected = f"{list(trained.labels)}, ignored {trained.ignore_label}"
        problems.append(Problem(f"{place}: $.labels", f"is {labels}; the model was trained with {expected}."))
    members, expected_members = list(spec.final_classes.values()), list(trained.final_classes.values())
    if understood.model.regions and members != expected_members:
        message = f"has the labels {members}; the model's regions have {expected_members}, in this order."
        problems.append(Problem(f"{place}: $.final_classes", message))
    if problems:
        raise InputError(problems)


def _fold_table(understood: Understood, dataset: Path, scratch: Path) -> Path | None:
    """A table of the folds as they were trained: beside the dataset.json, or from the results folder.

    Raises:
        InputError: neither tells, so that a fold might be tested with cases that it was trained on.
    """
    beside = dataset.parent / FOLDS_CSV
    if beside.is_file():
        return beside
    trained = [int(fold) for fold in understood.weights if fold != ALL_FOLDS]
    if not trained:
        return None
    ids = [case.id for case in find_cases(DatasetSpec.from_json(dataset)).cases]
    known = {fold for case, fold in understood.held_out.items() if case in ids}
    unknown = sorted(set(trained) - known)
    if unknown:
        message = (
            f"is needed: the results folder does not say which cases fold {', '.join(map(str, unknown))} held out. "
            "Pass a table of id and fold, or convert the data with convert_nnunet --splits splits_final.json."
        )
        raise InputError(Problem("--fold_file", message))
    path = scratch / FOLDS_CSV
    no_fold = max(trained) + 1  # of cases that every imported fold was trained on
    rows = [[case, str(understood.held_out.get(case, no_fold))] for case in ids]
    write_table(path, [ID_COLUMN, FOLD_COLUMN], rows)
    return path
