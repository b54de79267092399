"""The Python API: what a notebook or a program calls; the command line is a thin skin over the same functions.

    import mist_bundle as mb

    bundle = mb.configure("dataset.json", "out", recipe="quick")
    bundle.train(fold="all")
    bundle.evaluate()
    bundle.predict("new_cases", "out/predictions")

Paths may be `str` or `Path` everywhere. What is wrong with the input is raised as `InputError` with all problems at
once; `CaseFailure` says which cases failed while the others went through. What stops nothing is a `DataWarning`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle import pipeline
from mist_bundle.bundle import folder
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.options import OPTIONS, TRANSFER_OPTIONS, Option, PlanOptions, TransferOptions
from mist_bundle.runtime.values import did_you_mean

if TYPE_CHECKING:
    from mist_bundle.evaluation.compare import Comparison
    from mist_bundle.evaluation.rank import Ranking
    from mist_bundle.evaluation.runs import ComparableRuns
    from mist_bundle.evaluation.score import ScoredCases
    from mist_bundle.pipeline.configure import Analyzed
    from mist_bundle.report.bundle_report import Reported
    from mist_bundle.sharing.export import ExportReport
    from mist_bundle.sharing.pack import Packed
    from mist_bundle.trust.audit.finding import Report
    from mist_bundle.verify.report import Verification

AnyPath = str | PathLike[str]
FoldChoice = int | Sequence[int] | str
Scores = dict[str, dict[str, float]]

# Heavy imports stand inside the functions, so that `import mist_bundle` costs nothing.


class DataWarning(UserWarning):
    """Something in the data deserves a look and stops nothing."""


class Bundle(folder.Bundle):
    """A bundle's folder: what lies in it, and what can be done with it.

    Args:
        root: the folder.

    Raises:
        InputError: it is not a bundle.
    """

    def __init__(self, root: AnyPath) -> None:
        super().__init__(Path(root))

    def __repr__(self) -> str:
        return f"Bundle({str(self.root)!r})"

    def preprocess(self, *, dataset_dir: AnyPath | None = None, trust: bool = False, **settings: Any) -> Path:
        """Prepare all training arrays ahead of time; training would do it on first use.

        Args:
            dataset_dir: folder of the cases, where it is not the one that the bundle was made from.
            trust: run a bundle that does not pass the audit.
            **settings: ids of preprocess.json, such as workers: threads, or here the address of a Dask scheduler.

        Returns:
            The folder of the prepared arrays.
        """
        workers = settings.pop("workers", None)
        cluster, threads = (workers, None) if isinstance(workers, str) else (None, workers)
        given = {"dataset_dir": _absolute(dataset_dir), "workers": threads, **settings}
        pipeline.preprocess(self.root, given, cluster=cluster, trust=trust)
        return self.work_dir / "cache"

    def train(
        self,
        fold: FoldChoice = "all",
        *,
        resume: bool = False,
        device: str | None = None,
        devices: Sequence[int] | None = None,
        processes: int | None = None,
        parallel: int = 1,
        dataset_dir: AnyPath | None = None,
        overwrite: bool = False,
        trust: bool = False,
        **settings: Any,
    ) -> Bundle:
        """Train one fold, several, or all, one after the other.

        Args:
            fold: a number, several, or "all".
            resume: go on after the last finished epoch, with the settings that the fold was begun with; more epochs
                extend it. Folds that are complete are passed over.
            device: "cpu", "cuda" or "cuda:1".
            devices: numbers of the GPUs to use; every visible GPU that the batch can use by default.
            processes: GPUs (or CPU processes) that train together.
            parallel: folds that are trained side by side.
            dataset_dir: folder of the cases, where it is not the one that the bundle was made from.
            overwrite: train folds anew that were trained before; what was trained is lost.
            trust: run a bundle that does not pass the audit.
            **settings: ids of train.json: epochs, steps_per_epoch, batch_size, learning_rate …

        Raises:
            InputError: a fold, an id or a value that cannot be, or a fold that was trained before; nothing was started.
            Interrupted: a signal asked this process to end; the training's state is kept.
        """
        given = {"resume": resume or None, "device": device, "dataset_dir": _absolute(dataset_dir), **settings}
        hardware = pipeline.Hardware(devices=devices, processes=processes)
        folds = self._fold_numbers(fold)
        pipeline.train(self.root, folds, given, hardware, parallel=parallel, overwrite=overwrite, trust=trust)
        return self

    def publish(self, fold: FoldChoice = "all", *, work_dir: AnyPath | None = None, trust: bool = False) -> Bundle:
        """Put the best weights of trainings into the bundle, also of those that were interrupted or still run.

        A training does so by itself when it ends.

        Args:
            fold: a number, several, or "all" that there are weights of.
            work_dir: where they were trained, if that is not the folder beside the bundle.
            trust: publish into a bundle that does not pass the audit.
        """
        folds = None if fold == "all" else self._fold_numbers(fold)
        pipeline.publish(self.root, folds, work_dir=_path(work_dir), trust=trust)
        return self

    def evaluate(
        self,
        fold: FoldChoice = "all",
        *,
        device: str | None = None,
        dataset_dir: AnyPath | None = None,
        trust: bool = False,
        **settings: Any,
    ) -> Scores:
        """Predict and score the held-out cases of trained folds.

        Args:
            fold: a number, several, or "all" that were trained.
            device: "cpu", "cuda" or "cuda:1".
            dataset_dir: folder of the cases, where it is not the one that the bundle was made from.
            trust: run a bundle that does not pass the audit.
            **settings: ids of evaluate.json: metrics=["dice", "hd95"], metric_options={…} …

        Returns:
            Column ("tumor_dice") -> statistic ("Mean", "Median" …) -> value over all cases that were scored.
        """
        given = {"device": device, "dataset_dir": _absolute(dataset_dir), **settings}
        folds = None if fold == "all" else self._fold_numbers(fold)
        return self.scores(pipeline.evaluate_folds(self.root, folds, given, trust=trust))

    def scores(self, folds: Iterable[int] | None = None) -> Scores:
        """The scores of the held-out cases, as far as folds were evaluated.

        Args:
            folds: only these.
        """
        from mist_bundle.evaluation.gather import gather_folds
        from mist_bundle.runtime.metrics.table import summarize

        numbers = range(self.datalist.num_folds) if folds is None else folds
        tables = [self.fold(number).results for number in numbers]
        return summarize(gather_folds([table for table in tables if table.is_file()]))

    def finalize(self) -> Path:
        """Gather the folds: results.csv over all held-out cases, the model card, model.pt, the manifest."""
        return pipeline.finalize(self.root)

    def predict(
        self,
        source: AnyPath,
        output: AnyPath,
        *,
        tta: bool | None = None,
        probabilities: bool = False,
        uncertainty: bool = False,
        device: str | None = None,
        workers: int | str | None = None,
        overwrite: bool = False,
        trust: bool = False,
        **settings: Any,
    ) -> list[Path]:
        """Write a label map for each case, in its own grid.

        Args:
            source: CSV or JSON with an id and one column for each channel, by name; or a folder of case folders.
            output: folder for <id>.nii.gz.
            tta: average over flips; None leaves it to the bundle.
            probabilities: write the probability of each class too.
            uncertainty: write maps of entropy and of disagreement too.
            device: "cpu", "cuda" or "cuda:1".
            workers: processes that share the cases, or the address of a Dask scheduler; None for a single process.
            overwrite: replace label maps that are there.
            trust: run a bundle that does not pass the audit.
            **settings: ids of inference.json: overlap, ensemble …

        Returns:
            The label maps.

        Raises:
            CaseFailure: some cases failed, each named; the others were written.
        """
        written, found = pipeline.predict(
            self.root,
            Path(source),
            Path(output),
            tta=tta,
            probabilities=probabilities,
            uncertainty=uncertainty,
            device=device,
            workers=workers,
            overwrite=overwrite,
            overrides=settings,
            trust=trust,
        )
        _warn(found)
        return written

    def report(self, output: AnyPath | None = None, **how: Any) -> Reported:
        """Write one HTML page about the bundle, and a viewer beside it.

        Args:
            output: the HTML file; report.html in the work folder by default.
            **how: dataset_dir, pictures, viewer_cases, workers, overwrite of `mist_bundle.pipeline.report`.
        """
        return pipeline.report(self.root, _path(output), **_with_paths(how, "dataset_dir"))

    def export(
        self,
        formats: Sequence[str] = ("all",),
        output: AnyPath | None = None,
        *,
        trust: bool = False,
        overwrite: bool = False,
    ) -> ExportReport:
        """Write the network in the formats of other programs, each compared with the original on two inputs."""
        from mist_bundle.sharing.export import export_bundle

        return export_bundle(self.root, list(formats), _path(output), trust=trust, overwrite=overwrite)

    def pack(self, output: AnyPath, **how: Any) -> Packed:
        """Make one zip file of the bundle; the same files always give the same bytes."""
        from mist_bundle.sharing.pack import pack_bundle

        return pack_bundle(self.root, Path(output), **how)

    def audit(self, public_key: AnyPath | None = None) -> Report:
        """Read the bundle without running anything in it; `passed` says whether all is well."""
        return audit_bundle(self.root, public_key)

    def verify(self, *, quick: bool = False, trust: bool = False) -> Verification:
        """Check that the bundle works, and which programs can use it; `verification.passed` says whether it does."""
        return verify_bundle(self.root, quick=quick, trust=trust)

    def finetune(self, dataset_json: AnyPath, output: AnyPath = ".", **options: Any) -> Bundle:
        """A new bundle for new data whose training begins from these weights; see `mist_bundle.finetune`."""
        return finetune(self.root, dataset_json, output, **options)

    def _fold_numbers(self, fold: FoldChoice) -> list[int]:
        if fold == "all":
            return list(range(self.datalist.num_folds))
        if isinstance(fold, int):
            return [fold]
        if isinstance(fold, str):
            raise InputError(Problem("--fold", f"is {fold!r}; expected a number, several, or 'all'."))
        return list(fold)


def configure(
    dataset_json: AnyPath,
    output: AnyPath = ".",
    *,
    fold_by: str | None = None,
    fold_file: AnyPath | None = None,
    config_format: str = "json",
    workers: int | str | None = None,
    overwrite: bool = False,
    overwrite_weights: bool = False,
    **options: Any,
) -> Bundle:
    """Look at a dataset, decide everything, and write it as a MONAI bundle.

    Args:
        dataset_json: the dataset's description.
        output: folder in which <task>_segmentation/ is made.
        fold_by: column of the cases' table that is kept together in a fold.
        fold_file: CSV or JSON with the columns id and fold.
        config_format: "json" or "yaml".
        workers: processes of the analysis, or the address of a Dask scheduler.
        overwrite: replace a bundle that is there.
        overwrite_weights: lose what was trained of it, too.
        **options: options of the planner: recipe, network, loss, epochs, patch_size … (`mist-bundle help autoconfig`).

    Returns:
        The bundle; `bundle.plan` holds every decision with its reason. Cases that were left out are warned of.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    made = pipeline.autoconfig(
        Path(dataset_json),
        Path(output),
        PlanOptions(**_clean(options, OPTIONS)),
        fold_by=fold_by,
        fold_file=_path(fold_file),
        config_format=config_format,
        workers=workers,
        overwrite=overwrite,
        overwrite_weights=overwrite_weights,
    )
    _warn([*made.warnings, *made.excluded])
    return Bundle(made.bundle)


def finetune(
    source: AnyPath, dataset_json: AnyPath, output: AnyPath = ".", *, trust: bool = False, **options: Any
) -> Bundle:
    """A bundle for new data whose training begins from the weights of another bundle, which is only read.

    Args:
        source: a bundle's folder, a zip file of one, or a Hugging Face repository ("hf:org/name").
        dataset_json: the new data's description.
        output: folder in which <task>_segmentation/ is made.
        trust: go on with a source that does not pass the audit.
        **options: replan, channels, freeze, unfreeze_epoch, layer_decay; options of the planner; and as for
            `configure`: fold_by, fold_file, config_format, workers, overwrite, overwrite_weights.
    """
    names = ("fold_by", "fold_file", "config_format", "workers", "overwrite", "overwrite_weights")
    how: dict[str, Any] = _with_paths({name: options.pop(name) for name in names if name in options}, "fold_file")
    given = _clean(options, {**OPTIONS, **TRANSFER_OPTIONS})
    transfer = {name: given.pop(name) for name in TRANSFER_OPTIONS if name in given}
    made = pipeline.finetune(
        str(source),
        Path(dataset_json),
        Path(output),
        PlanOptions(**given),
        TransferOptions(**transfer),
        asked=frozenset(given),
        trust=trust,
        **how,
    ).configured
    _warn([*made.warnings, *made.excluded])
    return Bundle(made.bundle)


def analyze(dataset_json: AnyPath, output: AnyPath = ".", **how: Any) -> Analyzed:
    """Measure a dataset in detail and write a page about it.

    Args:
        dataset_json: the dataset's description.
        output: folder of the page.
        **how: workers, pictures, overwrite.
    """
    made = pipeline.analyze_dataset(Path(dataset_json), Path(output), **how)
    _warn([*made.warnings, *made.excluded])
    return made


def evaluate(
    reference: AnyPath,
    prediction: AnyPath,
    classes: Mapping[str, Sequence[int]] | AnyPath,
    *,
    metrics: Sequence[str] = ("dice", "hd95"),
    metric_options: Mapping[str, Mapping[str, Any]] | None = None,
    workers: int | str | None = None,
) -> ScoredCases:
    """Score any label maps against their references.

    Args:
        reference: folder of <id>.nii.gz, or a dataset.json.
        prediction: folder of <id>.nii.gz.
        classes: class -> its labels, or a JSON file of that (a dataset.json, whose final_classes are taken).
        metrics: names; `mist-bundle metrics` lists them.
        metric_options: such as {"surface_dice": {"tolerance_mm": 2}}.
        workers: cases scored at the same time.

    Returns:
        The scores of each case; `.write(path)` makes results.csv.
    """
    from mist_bundle.evaluation.pairs import Classes, find_pairs, read_classes
    from mist_bundle.evaluation.score import score_files, settings_from

    if isinstance(classes, Mapping):
        scored = Classes(final_classes={name: tuple(labels) for name, labels in classes.items()})
    else:
        scored = read_classes(Path(classes))
    settings = settings_from(scored, metrics, metric_options)
    return score_files(find_pairs(None, Path(reference), Path(prediction)), settings, workers)


def compare(
    *results: AnyPath | Bundle,
    names: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first one, case by case.

    Args:
        *results: results.csv, bundle folder or Bundle of each run.
        names: of the runs; by default those of their files or folders.
        metrics: only these metrics or columns; all by default.
        resamples: draws of cases behind the confidence intervals.
        seed: of the draws.
    """
    from mist_bundle.evaluation.compare import compare_runs

    return compare_runs(_comparable(results, names, metrics), resamples=resamples, seed=seed)


def rank(
    *results: AnyPath | Bundle,
    names: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int = 10_000,
    seed: int = 0,
) -> Ranking:
    """Rank runs as the BraTS challenges do; arguments as for `compare`."""
    from mist_bundle.evaluation.rank import rank_runs

    return rank_runs(_comparable(results, names, metrics), resamples=resamples, seed=seed)


def audit_bundle(bundle: AnyPath, public_key: AnyPath | None = None) -> Report:
    """Read a bundle, folder or zip, without running anything in it.

    Args:
        bundle: its folder or zip.
        public_key: file of the public key that must have signed it.
    """
    from mist_bundle.trust.audit import run

    return run.audit_bundle(Path(bundle), _path(public_key))


def verify_bundle(bundle: AnyPath, *, quick: bool = False, trust: bool = False) -> Verification:
    """Check that a bundle works: read it, then run a copy on synthetic data.

    Args:
        bundle: its folder or zip.
        quick: only read, run nothing.
        trust: run a bundle that does not pass the audit.
    """
    from mist_bundle.verify import run

    return run.verify_bundle(Path(bundle), quick=quick, trust=trust)


def unpack(archive: AnyPath, output: AnyPath = ".", *, trust: bool = False, overwrite: bool = False) -> Bundle:
    """Check a zip file with a bundle in it, and write the bundle's folder; nothing of it is executed."""
    from mist_bundle.sharing.unpack import unpack_bundle

    return Bundle(unpack_bundle(Path(archive), Path(output), trust=trust, overwrite=overwrite))


def _clean(given: Mapping[str, Any], known: Mapping[str, Option]) -> dict[str, Any]:
    """Options in the form in which they are kept (a single size for three axes, lists as tuples); None is left out."""
    public = {name: option for name, option in known.items() if option.public}
    problems = [
        Problem(name, f"is not an option. {did_you_mean(name, public)}") for name in given if name not in public
    ]
    if problems:
        raise InputError(problems)
    return {name: public[name].kind.clean(value) for name, value in given.items() if value is not None}


def _comparable(results: Sequence[AnyPath | Bundle], names: Sequence[str], metrics: Sequence[str]) -> ComparableRuns:
    from mist_bundle import pipeline

    paths = [result.root if isinstance(result, Bundle) else Path(result) for result in results]
    return pipeline.comparable_runs(paths, names, metrics)


def _warn(problems: Iterable[Problem]) -> None:
    for problem in problems:
        warnings.warn(str(problem), DataWarning, stacklevel=3)


def _path(value: AnyPath | None) -> Path | None:
    return None if value is None else Path(value)


def _absolute(value: AnyPath | None) -> str | None:
    return None if value is None else str(Path(value).absolute())


def _with_paths(how: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: _path(value) if name in names else value for name, value in how.items()}
