from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from tests.dataset.samples import example_arrays, write_case, write_dataset


def fingerprint_of(folder, spacings, *, modality="mr", scale=None):
    description = write_dataset(folder, 0, modality=modality)
    for index, spacing in enumerate(spacings):
        arrays = example_arrays(index)
        for name, factor in (scale or {}).get(index, {}).items():
            arrays[name] = arrays[name] * np.float32(factor)
        write_case(folder / "train" / f"case_{index}", arrays, np.diag([*spacing, 1.0]))
    spec = DatasetSpec.from_json(description)
    return analyze(spec, find_cases(spec).cases)


def said(fingerprint, modality="mr"):
    return {problem.path: problem.message for problem in fingerprint.findings(("t1", "t2"), modality)}


@pytest.mark.parametrize("odd", [(1000, 1000, 1000), (0.001, 0.001, 0.001), (1, 1, 30)])
def test_one_wrong_header_is_named_and_does_not_decide_for_all(tmp_path, odd):
    fingerprint = fingerprint_of(tmp_path, [(1, 1, 1), (1.2, 1, 1), odd, (1, 1, 1.5)])
    message = said(fingerprint)["case_2"]
    assert f"{odd[2]:.4g} mm" in message
    assert "Look at spacing and unit in its header" in message
    assert [case.id for case in fingerprint.typical_cases] == ["case_0", "case_1", "case_3"]


def test_scanners_differ_and_two_cases_have_no_majority(tmp_path):
    assert said(fingerprint_of(tmp_path / "a", [(0.7, 0.7, 5), (1, 1, 1), (0.5, 0.5, 2)])) == {}
    assert len(fingerprint_of(tmp_path / "b", [(1, 1, 1), (20, 20, 20)]).typical_cases) == 2


def test_voxels_that_no_scanner_makes_are_named_where_all_have_them(tmp_path):
    found = said(fingerprint_of(tmp_path, [(1000, 1000, 1000)] * 3))
    assert set(found) == {"case_0", "case_1", "case_2"}


def test_a_rescaled_image_is_named_and_left_out_of_the_pooled_intensities(tmp_path):
    fingerprint = fingerprint_of(tmp_path, [(1, 1, 1)] * 5, scale={3: {"t2": 1e6}})
    assert "times that of most cases" in said(fingerprint)["case_3"]
    assert "in t2" in said(fingerprint)["case_3"]
    without = Fingerprint(cases=tuple(case for case in fingerprint.cases if case.id != "case_3"))
    assert fingerprint.intensity_properties(1) == without.intensity_properties(1)


def test_a_modality_that_the_intensities_contradict(tmp_path):
    fingerprint = fingerprint_of(tmp_path, [(1, 1, 1)] * 3)
    assert "-1000 Hounsfield" in said(fingerprint, "ct")["modality"]
    air = [replace(case.channels[0], minimum=-1000.0) for case in fingerprint.cases]
    cases = [replace(case, channels=(air[0], *case.channels[1:])) for case in fingerprint.cases]
    assert "as only CT does" in said(Fingerprint(cases=tuple(cases)), "mr")["modality"]
