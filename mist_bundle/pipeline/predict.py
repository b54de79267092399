"""Predict with a trained bundle: the cases that a user names, or those of the bundle's own test set."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.artifacts import refuse_existing, write_json
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import INFERENCE, run_workflow
from mist_bundle.dataset.cases import Case, match_prediction_inputs
from mist_bundle.dataset.prediction_case import check_prediction_case
from mist_bundle.errors import CaseFailure, InputError, Problem
from mist_bundle.pipeline.workflows import open_to_run
from mist_bundle.planning.plan import Plan


def predict(
    bundle: Path,
    source: Path,
    output: Path,
    *,
    tta: bool | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    overrides: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> tuple[list[Path], tuple[Problem, ...]]:
    """Write a label map for every case of a CSV, a JSON or a folder, in the case's own grid.

    Args:
        bundle: a trained bundle.
        source: see `match_prediction_inputs`; channels are matched by name.
        output: folder of the label maps, `<id>.nii.gz`.
        tta: average over flips; None leaves it to the bundle.
        probabilities: write the class probabilities too.
        uncertainty: write maps of entropy and of disagreement between folds and flips too.
        device: where to compute.
        overwrite: replace label maps that are there.
        overrides: further ids of inference.json.
        trust: run a bundle that does not pass the audit.

    Returns:
        The label maps and the warnings about the input.

    Raises:
        InputError: nothing can be predicted.
        CaseFailure: some cases could not be read or were not predicted; the others were.
    """
    open_to_run(bundle, trust=trust)
    plan = Bundle(bundle).plan
    found = match_prediction_inputs(source, plan.channel_names)
    if not found.cases:
        raise InputError(found.problems or (Problem(str(source), "holds no case."),))
    usable, problems = _check_images(found.cases)
    problems = [*found.problems, *problems]
    targets = {case.id: output / f"{case.id}.nii.gz" for case in usable}
    for target in targets.values():
        refuse_existing(target, overwrite=overwrite)
    if usable:
        settings = {
            "output_dir": str(output.absolute()),
            "split": "testing",
            "save_probabilities": probabilities or None,
            "save_uncertainty": uncertainty or None,
            "device": device,
            "test_time_flip_axes": None if tta is None else _flip_axes(plan, tta=tta),
            **(overrides or {}),
        }
        _predict_cases(bundle, usable, settings)
    missing = [Problem(case, "was not predicted.") for case, target in targets.items() if not target.is_file()]
    problems += missing
    if problems:
        raise CaseFailure(problems, len(found.cases) + len(found.problems))
    return list(targets.values()), found.warnings


def _predict_cases(bundle: Path, cases: Sequence[Case], settings: Mapping[str, Any]) -> None:
    entries = [{"id": case.id, "image": [str(path.absolute()) for path in case.images.values()]} for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        datalist = Path(folder) / "datalist.json"
        write_json(datalist, {"training": [], "testing": entries})
        run_workflow(bundle, INFERENCE, {"datalist": str(datalist), "dataset_dir": folder, **settings})


def predict_test_set(bundle: Path, output: Path, overrides: Mapping[str, Any], *, trust: bool = False) -> int:
    """Predict the unlabelled cases that the bundle's datalist names; returns how many there are."""
    open_to_run(bundle, trust=trust)
    cases = Bundle(bundle).datalist.testing
    if cases:
        run_workflow(bundle, INFERENCE, {"output_dir": str(output.absolute()), **overrides})
    return len(cases)


def _check_images(cases: Sequence[Case]) -> tuple[list[Case], list[Problem]]:
    usable, problems = [], []
    for case in cases:
        findings = check_prediction_case(case)
        problems += [Problem(case.id, finding) for finding in findings]
        if not findings:
            usable.append(case)
    return usable, problems


def _flip_axes(plan: Plan, *, tta: bool) -> list[int]:
    return list(plan.flip_axes.value) if tta else []
