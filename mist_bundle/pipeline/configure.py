"""From a description of data to a bundle, or to a page about the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.bundle.folder import is_bundle
from mist_bundle.bundle.generate import BundleInput, bundle_name, generate_bundle
from mist_bundle.bundle.user_code import UserCode, find_user_code
from mist_bundle.catalog.choice import is_user_code
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.cases import CASE_TABLE_CSV, Case, CaseList, case_column, find_cases
from mist_bundle.dataset.folds import assign_folds
from mist_bundle.dataset.leakage import (
    Digests,
    copies_in_test_set,
    leaks_between_folds,
    output_within_data,
    repeated_scans,
    same_scans,
    seen_in_training,
)
from mist_bundle.dataset.prediction_case import Examined, examine
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import (
    FINGERPRINT_JSON,
    check_can_write,
    refuse_existing,
    remove_leavings,
    work_dir_of,
    write_json,
)
from mist_bundle.parallel import map_cases
from mist_bundle.pipeline.trained_work import forget, refuse_to_lose
from mist_bundle.planning.checks import check_data_options, check_options
from mist_bundle.planning.options import OPTIONS, PlanOptions
from mist_bundle.planning.plan import Plan, make_plan
from mist_bundle.planning.plan_warnings import plan_warnings

FOLD_COLUMN = "fold"
# A last word on a plan, and files to add to its bundle
Adapt = Callable[[Plan], tuple[Plan, Mapping[str, bytes]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What autoconfig made."""

    bundle: Path
    plan: Plan
    case_ids: tuple[str, ...]
    excluded: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def autoconfig(
    dataset_json: Path,
    output: Path,
    options: PlanOptions,
    *,
    fold_by: str | None = None,
    fold_file: Path | None = None,
    config_format: str = "json",
    workers: int | str | None = None,
    overwrite: bool = False,
    overwrite_weights: bool = False,
    adapt: Adapt | None = None,
) -> Configured:
    """Check, measure, decide, and write the bundle.

    Args:
        dataset_json: MIST's data set description.
        output: folder that the bundle is made in; fingerprint.json goes beside it, into its work folder.
        options: what was asked for.
        fold_by: column of the cases' table whose values are kept together in a fold (leave-one-site-out, say).
        fold_file: CSV or JSON that gives each case its fold.
        config_format: "json" or "yaml".
        workers: processes of the analysis, or the address of a Dask scheduler.
        overwrite: replace a bundle that is there.
        overwrite_weights: lose what was trained of it, too.
        adapt: changes the plan and adds files to the bundle, before anything is written.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    checked = _checked(dataset_json, options, output, fold_by, fold_file)
    options, spec, found = checked.options, checked.spec, checked.found
    target = output / bundle_name(spec)
    remove_leavings(target)
    refuse_existing(target, overwrite=overwrite)
    _refuse_no_bundle(target)
    refuse_to_lose(target, overwrite_weights=overwrite_weights)
    fingerprint = analyze(spec, found.cases, workers=workers, excluded=found.problems)
    excluded = fingerprint.excluded
    used_ids = {case.id for case in fingerprint.cases}
    cases = [case for case in found.cases if case.id in used_ids]
    with _Because(excluded):
        folds = _folds(cases, options, fold_by, fold_file)
    tests, examined = _examined_tests(checked.tests, workers)
    own_folds = fold_by is not None or fold_file is not None
    test_digests = {name: one.digests.values() for name, one in examined.items()}
    doubts = _refuse_leaks(fingerprint, folds, test_digests, own_folds)
    if fold_file is not None or fold_by is not None:
        options = replace(options, folds=max(folds.values()) + 1)
    plan = make_plan(spec, fingerprint, options)
    plan, extra_files = (plan, {}) if adapt is None else adapt(plan)
    doubts += plan_warnings(spec, fingerprint, plan, folds)
    doubts += [Problem(f"test set, {name}", text) for name, one in examined.items() for text in one.oddities]
    plan = replace(plan, warnings=tuple((doubt.path, doubt.message) for doubt in doubts) or None)
    given = BundleInput(
        spec=spec,
        plan=plan,
        cases=cases,
        test_cases=tests.cases,
        folds=folds,
        excluded=excluded,
        groups=None if fold_by is None else case_column(cases, fold_by),
        user_code=checked.user_code,
        extra_files=extra_files,
        untried=_untried(options),
    )
    forget(target)  # states of another plan are none of this one
    measured = fingerprint.to_json()

    def write_fingerprint(bundle: Path) -> None:
        write_json(work_dir_of(bundle) / FINGERPRINT_JSON, measured)

    bundle = generate_bundle(given, output, config_format=config_format, overwrite=overwrite, ready=write_fingerprint)
    return Configured(
        bundle=bundle,
        plan=plan,
        case_ids=tuple(case.id for case in cases),
        excluded=(*excluded, *tests.problems),
        warnings=(*found.warnings, *tests.warnings, *doubts),
    )


def _refuse_no_bundle(target: Path) -> None:
    """Refuse to replace what is no bundle: --overwrite speaks of bundles, and what lies there may be the user's own."""
    if target.is_dir() and any(target.iterdir()) and not is_bundle(target):
        message = (
            "is no bundle (it has no configs/), and only a bundle is replaced. Move it away, or choose another place."
        )
        raise InputError(Problem(str(target), message))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    """What was given, with own code as the bundle will know it."""

    options: PlanOptions
    user_code: tuple[UserCode, ...]
    spec: DatasetSpec
    found: CaseList
    tests: CaseList


def _checked(
    dataset_json: Path, options: PlanOptions, output: Path, fold_by: str | None, fold_file: Path | None
) -> _Checked:
    """Everything that can be known to be wrong before an image is read, said at once."""
    problems: list[Problem] = []
    options, user_code = _find_user_code(options, problems)
    with Collecting(problems):
        check_options(options)
    spec, found, tests = None, None, CaseList(cases=())
    can_write = False
    with Collecting(problems):
        check_can_write(output)
        can_write = True
    with Collecting(problems):
        spec = DatasetSpec.from_json(dataset_json)
        if options.ignore_label is not None:
            with Collecting(problems):
                spec = spec.with_ignore_label(options.ignore_label)
        with Collecting(problems):
            check_data_options(spec, options)
        if can_write:
            problems += output_within_data(output, spec)
        found = find_cases(spec, "train")
        if spec.test_dir is not None:
            tests = find_cases(spec, "test")
    if found is not None and not any(problem.path == "--folds" for problem in problems):
        unread = [] if fold_by is None else [warning for warning in found.warnings if CASE_TABLE_CSV in warning.path]
        with Collecting(problems), _Because([*found.problems, *unread]):
            _folds(found.cases, options, fold_by, fold_file)
    if problems or spec is None or found is None:
        raise InputError(problems)
    return _Checked(options=options, user_code=user_code, spec=spec, found=found, tests=tests)


class _Because:
    """Puts why cases were left out before what follows from there being too few."""

    def __init__(self, left_out: Sequence[Problem]) -> None:
        self.left_out = left_out

    def __enter__(self) -> None:
        """Nothing is given."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Only what was refused has a cause here."""
        if isinstance(error, InputError) and self.left_out:
            raise InputError([*self.left_out, *error.problems]) from error


def _refuse_leaks(fingerprint: Fingerprint, folds: Mapping[str, int], tests: Digests, own_folds: bool) -> list[Problem]:
    """Warnings about scans that are there more than once.

    Raises:
        InputError: one of them would be trained on and tested with.
    """
    training = {case.id: [channel.digest for channel in case.channels] for case in fingerprint.cases}
    same = same_scans(training)
    leaks = [*leaks_between_folds(same, folds, chosen=own_folds), *copies_in_test_set(tests)]
    if leaks:
        raise InputError(leaks)
    return [*repeated_scans(same), *seen_in_training(tests, training)]


def _examined_tests(tests: CaseList, workers: int | str | None) -> tuple[CaseList, dict[str, Examined]]:
    """The test cases that can be predicted, the others as problems, and what was seen in them."""
    done = map_cases(examine, tests.cases, name=_case_id, workers=workers, description="test set")
    broken = {problem.path for problem in done.problems}
    usable = tuple(case for case in tests.cases if case.id not in broken)
    found = replace(tests, cases=usable, problems=(*tests.problems, *done.problems))
    return found, {case.id: one for case, one in zip(usable, done.results, strict=True)}


def _case_id(case: Case) -> str:
    return case.id


def _find_user_code(options: PlanOptions, problems: list[Problem]) -> tuple[PlanOptions, tuple[UserCode, ...]]:
    """The options with dotted paths as the bundle will know them, and the files that go with them."""
    codes: list[UserCode] = []
    for name, menu in (("network", NETWORKS), ("loss", LOSSES)):
        asked = getattr(options, name)
        if asked is None or not is_user_code(asked):
            continue
        try:
            code = find_user_code(asked, f"--{name}", menu)
        except InputError as error:
            problems += error.problems
            continue
        if name == "network":
            options = replace(options, network=code.target, patch_divisor=options.patch_divisor or code.patch_divisor)
        else:
            maps = options.distance_maps or code.needs_distance_maps
            options = replace(options, loss=code.target, distance_maps=maps)
        codes.append(code)
    return options, tuple(codes)


def _untried(options: PlanOptions) -> list[str]:
    """What is not a row of the menu as it stands there, of network and loss."""
    return [
        part
        for part in ("network", "loss")
        if getattr(options, f"{part}_arguments") or is_user_code(getattr(options, part) or "")
    ]


def _folds(cases: Sequence[Case], options: PlanOptions, fold_by: str | None, fold_file: Path | None) -> dict[str, int]:
    ids = [case.id for case in cases]
    if fold_file is not None:
        given = _read_fold_file(fold_file)
        count = max(given.values(), default=1) + 1
        if options.folds not in (count, OPTIONS["folds"].default):
            message = f"is {options.folds}, but {fold_file} has the folds 0 to {count - 1}. Leave --folds out."
            raise InputError(Problem("--folds", message))
        return assign_folds(ids, count, options.seed, fold_file=given)
    if fold_by is None:
        return assign_folds(ids, options.folds, options.seed)
    return assign_folds(ids, options.folds, options.seed, groups=case_column(cases, fold_by))


def _read_fold_file(path: Path) -> dict[str, int]:
    table = read_table(path)
    problems = list(table.problems)
    folds: dict[str, int] = {}
    for row in table.rows:
        value = row.cells.get(FOLD_COLUMN, "")
        if value.isdigit():
            folds[row.id] = int(value)
        else:
            problems.append(Problem(f"{path} {row.place}", f"'fold' is {value!r}; expected 0, 1, 2 …"))
    if problems:
        raise InputError(problems)
    return folds


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyzed:
    """What analyze wrote."""

    page: Path
    report: dict[str, Any]
    excluded: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def analyze_dataset(
    dataset_json: Path, output: Path, *, workers: int | str | None = None, pictures: int = 6, overwrite: bool = False
) -> Analyzed:
    """Measure a data set in detail and write fingerprint.json and data_report.json, .md and .html.

    Args:
        dataset_json: MIST's data set description.
        output: folder of the files.
        workers: processes, or the address of a Dask scheduler.
        pictures: how many cases the page shows.
        overwrite: replace files that are there.

    Raises:
        InputError: the description is wrong, no case is usable, or a file is there already.
    """
    from mist_bundle.analysis.data_report import DataFacts, make_data_report
    from mist_bundle.analysis.fingerprint import analyze_in_detail
    from mist_bundle.report.data_page import DATA_REPORT_HTML, DATA_REPORT_JSON, DATA_REPORT_MD, write_data_report
    from mist_bundle.report.sources import files_of_cases

    for name in (FINGERPRINT_JSON, DATA_REPORT_JSON, DATA_REPORT_MD, DATA_REPORT_HTML):
        refuse_existing(output / name, overwrite=overwrite)
    spec = DatasetSpec.from_json(dataset_json)
    found = find_cases(spec, "train")
    fingerprint, details = analyze_in_detail(spec, found.cases, workers=workers, excluded=found.problems)
    report = make_data_report(DataFacts.of_spec(spec), fingerprint, details)
    write_data_report(output, report, files_of_cases(found.cases), pictures)
    write_json(output / FINGERPRINT_JSON, fingerprint.to_json())
    return Analyzed(
        page=output / DATA_REPORT_HTML, report=report, excluded=fingerprint.excluded, warnings=found.warnings
    )
