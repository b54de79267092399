"""A workflow in shares: the same files, and the cases of a share that failed are named."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle import placement
from mist_bundle.bundle.launch import INFERENCE, Workflow, WorkflowFailed, configured_dataset_dir
from mist_bundle.bundle.placement import Placement
from mist_bundle.errors import EXIT_INPUT_REFUSED, InputError
from mist_bundle.files import read_json
from mist_bundle.parallel import map_cases
from mist_bundle.pipeline import shares
from mist_bundle.pipeline.shares import DIED, Crew, SharedRun, choose_crew, run_in_shares
from mist_bundle.runtime.folds.files import sha256_of


@pytest.mark.slow
def test_two_processes_predict_what_one_does(trained_bundle: Path, tmp_path: Path) -> None:
    data = configured_dataset_dir(trained_bundle)
    alone, _ = pipeline.predict(trained_bundle, data, tmp_path / "one", device="cpu")
    shared, _ = pipeline.predict(trained_bundle, data, tmp_path / "two", device="cpu", workers=2)
    assert [path.name for path in shared] == [path.name for path in alone]
    assert [sha256_of(path) for path in shared] == [sha256_of(path) for path in alone]


def test_all_cases_of_a_share_that_failed_are_named(tmp_path: Path) -> None:
    run = SharedRun(bundle=tmp_path / "nowhere", workflow=INFERENCE, part="testing", settings={})
    problems = run_in_shares(run, [{"id": name, "image": []} for name in ("a", "b", "c")], Crew(workers=1))
    assert [problem.path for problem in problems] == ["a", "b", "c"]
    assert "nowhere" in problems[0].message


RUN = SharedRun(bundle=Path("bundle"), workflow=INFERENCE, part="testing", settings={})

REFUSED = "label maps are in the way"


class Runs:
    """In place of the workflow: which cases each run had on which devices, and what comes of it."""

    def __init__(self, **ends: str) -> None:
        self.ends = ends
        self.seen: list[tuple[str, tuple[str, ...] | None]] = []

    def __call__(self, bundle: Path, workflow: Workflow, settings: Mapping[str, Any], place: Placement) -> None:
        names = "".join(entry["id"] for entry in read_json(Path(settings["datalist"]))["testing"])
        self.seen.append((names, place.devices))
        for case, reason in self.ends.items():
            if case in names and reason:
                raise WorkflowFailed(reason, EXIT_INPUT_REFUSED if reason == REFUSED else 1)
            if case in names:
                raise WorkflowFailed("killed", -signal.SIGKILL)


def _entries(names: str) -> list[dict[str, Any]]:
    return [{"id": name, "image": []} for name in names]


def test_a_share_that_is_killed_runs_again_and_then_case_by_case(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(b="")
    monkeypatch.setattr(shares, "run_workflow", runs)
    problems = run_in_shares(RUN, _entries("abc"), Crew(workers=1))
    assert [(problem.path, problem.message) for problem in problems] == [("b", DIED)]
    assert [names for names, _ in runs.seen] == ["abc", "abc", "a", "b", "c"]


def test_a_share_that_ends_well_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []

    def count(*arguments: Any, **options: Any) -> Any:
        rounds.append(arguments)
        return map_cases(*arguments, **options)

    monkeypatch.setattr(shares, "run_workflow", Runs())
    monkeypatch.setattr(shares, "map_cases", count)
    assert run_in_shares(RUN, _entries("abc"), Crew(workers=1)) == []
    assert len(rounds) == 1  # each round calls on the cluster


def test_only_the_cases_that_a_run_names_are_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "1 of 3 cases could not be preprocessed:\n  b: its file is empty."
    monkeypatch.setattr(shares, "run_workflow", Runs(b=reason))
    problems = run_in_shares(RUN, _entries("abc"), Crew(workers=1))
    assert [(problem.path, problem.message) for problem in problems] == [("b", "its file is empty.")]


def test_what_a_run_refuses_is_not_blamed_on_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "run_workflow", Runs(b=REFUSED))
    with pytest.raises(WorkflowFailed, match=REFUSED) as failure:
        run_in_shares(RUN, _entries("abc"), Crew(workers=1))
    assert failure.value.exit_code == EXIT_INPUT_REFUSED


def test_shares_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    for crew, devices in ((Crew(workers=4, devices=("2", "5")), ["2", "5", "2", "5"]), (Crew(workers=2), [None, None])):
        divided = shares._divide(_entries("abcdefg"), crew)
        assert [share.device for share in divided] == devices
        assert sorted("".join(share.names.replace(", ", "") for share in divided)) == list("abcdefg")
    runs = Runs()
    monkeypatch.setattr(shares, "run_workflow", runs)
    run_in_shares(RUN, _entries("ab"), Crew(workers=1, devices=("5",)))
    assert runs.seen == [("ab", ("5",))]


@pytest.mark.parametrize(
    ("visible", "options", "crew"),
    [
        ([], {}, None),
        ([], {"workers": 3}, Crew(workers=3)),
        (["0"], {}, None),
        (["0", "1"], {}, Crew(workers=2, devices=("0", "1"))),
        (["0", "1", "2"], {"devices": [0, 2]}, Crew(workers=2, devices=("0", "2"))),
        (["0", "1"], {"devices": "1"}, Crew(workers=1, devices=("1",))),
        (["0", "1"], {"workers": 4}, Crew(workers=4, devices=("0", "1"))),
        (["0", "1"], {"workers": "tcp://host:8786"}, Crew(workers="tcp://host:8786")),
        (["0", "1"], {"settings": {"device": "cpu"}}, None),
    ],
)
def test_who_works_on_the_cases(
    monkeypatch: pytest.MonkeyPatch,
    fresh_bundle: Path,
    visible: list[str],
    options: dict[str, Any],
    crew: Crew | None,
) -> None:
    for module in (placement, shares):
        monkeypatch.setattr(module, "visible_devices", lambda: visible)
    settings = options.pop("settings", {})
    assert choose_crew(fresh_bundle, INFERENCE, settings, **options) == crew


def test_gpus_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch, fresh_bundle: Path) -> None:
    monkeypatch.setattr(placement, "visible_devices", lambda: ["0"])
    with pytest.raises(InputError, match="expected numbers of visible GPUs"):
        choose_crew(fresh_bundle, INFERENCE, {}, devices="1")
    with pytest.raises(InputError, match="contradict"):
        choose_crew(fresh_bundle, INFERENCE, {"device": "cpu"}, devices="0")


@pytest.mark.slow
def test_what_two_devices_predict_is_what_one_does(
    monkeypatch: pytest.MonkeyPatch, trained_bundle: Path, tmp_path: Path
) -> None:
    """Two GPUs by name only: torch computes on the CPU in the process of each."""
    data = configured_dataset_dir(trained_bundle)
    alone, _ = pipeline.predict(trained_bundle, data, tmp_path / "one")
    for module in (placement, shares):
        monkeypatch.setattr(module, "visible_devices", lambda: ["0", "1"])
    shared, _ = pipeline.predict(trained_bundle, data, tmp_path / "two", devices="0,1")
    assert [path.name for path in shared] == [path.name for path in alone]
    assert [sha256_of(path) for path in shared] == [sha256_of(path) for path in alone]
