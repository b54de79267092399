"""From a description of data to a page about the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.files import read_json


def test_the_page_and_its_numbers(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=3, shape=(16, 16, 12))
    analyzed = pipeline.analyze_dataset(data, tmp_path / "look", pictures=1)
    assert analyzed.page.is_file()
    assert sorted(path.suffix for path in (tmp_path / "look").iterdir()) == [".html", ".json", ".json", ".md"]
    assert read_json(tmp_path / "look" / "data_report.json")["num_cases"] == analyzed.report["num_cases"] == 3
    with pytest.raises(InputError, match="exists already"):
        pipeline.analyze_dataset(data, tmp_path / "look")


def test_pages_among_the_cases_are_refused(tmp_path: Path) -> None:
    """The next command would take their folder for a case."""
    data = make_phantom(tmp_path / "data", num_cases=2, num_test=0, shape=(12, 12, 10))
    with pytest.raises(InputError, match="within the folder of the cases"):
        pipeline.analyze_dataset(data, tmp_path / "data" / "train" / "look")
    assert not (tmp_path / "data" / "train" / "look").exists()


def test_a_damaged_case_is_left_out(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=3, shape=(16, 16, 12))
    victim = sorted((data.parent / "train").iterdir())[1]
    for image in victim.glob("*.nii.gz"):
        image.write_bytes(b"no image")
    analyzed = pipeline.analyze_dataset(data, tmp_path / "look", pictures=0)
    assert [problem.path for problem in analyzed.excluded] == [victim.name]
    assert analyzed.report["num_cases"] == 2
