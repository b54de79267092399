"""One case that fails to be read, computed or written leaves the others alone."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from mist_bundle.runtime.predictions.case_by_case import CaseByCase, reason_of
from mist_bundle.runtime.predictions.loader import CaseLoader
from mist_bundle.runtime.predictions.records import Predictions, read_failure
from mist_bundle.runtime.predictions.say import REASON
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader
from mist_bundle.runtime.transforms.save import SaveImaged

Stage = Callable[[Any], Any]


def _items(folder: Path, count: int = 4) -> list[dict[str, Any]]:
    items = []
    for index in range(count):
        path = folder / f"in/p{index}/t1.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.full((4, 5, 6), index + 1, np.float32), np.eye(4)), path)
        items.append({"id": f"p{index}", "image": [str(path)]})
    return items


def _evaluator(folder: Path, items: list[dict[str, Any]], **stages: Stage) -> tuple[SupervisedEvaluator, CaseByCase]:
    reading = Compose([LoadImaged("image", reader=NiftiReader), EnsureChannelFirstd("image"), _Stage(stages, "read")])
    predictions = Predictions(folder / "out")
    case_by_case = CaseByCase(predictions)
    writing = Compose([_Stage(stages, "post"), SaveImaged("pred", folder / "out", predictions=predictions)])
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=CaseLoader(Dataset(items, reading), predictions),
        network=torch.nn.Identity(),
        inferer=lambda inputs, network: stages.get("compute", _same)(inputs).round().to(torch.uint8),
        postprocessing=writing,
        iteration_update=case_by_case,
    )
    return evaluator, case_by_case


class _Stage:
    """A step of a case that calls what a test put there."""

    def __init__(self, stages: dict[str, Stage], name: str) -> None:
        self.stages, self.name = stages, name

    def __call__(self, data: Any) -> Any:
        return self.stages.get(self.name, _same)(data)


def _same(data: Any) -> Any:
    return data


def _label_maps(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").glob("*.nii.gz"))


def _fails_for(value: int, error: BaseException) -> Stage:
    def stage(data: Any) -> Any:
        image = data if isinstance(data, torch.Tensor) else data["image"]
        if float(image.max()) == value:
            raise error
        return data

    return stage


@pytest.mark.parametrize("stage", ["read", "compute", "post"])
def test_the_others_go_on(
    tmp_path: Path, stage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = _items(tmp_path)
    evaluator, cases = _evaluator(tmp_path, items, **{stage: _fails_for(2, ValueError("cannot be used."))})
    evaluator.run()
    assert _label_maps(tmp_path) == ["p0.nii.gz", "p2.nii.gz", "p3.nii.gz"]
    reason = f"{items[1]['image'][0]}: cannot be used."
    assert cases.failures == {"p1": reason}
    assert read_failure(tmp_path / "out", "p1") == reason
    with pytest.raises(SystemExit) as ended:
        cases.finish()
    assert ended.value.code == 1
    assert f"1 of 4 cases failed:\np1: {reason}" in capsys.readouterr().err
    monkeypatch.setenv(REASON, str(tmp_path / "reason.txt"))  # as mist-bundle starts it
    with pytest.raises(SystemExit):
        cases.finish()
    monkeypatch.delenv(REASON)
    assert not capsys.readouterr().err, "mist-bundle names the cases itself"

    # the same again does only what is missing
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in _label_maps(tmp_path)}
    evaluator, cases = _evaluator(tmp_path, items)
    evaluator.run()
    cases.finish()
    assert _label_maps(tmp_path) == ["p0.nii.gz", "p1.nii.gz", "p2.nii.gz", "p3.nii.gz"]
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in times} == times


def test_a_label_map_that_cannot_be_written(tmp_path: Path) -> None:
    items = _items(tmp_path)
    (tmp_path / "out/p1.nii.gz").mkdir(parents=True)  # nothing can be renamed to a folder
    evaluator, cases = _evaluator(tmp_path, items)
    evaluator.run()
    assert (tmp_path / "out/p3.nii.gz").is_file(), "all is written when the run has ended"
    assert list(cases.failures) == ["p1"]
    assert "p1" in cases.failures["p1"]
    assert list((tmp_path / "out").glob(".*")) == []


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    items = _items(tmp_path, 5)
    Path(items[0]["image"][0]).write_bytes(Path(items[0]["image"][0]).read_bytes()[:60])
    Path(items[1]["image"][0]).write_text("no image")
    Path(items[2]["image"][0]).unlink()
    nib.save(nib.Nifti1Image(np.zeros((4, 5), np.float32), np.eye(4)), items[3]["image"][0])
    evaluator, cases = _evaluator(tmp_path, items)
    evaluator.run()
    assert _label_maps(tmp_path) == ["p4.nii.gz"]
    assert set(cases.failures) == {"p0", "p1", "p2", "p3"}
    assert all("t1.nii.gz" in reason for reason in cases.failures.values())
    assert not any("applying transform" in reason for reason in cases.failures.values())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_is_not_about_a_case_ends_the_run(tmp_path: Path, error: BaseException) -> None:
    items = _items(tmp_path)
    evaluator, cases = _evaluator(tmp_path, items, post=_fails_for(2, error))
    with pytest.raises((KeyboardInterrupt, OSError, RuntimeError)):
        evaluator.run()
    assert not cases.failures
    assert _label_maps(tmp_path) == ["p0.nii.gz"]


def test_a_lack_of_memory_is_reported_as_such() -> None:
    item = {"id": "p0", "image": ["/in/p0/t1.nii.gz"]}
    assert "does not fit into memory" in reason_of(torch.OutOfMemoryError("CUDA …"), item)
    assert "does not fit into memory" in reason_of(MemoryError(), item)
    assert reason_of(KeyError("x"), item) == "/in/p0/t1.nii.gz: KeyError: 'x'"


def test_warnings_name_the_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def odd(data: Any) -> Any:
        return {**data, "warnings": "is odd.\nis blank." if data["id"] == "p1" else ""}

    evaluator, cases = _evaluator(tmp_path, _items(tmp_path, 2), read=odd)
    evaluator.run()
    cases.finish()
    assert capsys.readouterr().err == "warning: p1: is odd.\nwarning: p1: is blank.\n"
