"""Configurations: every value that MONAI would evaluate, import, read or write."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mist_bundle.trust.audit.configs import (
    check_config,
    check_datalist,
    check_large_files,
    check_metadata,
    check_plan,
    walk,
)

FILE = "configs/inference.json"


def _codes(config: Any) -> list[tuple[str, str]]:
    findings = check_config(FILE, config, Counter(), paths=True)
    return [(finding.code, finding.place) for finding in findings]


def test_every_value_is_visited_with_its_id() -> None:
    config = {"a": [{"b": 1}, 2], "c#d": 3, "+e": 4}
    places = {place: value for place, _, value in walk(config)}
    assert places["a#0#b"] == 1
    assert places["a#1"] == 2
    assert places["c#d"] == 3
    assert places["e"] == 4


def test_a_shared_part_is_visited_in_each_place() -> None:
    part = {"x": 1}
    assert {place for place, _, _ in walk({"a": part, "b": part})} >= {"a#x", "b#x"}


@pytest.mark.parametrize(
    ("config", "code", "place"),
    [
        ({"network_def": {"_target_": "os.system"}}, "target", "network_def"),
        ({"network_def": {"_target_": "$open"}}, "target", "network_def"),
        ({"network_def": {"_target_": "monai.losses.PerceptualLoss"}}, "unknown-target", "network_def"),
        ({"x": {"_mode_": "debug"}}, "mode", "x"),
        ({"x": {"_debug_": True}}, "mode", "x"),
        ({"x": "$__import__('os')"}, "expression", "x"),
        ({"x": "$import antigravity"}, "import", "x"),
        ({"x": "%other.json#y"}, "macro", "x"),
        ({"x": {1: 2}}, "config-unreadable", "x"),
    ],
)
def test_what_would_run_is_named(config: Any, code: str, place: str) -> None:
    assert (code, place) in _codes(config)


def test_plain_values_pass_and_are_counted() -> None:
    checked: Counter[str] = Counter()
    config = {"network_def": {"_target_": "monai.networks.nets.UNet", "spatial_dims": 3}, "epochs": 5}
    assert list(check_config(FILE, config, checked, paths=True)) == []
    assert checked["targets"] == 1


@pytest.mark.parametrize(
    ("identity", "image", "codes"),
    [
        ("case_1", "case_1/t1.nii.gz", []),
        ("../case_1", "case_1/t1.nii.gz", ["case-id"]),
        ("case_1", "/data/t1.nii.gz", ["path-read"]),
        ("case_1", ["a.nii.gz", "C:\\data\\t1.nii.gz"], ["path-read"]),
        ("case_1", "~/t1.nii.gz", ["path-read"]),
    ],
)
def test_cases_of_a_datalist(identity: str, image: Any, codes: list[str]) -> None:
    datalist = {"training": [{"id": identity, "image": image, "label": "label.nii.gz"}]}
    assert [finding.code for finding in check_datalist("configs/datalist.json", datalist)] == codes


def test_downloads_stay_in_the_bundle_and_have_hashes() -> None:
    good = {
        "path": "models/model.pt",
        "url": "https://example.org/model.pt",
        "hash_val": "0" * 64,
        "hash_type": "sha256",
    }
    codes = []
    for changed in ({}, {"path": "../model.pt"}, {"hash_val": ""}):
        findings = check_large_files("large_files.yml", {"large_files": [{**good, **changed}]})
        codes.append({finding.code for finding in findings})
    assert "large-files" not in codes[0]
    assert "large-files" in codes[1]
    assert "large-files-hash" in codes[2]


def test_shapes_that_are_evaluated_and_networks_of_a_plan() -> None:
    tensor = {"spatial_shape": ["__import__('os')", "*", "16*n"]}
    metadata = {"network_data_format": {"inputs": {"image": tensor}}}
    assert "spatial-shape" in [finding.code for finding in check_metadata("configs/metadata.json", metadata)]
    plan = {"decisions": {"network": {"value": "monai.networks.nets.HoVerNet"}}}
    assert [finding.code for finding in check_plan("configs/plan.json", plan)] == ["unknown-target"]
