"""The command line: one function a verb. It parses, calls, and says where the result lies; nothing else prints.

Exit codes: 0 all went well, 1 some cases failed (each is named), 2 the input was refused and nothing was written.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.errors import (
    EXIT_INPUT_REFUSED,
    EXIT_OK,
    EXIT_SOME_CASES_FAILED,
    CaseFailure,
    InputError,
    MistBundleError,
    Problem,
    render_problems,
)

# Heavy imports stand inside the verbs, so that --help answers at once.


def autoconfig(
    dataset_json: str,
    output: str = ".",
    network: str | None = None,
    loss: str | None = None,
    recipe: str = "paper",
    folds: int = 5,
    fold_by: str | None = None,
    fold_file: str | None = None,
    val_fraction: float | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    batch_size: int | None = None,
    patch_size: Any = None,
    max_patch_size: Any = None,
    target_spacing: Any = None,
    learning_rate: float | None = None,
    flip_axes: Any = (0, 1, 2),
    bias_correction: bool = False,
    skip_preprocessing: bool = False,
    workers: Any = 1,
    seed: int = 42,
    format: str = "json",
    overwrite: bool = False,
) -> None:
    """Look at a data set, decide everything, and write it as a MONAI bundle.

    Args:
        dataset_json: the data set's description (MIST's keys: task, modality, train-data, mask, images, labels …).
        output: folder in which <task>_segmentation/ is made.
        network: name from `mist-bundle networks`; the recipe's by default.
        loss: name from `mist-bundle losses`; the recipe's by default.
        recipe: name from `mist-bundle recipes`.
        folds: number of cross-validation folds.
        fold_by: column of the cases' table that is kept together in a fold (leave-one-site-out, say).
        fold_file: CSV or JSON with the columns id and fold.
        val_fraction: part of each training set held back to choose the best weights.
        epochs: of each training.
        steps_per_epoch: optimizer steps of an epoch.
        batch_size: patches of a step (on each GPU).
        patch_size: voxels, for example 64,64,32; rounded up to what the network takes.
        max_patch_size: the largest patch the rule may choose.
        target_spacing: millimetres, for example 1,1,3.
        learning_rate: the initial one.
        flip_axes: axes that may be flipped in training and testing; 1,2 when left and right differ.
        bias_correction: N4 bias field correction (MR only).
        skip_preprocessing: the files are preprocessed already; read them as they are.
        workers: processes of the analysis, or tcp://host:port of a Dask scheduler.
        seed: of the folds and of the training.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
    """
    from mist_bundle import pipeline
    from mist_bundle.bundle.generate import FORMATS
    from mist_bundle.planning.plan import PlanOptions
    from mist_bundle.planning.table import decision_rows, text_table

    if format not in FORMATS:
        raise InputError(Problem("--format", f"is {format!r}; expected {' or '.join(FORMATS)}."))
    options = PlanOptions(
        recipe=recipe,
        network=network,
        loss=loss,
        folds=folds,
        val_fraction=val_fraction,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        patch_size=_axes("patch_size", patch_size, int),
        max_patch_size=_axes("max_patch_size", max_patch_size, int),
        target_spacing=_axes("target_spacing", target_spacing, float),
        learning_rate=learning_rate,
        seed=seed,
        skip_preprocessing=skip_preprocessing,
        bias_correction=bias_correction,
        flip_axes=tuple(_sequence("flip_axes", flip_axes, int)),
    )
    made = pipeline.autoconfig(
        Path(str(dataset_json)),
        Path(str(output)),
        options,
        fold_by=None if fold_by is None else str(fold_by),
        fold_file=None if fold_file is None else Path(str(fold_file)),
        config_format=format,
        workers=workers,
        overwrite=overwrite,
    )
    _warn(made.warnings)
    print(text_table(decision_rows(made.plan)))
    print(f"\nBundle of {made.plan.num_cases} cases: {made.bundle}")
    print(f"Train it: python -m mist_bundle train {made.bundle} --fold all")
    _fail_for(made.excluded, made.plan.num_cases + len(made.excluded), "left out")


def analyze(dataset_json: str, output: str = ".", workers: Any = 1, overwrite: bool = False) -> None:
    """Measure a data set and write fingerprint.json.

    Args:
        dataset_json: the data set's description.
        output: folder for fingerprint.json.
        workers: processes, or tcp://host:port of a Dask scheduler.
        overwrite: replace a file that is there already.
    """
    from mist_bundle import pipeline
    from mist_bundle.artifacts import FINGERPRINT_JSON, refuse_existing, write_json

    target = Path(str(output)) / FINGERPRINT_JSON
    refuse_existing(target, overwrite=overwrite)
    fingerprint, excluded = pipeline.analyze_dataset(Path(str(dataset_json)), workers)
    write_json(target, fingerprint.to_json())
    print(f"Measured {len(fingerprint.cases)} cases: {target}")
    _fail_for(excluded, len(fingerprint.cases) + len(excluded), "left out")


def preprocess(bundle: str, dataset_dir: str | None = None, workers: int | None = None, **overrides: Any) -> None:
    """Prepare all training arrays ahead of time; training would do it on first use.

    Args:
        bundle: the bundle's folder.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        workers: cases prepared at the same time.
        **overrides: any other id of preprocess.json.
    """
    from mist_bundle import pipeline

    pipeline.preprocess(_folder(bundle), {"dataset_dir": _path(dataset_dir), "workers": workers, **overrides})
    print(f"Prepared arrays: {pipeline.work_dir(_folder(bundle)) / 'cache'}")


def train(
    bundle: str,
    fold: Any = 0,
    resume: bool = False,
    device: str | None = None,
    processes: int = 1,
    dataset_dir: str | None = None,
    **overrides: Any,
) -> None:
    """Train a bundle.

    Args:
        bundle: the bundle's folder.
        fold: a fold, several (0,1), or all.
        resume: go on after the last finished epoch; folds that are complete are passed over.
        device: cpu, cuda or cuda:1.
        processes: GPUs (or CPU processes) that train together.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        **overrides: any id of train.json: epochs, steps_per_epoch, batch_size, patch_size, learning_rate …
    """
    from mist_bundle import pipeline

    path = _folder(bundle)
    settings = {"resume": resume or None, "device": device, "dataset_dir": _path(dataset_dir), **overrides}
    pipeline.train(path, _folds(fold, pipeline.num_folds(path)), settings, processes)
    print(f"Best weights: {path / 'models'}\nLogs and last checkpoints: {pipeline.work_dir(path)}")


def evaluate(
    bundle: str | None = None,
    fold: Any = "all",
    paths: str | None = None,
    reference: str | None = None,
    prediction: str | None = None,
    classes: str | None = None,
    metrics: Any = "dice,hd95",
    output: str = "results.csv",
    workers: Any = 1,
    device: str | None = None,
    overwrite: bool = False,
    dataset_dir: str | None = None,
    **overrides: Any,
) -> None:
    """Score the held-out folds of a trained bundle, or any predictions against their references.

    Args:
        bundle: a trained bundle; leave it out to score files.
        fold: with a bundle: a fold, several, or all that were trained.
        paths: CSV with the columns id, mask, prediction.
        reference: folder of reference label maps, with --prediction instead of --paths.
        prediction: folder of predicted label maps of the same names.
        classes: JSON file: class name to list of labels (or a dataset.json, whose final_classes are taken).
        metrics: comma-separated names: dice, hd95, surface_dice …
        output: the table to write when files are scored.
        workers: cases scored at the same time.
        device: with a bundle: cpu, cuda …
        overwrite: replace a table that is there already.
        dataset_dir: with a bundle: folder of the cases.
        **overrides: with a bundle: any id of evaluate.json or train.json.
    """
    names = tuple(_sequence("metrics", metrics, str))
    if bundle is None:
        _refuse_unknown(overrides)
        _evaluate_files(paths, reference, prediction, classes, names, Path(str(output)), workers, overwrite=overwrite)
        return
    from mist_bundle import pipeline

    path = _folder(bundle)
    wanted = _folds(fold, pipeline.num_folds(path))
    settings = {"device": device, "dataset_dir": _path(dataset_dir), "metrics": list(names), **overrides}
    pipeline.evaluate_folds(path, wanted, settings)
    for one in wanted:
        print(f"Fold {one}: {pipeline.work_dir(path) / f'fold_{one}' / 'results.csv'}")


def _evaluate_files(
    paths: str | None,
    reference: str | None,
    prediction: str | None,
    classes: str | None,
    metrics: Sequence[str],
    output: Path,
    workers: Any,
    *,
    overwrite: bool,
) -> None:
    from mist_bundle.artifacts import refuse_existing
    from mist_bundle.evaluation.score import evaluate_files

    refuse_existing(output, overwrite=overwrite)
    failed, total = evaluate_files(
        paths=_optional(paths),
        reference=_optional(reference),
        prediction=_optional(prediction),
        classes=_optional(classes),
        metrics=metrics,
        output=output,
        workers=workers,
    )
    print(f"Scores: {output}")
    _fail_for(failed, total, "not scored")


def finalize(bundle: str) -> None:
    """Gather the folds of a trained and evaluated bundle: results.csv, model card, model.pt, manifest.

    Args:
        bundle: the bundle's folder.
    """
    from mist_bundle import pipeline

    print(f"Results of all folds: {pipeline.finalize(_folder(bundle))}")


def predict(
    bundle: str,
    input: str,
    output: str,
    tta: bool | None = None,
    probabilities: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    **overrides: Any,
) -> None:
    """Write a label map for each case, in its own grid.

    Args:
        bundle: a trained bundle.
        input: CSV or JSON with an id and one column for each channel, by name; or a folder of case folders.
        output: folder for <id>.nii.gz.
        tta: average over flips (--tta) or not (--notta); the bundle decides by default.
        probabilities: write the probability of each class too.
        device: cpu, cuda or cuda:1.
        overwrite: replace label maps that are there already.
        **overrides: any id of inference.json: overlap, sw_batch_size, ensemble …
    """
    from mist_bundle import pipeline

    written, warnings = pipeline.predict(
        _folder(bundle),
        Path(str(input)),
        Path(str(output)),
        tta=tta,
        probabilities=probabilities,
        device=device,
        overwrite=overwrite,
        overrides=overrides,
    )
    _warn(warnings)
    print(f"{len(written)} label maps: {output}")


def run_all(
    dataset_json: str,
    output: str = ".",
    device: str | None = None,
    predict_test: bool = True,
    resume: bool = False,
    processes: int = 1,
    **options: Any,
) -> None:
    """Everything: configure, preprocess, train and evaluate every fold, gather the results, predict the test set.

    Args:
        dataset_json: the data set's description.
        output: folder in which <task>_segmentation/ and its work folder are made.
        device: cpu, cuda or cuda:1.
        predict_test: predict the test set, where there is one.
        resume: go on with the bundle that is there, after what is finished.
        processes: GPUs (or CPU processes) that train together.
        **options: all options of `autoconfig`.
    """
    from mist_bundle import pipeline
    from mist_bundle.bundle.generate import bundle_name
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.report.overlay import draw_examples

    check_flags(autoconfig, [f"--{name}" for name in options])
    bundle = Path(str(output)) / bundle_name(DatasetSpec.from_json(Path(str(dataset_json))))
    left_out: CaseFailure | None = None
    if not (resume and bundle.is_dir()):
        try:
            autoconfig(dataset_json, output, **options)
        except CaseFailure as failure:  # the others go on; the exit code says it at the end
            left_out = failure
    settings = {"device": device}
    folds = list(range(pipeline.num_folds(bundle)))
    pipeline.preprocess(bundle, {})
    pipeline.train(bundle, folds, {**settings, "resume": resume or None}, processes)
    pipeline.evaluate_folds(bundle, folds, settings)
    results = pipeline.finalize(bundle)
    predictions = pipeline.work_dir(bundle) / "predictions"
    count = pipeline.predict_test_set(bundle, predictions, settings) if predict_test else 0
    picture = draw_examples(bundle, pipeline.work_dir(bundle))
    print(f"\nBundle:      {bundle}\nResults:     {results}\nPicture:     {picture}")
    print(f"Predictions: {pipeline.work_dir(bundle)}/fold_*/predictions (each case by a model that had not seen it)")
    if count:
        print(f"Test set:    {predictions} ({count} cases)")
    if left_out is not None:
        raise left_out


def convert_msd(
    source: str, output: str, copy: bool = False, limit: int | None = None, start: int = 0, overwrite: bool = False
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

    made = convert(Path(str(source)), Path(str(output)), copy=copy, limit=limit, start=start, overwrite=overwrite)
    print(f"Data set: {made}")


def convert_csv(
    source: str, output: str, test: str | None = None, copy: bool = False, overwrite: bool = False
) -> None:
    """Describe a table of cases for autoconfig; images are linked, not copied.

    Args:
        source: CSV with the columns id, mask and one for each image.
        output: folder to make.
        test: the same for unlabelled cases.
        copy: copy the images instead of linking them.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.dataset.csv_layout import convert_csv as convert

    made = convert(Path(str(source)), Path(str(output)), test_csv=_optional(test), copy=copy, overwrite=overwrite)
    print(f"Data set: {made}")


def phantom(
    output: str, kind: str = "mr2", cases: int = 12, test_cases: int = 3, seed: int = 0, overwrite: bool = False
) -> None:
    """Make a synthetic data set to try things on.

    Args:
        output: folder to make.
        kind: mr2 (two MR channels), ct, or brats (nested labels 0, 1, 2, 4).
        cases: with labels.
        test_cases: without.
        seed: of everything that is drawn.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.dataset.phantom import make_phantom

    made = make_phantom(
        Path(str(output)), kind=kind, num_cases=cases, num_test=test_cases, seed=seed, overwrite=overwrite
    )
    print(f"Data set: {made}")


def networks() -> None:
    """List the networks."""
    from mist_bundle.catalog.networks import NETWORKS

    _menu(NETWORKS)


def losses() -> None:
    """List the losses."""
    from mist_bundle.catalog.losses import LOSSES

    _menu(LOSSES)


def recipes() -> None:
    """List the recipes."""
    from mist_bundle.planning.recipes import RECIPES

    _menu(RECIPES)


VERBS: dict[str, Callable[..., None]] = {
    verb.__name__: verb
    for verb in (
        autoconfig,
        run_all,
        analyze,
        preprocess,
        train,
        evaluate,
        finalize,
        predict,
        convert_msd,
        convert_csv,
        phantom,
        networks,
        losses,
        recipes,
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return EXIT_OK if words else EXIT_INPUT_REFUSED
    return run_verb(words[0], words[1:])


def run_verb(name: str, words: list[str]) -> int:
    """Run one verb with its words; problems go to stderr, the exit code says how it went."""
    import fire

    try:
        verb = VERBS.get(name)
        if verb is None:
            raise InputError(Problem(name, f"is not a command. {_nearest(name, VERBS)}"))
        if not {"-h", "--help"} & set(words):
            check_flags(verb, words)
        fire.Fire(verb, command=["--", "--help"] if {"-h", "--help"} & set(words) else words, name=f"mist-bundle {name}")
    except InputError as error:
        print(f"Refused, nothing was written:\n{error}", file=sys.stderr)
        return EXIT_INPUT_REFUSED
    except CaseFailure as error:
        print(str(error), file=sys.stderr)
        return EXIT_SOME_CASES_FAILED
    except MistBundleError as error:
        print(str(error), file=sys.stderr)
        return EXIT_SOME_CASES_FAILED
    return EXIT_OK


def check_flags(verb: Callable[..., None], words: Sequence[str]) -> None:
    """Refuse misspelt options before anything runs: Fire would run the verb first and complain afterwards.

    Raises:
        InputError: naming each unknown option and the nearest known one.
    """
    parameters = inspect.signature(verb).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    known = [name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    problems, positional, expects_value = [], 0, False
    for word in words:
        if not word.startswith("--"):
            positional += not expects_value
            expects_value = False
            continue
        flag, _, value = word[2:].partition("=")
        flag = flag.replace("-", "_")
        expects_value = not value
        if not open_ended and flag not in known and not (flag.startswith("no") and flag[2:] in known):
            problems.append(Problem(f"--{flag}", f"is not an option. {_nearest(flag, known)}"))
    if positional > len(known):
        problems.append(Problem("arguments", f"{positional} were given; expected at most {len(known)}."))
    if problems:
        raise InputError(problems)


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    check_flags(_evaluate_files, [f"--{name}" for name in given])


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}? " if close else ""
    return f"{hint}Known: {', '.join(known)}."


def _overview() -> str:
    lines = [f"  {name:<12} {(inspect.getdoc(verb) or '').splitlines()[0]}" for name, verb in VERBS.items()]
    return (
        "mist-bundle: from a data set to a MONAI bundle that trains, evaluates and predicts.\n\n"
        "usage: python -m mist_bundle COMMAND … (COMMAND --help for its options)\n\n" + "\n".join(lines)
    )


def _menu(rows: Mapping[str, Any]) -> None:
    width = max(len(name) for name in rows)
    for name, row in rows.items():
        print(f"{name:<{width}}  {row.about}" + (f" [{row.cite}]" if row.cite else ""))


def _warn(warnings: Sequence[Problem]) -> None:
    if warnings:
        print(f"Warnings:\n{render_problems(warnings)}\n", file=sys.stderr)


def _fail_for(problems: Sequence[Problem], total: int, what: str) -> None:
    if problems:
        print(f"{len(problems)} of {total} cases were {what}.", file=sys.stderr)
        raise CaseFailure(problems, total)


def _folds(fold: Any, count: int) -> list[int]:
    return list(range(count)) if fold == "all" else _sequence("fold", fold, int)


def _axes(name: str, value: Any, kind: type) -> Any:
    if value is None:
        return None
    axes = tuple(_sequence(name, value, kind))
    return axes * 3 if len(axes) == 1 else axes


def _sequence(name: str, value: Any, kind: type) -> list[Any]:
    """A list of numbers or words from what Fire made of "1,2,3", "[1, 2, 3]" or "1"."""
    parts = value.split(",") if isinstance(value, str) else value
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    try:
        converted = [kind(part) for part in parts if part != ""]
    except (TypeError, ValueError):
        raise InputError(Problem(f"--{name}", f"is {value!r}; expected {kind.__name__} values like 1,2,3.")) from None
    if kind is int and any(int(part) != float(part) for part in parts if part != ""):
        raise InputError(Problem(f"--{name}", f"is {value!r}; expected whole numbers."))
    return converted


def _folder(bundle: str) -> Path:
    path = Path(str(bundle))
    if not (path / "configs").is_dir():
        raise InputError(Problem(str(path), "is not a bundle: there is no configs/ folder in it."))
    return path


def _path(value: str | None) -> str | None:
    return None if value is None else str(Path(str(value)).absolute())


def _optional(value: str | None) -> Path | None:
    return None if value is None else Path(str(value))
