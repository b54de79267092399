"""What conversions say about overlapping and missing masks, and about what they understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.conversion import ConversionOptions, convert
from mist_bundle.dataset.conversion_remarks import description_table, missing_warnings, overlap_warnings
from mist_bundle.dataset.merged_masks import LAST, REGIONS
from mist_bundle.dataset.placed_case import ABSENT, UNANNOTATED, CaseContent
from tests.dataset.samples import source_of_masks


def test_many_overlaps_are_summed_up_by_pair(tmp_path: Path) -> None:
    outcome = convert(source_of_masks(tmp_path / "in", 13), tmp_path / "out", ConversionOptions(modality="ct"))
    (warning,) = outcome.warnings
    assert str(warning).startswith("liver and tumor: share voxels in 13 cases (most in c9: 30; all in overlaps.csv)")
    assert len((tmp_path / "out" / "overlaps.csv").read_text().splitlines()) == 14
    assert (tmp_path / "out" / "cases.csv").read_text().splitlines()[:2] == ["id,site", "c0,Bern"]


@pytest.mark.parametrize(("overlaps", "advice"), [(LAST, "pass --overlaps regions"), (REGIONS, "both classes")])
def test_a_few_overlaps_are_said_case_by_case(overlaps: str, advice: str) -> None:
    case = CaseContent(id="c0", labels=(), minimum=0.0, overlaps={("liver", "tumor"): 5})
    (warning,) = overlap_warnings([case], overlaps)
    assert (warning.path, "liver and tumor share 5 voxels" in warning.message) == ("c0", True)
    assert advice in warning.message


@pytest.mark.parametrize(("missing", "words"), [(ABSENT, "absent there"), (UNANNOTATED, "not annotated there")])
def test_missing_masks_are_said_by_structure(missing: str, words: str) -> None:
    whole = CaseContent(id="c0", labels=(), minimum=0.0)
    lacking = CaseContent(id="c1", labels=(), minimum=0.0, missing=("tumor",))
    (warning,) = missing_warnings([whole, lacking], missing)
    assert warning.path == "tumor"
    assert "1 case has no mask file of it (c1)" in warning.message
    assert words in warning.message


def test_the_table_names_classes_of_several_labels() -> None:
    content = {
        "task": "organs",
        "modality": "ct",
        "images": {"ct": ["ct"]},
        "label_names": {"0": "background", "1": "liver", "2": "tumor"},
        "final_classes": {"liver": [1, 2], "tumor": [2]},
    }
    rows = dict(description_table(content))
    assert rows["labels"] == "0 background, 1 liver, 2 tumor"
    assert rows["classes"] == "liver [1, 2]"
