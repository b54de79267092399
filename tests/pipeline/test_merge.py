"""A dataset that is split over sites is planned as in one place."""

from __future__ import annotations

import json
import shutil
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from mist_bundle import pipeline
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions

OPTIONS = PlanOptions(recipe="paper", folds=3)
CASES = 30


@pytest.fixture(scope="module")
def hippocampus(hippocampus_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dataset.json of some cases of the shared data."""
    return convert_msd(hippocampus_dir, tmp_path_factory.mktemp("hippocampus") / "data", limit=CASES)


def _sites(dataset_json: Path, folder: Path, count: int) -> list[Path]:
    """The same description with a part of the cases each; parts of different sizes."""
    content = json.loads(dataset_json.read_text())
    train = dataset_json.parent / content["train-data"]
    cases = sorted(path for path in train.iterdir() if path.is_dir())
    bounds = [0, *(len(cases) * (number + 1) ** 2 // count**2 for number in range(count))]
    sites = []
    for number in range(count):
        site = folder / f"site_{number}"
        for case in cases[bounds[number] : bounds[number + 1]]:
            shutil.copytree(case, site / "train" / case.name)
        site_json = site / "dataset.json"
        site_json.write_text(json.dumps({**content, "train-data": "train", "test-data": None}))
        sites.append(site_json)
    return sites


def _plan(dataset_json: Path, output: Path, **how: Any) -> dict[str, Any]:
    made = pipeline.autoconfig(dataset_json, output, OPTIONS, **how)
    plan = made.plan.to_json()
    for of_the_cases_here in ("bundle_id", "warnings"):
        plan.pop(of_the_cases_here, None)
    return plan


@pytest.mark.parametrize("count", [2, 3])
def test_sites_plan_as_one_place_does(hippocampus: Path, tmp_path: Path, count: int) -> None:
    whole = _plan(hippocampus, tmp_path / "whole")
    sites = _sites(hippocampus, tmp_path, count)
    files = []
    for number, site in enumerate(sites):
        pipeline.analyze_dataset(site, tmp_path / f"measured_{number}", pictures=0)
        files.append(tmp_path / f"measured_{number}" / "fingerprint.json")
    merged = tmp_path / "merged.json"
    for order in permutations(files):
        pipeline.merge_fingerprints(list(order), merged, overwrite=True)
        content = json.loads(merged.read_text())
        assert len(content["cases"]) == CASES
        assert content == json.loads(merged.read_text())
    for number, site in enumerate(sites):
        assert _plan(site, tmp_path / f"planned_{number}", fingerprint_file=merged) == whole
    alone = _plan(sites[0], tmp_path / "alone")
    assert alone != whole, "a site by itself plans otherwise"


def test_merging_is_associative(hippocampus: Path, tmp_path: Path) -> None:
    made = pipeline.autoconfig(hippocampus, tmp_path, OPTIONS)
    whole = Fingerprint.read(pipeline.work_dir_of(made.bundle) / "fingerprint.json")
    parts = [Fingerprint(cases=whole.cases[start::3]) for start in range(3)]
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[2].merge(parts[1].merge(parts[0]))
    assert left.to_json() == right.to_json() == whole.to_json()
    assert left.intensity_properties(0) == whole.intensity_properties(0)


def test_a_case_of_two_sites_and_files_that_are_none_are_all_named(hippocampus: Path, tmp_path: Path) -> None:
    made = pipeline.autoconfig(hippocampus, tmp_path / "made", OPTIONS)
    file = pipeline.work_dir_of(made.bundle) / "fingerprint.json"
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(InputError) as refused:
        pipeline.merge_fingerprints([file, file, broken, tmp_path / "missing.json"], tmp_path / "merged.json")
    text = str(refused.value)
    assert "is in 2 of the fingerprints" in text
    assert "broken.json" in text
    assert "missing.json" in text
    assert not (tmp_path / "merged.json").exists()
