"""From a description of data to a bundle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.bundle.folder import is_bundle
from mist_bundle.bundle.generate import BundleInput, bundle_name, generate_bundle
from mist_bundle.catalog.choice import is_user_code
from mist_bundle.dataset.cases import Case, CaseList
from mist_bundle.dataset.leakage import (
    Digests,
    copies_in_test_set,
    leaks_between_folds,
    repeated_scans,
    same_scans,
    seen_in_training,
)
from mist_bundle.dataset.prediction_case import Examined, examine
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import FINGERPRINT_JSON, refuse_existing, remove_leavings, work_dir_of, write_json
from mist_bundle.parallel import map_cases
from mist_bundle.pipeline.fold_choice import FoldRequest, FoldRules, Folds, choose_folds
from mist_bundle.pipeline.machine import gpu_here, machine_warnings
from mist_bundle.pipeline.preflight import Because, check_request
from mist_bundle.pipeline.trained_work import forget, refuse_to_lose
from mist_bundle.planning.memory import DEFAULT_GB, memory_warnings
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan, make_plan
from mist_bundle.planning.plan_warnings import plan_warnings

# A last word on a plan, and files to add to its bundle
Adapt = Callable[[Plan], tuple[Plan, Mapping[str, bytes]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """A new bundle, its plan, its cases, the cases that were left out, and the warnings."""

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
    fold_rules: FoldRules | None = None,
    fingerprint_file: Path | None = None,
    config_format: str = "json",
    workers: int | str | None = None,
    overwrite: bool = False,
    overwrite_weights: bool = False,
    adapt: Adapt | None = None,
    name: str | None = None,
) -> Configured:
    """Check, measure, decide, and write the bundle.

    Args:
        dataset_json: MIST's description of a dataset.
        output: folder of the bundle; fingerprint.json goes beside the bundle, into its work folder.
        options: of the planner.
        fold_rules: how the user wishes cases to be assigned to folds; at random by default.
        fingerprint_file: measurements to plan by in place of those of the cases here.
        config_format: "json" or "yaml".
        workers: processes of the analysis, or the address of a Dask scheduler.
        overwrite: replace an existing bundle.
        overwrite_weights: lose its training, too.
        adapt: changes the plan and adds files to the bundle, before anything is written.
        name: name of the bundle's folder, after the task by default.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    rules = fold_rules or FoldRules()
    checked = check_request(dataset_json, options, output, rules)
    options, spec = checked.options, checked.spec
    of_all_sites = None if fingerprint_file is None else Fingerprint.read(fingerprint_file)
    target = output / (name or bundle_name(spec))
    remove_leavings(target)
    refuse_existing(target, overwrite=overwrite)
    _refuse_other_folder(target)
    refuse_to_lose(target, overwrite_weights=overwrite_weights)
    fingerprint = analyze(spec, checked.train.cases, workers=workers, excluded=checked.train.problems)
    excluded = fingerprint.excluded
    cases = _measured(checked.train.cases, fingerprint)
    volumes_ml = fingerprint.volumes_ml(spec.final_classes)
    with Because(excluded):
        request = FoldRequest(count=options.folds, seed=options.seed, rules=rules)
        chosen = choose_folds(cases, request, same_scans(fingerprint.digests), volumes_ml)
    tests, examined = _examined_tests(checked.test, workers)
    warnings = _refuse_leaks(fingerprint, chosen, examined, checked.held_out)
    options = replace(options, folds=chosen.count)
    gpu = gpu_here() if options.memory is None else None
    if gpu is not None:
        options = replace(options, memory=gpu[1])
    plan = make_plan(spec, of_all_sites or fingerprint, options)
    plan, extra_files = (plan, {}) if adapt is None else adapt(plan)
    warnings += [Problem(*warning) for warning in plan.warnings or ()]
    warnings += plan_warnings(spec, fingerprint, plan, chosen.folds)
    warnings += memory_warnings(plan, options.memory or DEFAULT_GB)
    warnings += _oddities(examined)
    plan = replace(plan, warnings=_planned_warnings(warnings))
    parts = BundleInput(
        spec=spec,
        plan=plan,
        cases=cases,
        test_cases=tests.cases,
        folds=chosen.folds,
        excluded=excluded,
        groups=chosen.groups,
        strata=chosen.strata,
        fold_table=chosen.table(volumes_ml, checked.held_out),
        user_code=checked.user_code,
        extra_files=extra_files,
        untried=_untried(options),
    )
    forget(target)  # states of trainings with another plan
    measured = fingerprint.to_json()

    def write_fingerprint(bundle: Path) -> None:
        write_json(work_dir_of(bundle) / FINGERPRINT_JSON, measured)

    bundle = generate_bundle(
        parts, output, name=name, config_format=config_format, overwrite=overwrite, ready=write_fingerprint
    )
    return Configured(
        bundle=bundle,
        plan=plan,
        case_ids=tuple(map(_case_id, cases)),
        excluded=(*excluded, *tests.problems),
        # what holds on this machine alone is not written into the bundle
        warnings=(*checked.train.warnings, *tests.warnings, *warnings, *machine_warnings(plan)),
    )


def _measured(cases: Sequence[Case], fingerprint: Fingerprint) -> list[Case]:
    """The cases that the analysis did not leave out."""
    measured_ids = {case.id for case in fingerprint.cases}
    return [case for case in cases if case.id in measured_ids]


def _planned_warnings(warnings: Sequence[Problem]) -> tuple[tuple[str, str], ...] | None:
    """The warnings as the plan keeps them."""
    return tuple((warning.path, warning.message) for warning in warnings) or None


def _refuse_other_folder(target: Path) -> None:
    """Refuse to replace a folder that is not a bundle: --overwrite means bundles, and it may hold the user's files."""
    if target.is_dir() and any(target.iterdir()) and not is_bundle(target):
        message = (
            "is not a bundle (it has no configs/), and only bundles are replaced. Move it, or choose another place."
        )
        raise InputError(Problem(str(target), message))


def _refuse_leaks(
    fingerprint: Fingerprint, chosen: Folds, tests: Mapping[str, Examined], held_out: Collection[str]
) -> list[Problem]:
    """Warnings about repeated scans.

    Raises:
        InputError: a scan would be both trained on and tested with.
    """
    training = fingerprint.digests
    test_digests: Digests = dict(zip(tests, map(_digests, tests.values()), strict=True))
    same = same_scans(training)
    leaks = [*leaks_between_folds(same, chosen.folds), *copies_in_test_set(test_digests)]
    warnings = []
    for case_id, problem in seen_in_training(test_digests, training).items():
        if case_id in held_out:
            leaks.append(problem)
        else:
            warnings.append(problem)
    if leaks:
        raise InputError(leaks)
    return [*repeated_scans(same), *warnings]


def _examined_tests(tests: CaseList, workers: int | str | None) -> tuple[CaseList, dict[str, Examined]]:
    """The test cases that can be predicted, the others as problems, and what was seen in them."""
    outcome = map_cases(examine, tests.cases, name=_case_id, workers=workers, description="test set")
    broken = [problem.path for problem in outcome.problems]
    usable = []
    for case in tests.cases:
        if case.id not in broken:
            usable.append(case)
    listed = replace(tests, cases=tuple(usable), problems=(*tests.problems, *outcome.problems))
    return listed, dict(zip(map(_case_id, usable), outcome.results, strict=True))


def _oddities(tests: Mapping[str, Examined]) -> list[Problem]:
    problems = []
    for name, test in tests.items():
        for sentence in test.oddities:
            problems.append(Problem(f"test set, {name}", sentence))
    return problems


def _digests(test: Examined) -> Collection[str]:
    return test.digests.values()


def _case_id(case: Case) -> str:
    return case.id


def _untried(options: PlanOptions) -> list[str]:
    """The parts, of network and loss, that are not a row of the menu as it stands there."""
    parts = []
    for part in ("network", "loss"):
        if getattr(options, f"{part}_arguments") or is_user_code(getattr(options, part) or ""):
            parts.append(part)
    return parts
