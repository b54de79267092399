"""Checks before an image is read: options, description, folders, folds; all problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from mist_bundle.bundle.user_code import UserCode, find_user_code
from mist_bundle.catalog.choice import is_user_code
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.cases import CASE_TABLE_CSV, Case, CaseList, find_cases
from mist_bundle.dataset.leakage import output_within_data
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import check_can_write
from mist_bundle.pipeline.fold_choice import FoldRequest, FoldRules, choose_folds, hold_out
from mist_bundle.planning.checks import check_data_options, check_options
from mist_bundle.planning.options import PlanOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A dataset and options that passed the checks.

    Attributes:
        options: with the user's own code as the bundle will know it.
        user_code: its files.
        spec: the description of the dataset.
        train: cases of the training set.
        test: cases of the test set, those held out of the training set included.
        held_out: ids of the latter.
    """

    options: PlanOptions
    user_code: tuple[UserCode, ...]
    spec: DatasetSpec
    train: CaseList
    test: CaseList
    held_out: tuple[str, ...] = ()


def check_request(dataset_json: Path, options: PlanOptions, output: Path, rules: FoldRules) -> Checked:
    """Check everything that can be checked before an image is read.

    Args:
        dataset_json: MIST's description of a dataset.
        options: of the planner.
        output: folder of the future bundle.
        rules: as for `choose_folds`.

    Raises:
        InputError: all problems at once.
    """
    problems: list[Problem] = []
    options, user_code = _find_user_code(options, problems)
    with Collecting(problems):
        check_options(options)
    spec, train, test = None, None, CaseList(cases=())
    held_out: tuple[Case, ...] = ()
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
        train = find_cases(spec, "train")
        if spec.test_dir is not None:
            test = find_cases(spec, "test")
    if train is not None and "--folds" not in [problem.path for problem in problems]:
        with Collecting(problems), Because(_reasons_for_few_cases(train, rules)):
            train, held_out = hold_out(train, rules)
            choose_folds(train.cases, FoldRequest(count=options.folds, seed=options.seed, rules=rules))
        problems += _ids_of_both(test, held_out)
    if problems or spec is None or train is None:
        raise InputError(problems)
    return Checked(
        options=options,
        user_code=user_code,
        spec=spec,
        train=train,
        test=replace(test, cases=(*test.cases, *held_out)),
        held_out=tuple(case.id for case in held_out),
    )


def _ids_of_both(test: CaseList, held_out: Sequence[Case]) -> list[Problem]:
    """A Problem for each held-out case whose label map would bear the name of a test case's."""
    ids = {case.id for case in test.cases}
    problems = []
    for case in held_out:
        if case.id in ids:
            problems.append(Problem(case.id, "is held out as a test case, and test-data has a case of this name too."))
    return problems


def _reasons_for_few_cases(train: CaseList, rules: FoldRules) -> list[Problem]:
    reasons = list(train.problems)
    if rules.fold_by is not None or rules.columns or rules.test_set is not None:
        for warning in train.warnings:
            if CASE_TABLE_CSV in warning.path:
                reasons.append(warning)
    return reasons


class Because:
    """Puts the reasons why cases were left out before the refusal that there are too few of them."""

    def __init__(self, left_out: Sequence[Problem]) -> None:
        self.left_out = left_out

    def __enter__(self) -> None:
        """The block needs nothing from here."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Only an InputError has its cause in cases that were left out."""
        if isinstance(error, InputError) and self.left_out:
            raise InputError([*self.left_out, *error.problems]) from error


def _find_user_code(options: PlanOptions, problems: list[Problem]) -> tuple[PlanOptions, tuple[UserCode, ...]]:
    """The options with dotted paths as the bundle will know them, and the files that go with them."""
    codes: list[UserCode] = []
    for name, menu in (("network", NETWORKS), ("loss", LOSSES)):
        value = getattr(options, name)
        if value is None or not is_user_code(value):
            continue
        try:
            code = find_user_code(value, f"--{name}", menu)
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
