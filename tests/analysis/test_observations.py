"""Every sentence comes when it should, and not when it should not."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.analysis.observations import observations, volume_words


def _stats(value: float, highest: float | None = None) -> dict[str, float]:
    top = value if highest is None else highest
    return {"mean": value, "std": 0, "min": value, "p25": value, "median": value, "p75": value, "max": top}


def _report(**changes: Any) -> dict[str, Any]:
    axes = ("left-right", "anterior-posterior", "inferior-superior")
    liver = {
        "labels": [1],
        "present_in": 30,
        "presence_percent": 100.0,
        "percent_of_image": _stats(3.0),
        "size": "medium",
        "voxels_outside_crop": 0,
        "kind": "compact",
        "shape": {"inscribed_balls": _stats(2)},
        "components": _stats(1),
        "component_mm3": _stats(900),
        "tiny_components": 0,
    }
    report = {
        "num_cases": 30,
        "excluded": [],
        "modality": "mr",
        "spacing_mm": {axis: _stats(1.0) for axis in axes},
        "anisotropy": _stats(1.0),
        "orientations": {"RAS": 30},
        "oblique_degrees": _stats(0.0),
        "crop_reduction": _stats(0.0),
        "structures": {"liver": liver},
        "imbalance": {"largest_to_smallest": 1.5, "level": "none", "background_to_foreground": 20.0},
        "sides": [],
        "channels": {"t1": {"high": _stats(100.0), "minimum": _stats(0.0)}},
    }
    return {**report, **changes}


def _liver(**changes: Any) -> dict[str, Any]:
    return {"structures": {"liver": {**_report()["structures"]["liver"], **changes}}}


def test_an_ordinary_data_set_has_none() -> None:
    assert observations(_report()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"excluded": [{"path": f"case_{n}", "message": "bad"} for n in range(10)]}, "case_7 and 2 more"),
        ({"num_cases": 8}, "only 8 usable cases"),
        ({"anisotropy": _stats(5.0)}, "anisotropic"),
        ({"orientations": {"RAS": 20, "LPS": 10}}, "RAS (20), LPS (10)"),
        ({"oblique_degrees": _stats(0, 14.0)}, "by up to 14 degrees"),
        ({"crop_reduction": _stats(0.45)}, "45 %"),
        (_liver(present_in=0, presence_percent=0.0), "occurs in no case"),
        (_liver(present_in=10, presence_percent=33.3), "in 10 of 30 cases"),
        (_liver(size="tiny", percent_of_image=_stats(0.02)), "0.02 %"),
        (_liver(voxels_outside_crop=12), "12 voxels of liver"),
        (_liver(kind="tubular"), "cldice"),
        (_liver(kind="sheet-like"), "thin sheet"),
        (_liver(components=_stats(6, 40)), "several parts: 6 in the median case, up to 40"),
        (_liver(components=_stats(6, 40)), "lesion-wise"),
        (_liver(components=_stats(1, 4), tiny_components=3), "up to 4 pieces in some (3 parts"),
        ({"sides": [{"sentence": "left lies on the left in 3 of 3 cases."}]}, "in 3 of 3 cases"),
        ({"imbalance": {"largest_to_smallest": 12.0, "level": "severe", "background_to_foreground": 5.0}}, "severe"),
        (
            {"imbalance": {"largest_to_smallest": 1, "level": "none", "background_to_foreground": 500.0}},
            "500 background",
        ),
        ({"modality": "ct", "channels": {"ct": {"high": _stats(1), "minimum": _stats(0.0)}}}, "Hounsfield"),
        ({"channels": {"t1": {"high": _stats(10, 900), "minimum": _stats(0.0)}}}, "90-fold"),
    ],
)
def test_each_sentence(changes: dict[str, Any], words: str) -> None:
    found = observations(_report(**changes))
    assert any(words in sentence for sentence in found), found


def test_a_paired_organ_is_one_class_in_two_parts() -> None:
    (sentence,) = observations(_report(**_liver(components=_stats(2, 3), is_paired=True)))
    assert sentence == "liver is a paired organ with a left and a right part. Its shape is measured on the larger part."


@pytest.mark.parametrize(
    ("mm3", "words"), [(3.2, "3.2 mm³"), (540, "0.54 ml"), (90_800, "91 ml"), (912_000, "910 ml"), (1.25e6, "1.2 l")]
)
def test_volumes_are_said_in_words(mm3: float, words: str) -> None:
    assert volume_words(mm3) == words
    found = observations(_report(**_liver(components=_stats(6, 40), component_mm3=_stats(mm3))))
    assert any(f"smaller than {words}." in sentence for sentence in found)


def test_spacing_that_varies_names_the_axis() -> None:
    spacing = {**_report()["spacing_mm"], "inferior-superior": _stats(1.0, 5.0)}
    (sentence,) = observations(_report(spacing_mm=spacing))
    assert "inferior-superior 1 to 5 mm" in sentence


def test_many_structures_in_parts_share_a_sentence() -> None:
    liver = _report()["structures"]["liver"]
    names = {"a": [1], "b": [2], "c": [3], "whole": [1, 2, 3]}
    structures = {
        name: {**liver, "labels": labels, "components": _stats(6, 40), "tiny_components": 10}
        for name, labels in names.items()
    }
    found = observations(_report(structures=structures))
    assert sum("several parts" in sentence for sentence in found) == 1
    assert "whole (6 in the median case, up to 40)" in found[0]
    assert found[1].startswith("30 parts of single labels"), "those of the whole are not counted again"
    del structures["whole"]
    assert sum("several parts" in sentence for sentence in observations(_report(structures=structures))) == 3
