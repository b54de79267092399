"""Codes of classes: those of DICOM's own tables, by names of many spellings, and those that a user gives."""

from __future__ import annotations

import json

import pytest

from mist_bundle.errors import InputError
from mist_bundle.resources import own_text
from mist_bundle.sharing.segment_codes import code_of_name, read_codes

LIVER = ["10200004", "SCT", "Liver"]


def test_every_code_is_in_the_tables_of_dicom() -> None:
    pytest.importorskip("pydicom")
    from pydicom.sr._concepts_dict import concepts

    known = {}
    for entry in concepts["SCT"].values():
        for value, (meaning, _) in entry.items():
            known.setdefault(value, set()).add(meaning)
    table = json.loads(own_text("sharing/segment_codes.json"))
    rows = [(row["code"], row["meaning"]) for row in (*table["types"], *table["sides"])]
    rows += [tuple(category) for category in table["categories"].values()]
    assert len(rows) > 100
    wrong = [row for row in rows if row[1] not in known.get(row[0], ())]
    assert not wrong


def test_no_name_stands_for_two_types() -> None:
    table = json.loads(own_text("sharing/segment_codes.json"))
    for row in table["types"]:
        for name in row["names"]:
            assert code_of_name(name).type.value == row["code"], name


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("Liver", "Liver", None),
        ("kidney_left", "Kidney", "Left"),
        ("RightKidney", "Kidney", "Right"),
        ("Adrenal gland (L)", "Adrenal gland", "Left"),
        ("lungs", "Lung", None),
        ("vertebrae_T12", "T12 vertebra", None),
        ("left-ventricle", "Left ventricle", None),
        ("lung_upper_lobe_left", "Upper lobe of lung", "Left"),
        ("liver tumour", "Neoplasm", None),
    ],
)
def test_names_of_many_spellings(name: str, meaning: str, side: str | None) -> None:
    code = code_of_name(name)
    assert code.known
    assert code.type.meaning == meaning
    assert (code.modifier.meaning if code.modifier else None) == side


@pytest.mark.parametrize("name", ["T1", "WT", "Anterior", "", "tumour bed", "left"])
def test_what_is_not_known_is_tissue(name: str) -> None:
    code = code_of_name(name)
    assert not code.known
    assert code.type.meaning == code.category.meaning == "Tissue"


def test_codes_of_the_user() -> None:
    left = ["7771000", "SCT", "Left"]
    (code,) = read_codes({"organ": {"type": LIVER, "modifier": left}}, ["organ", "rest"]).values()
    assert list(code.type) == LIVER
    assert code.category.meaning == "Anatomical Structure"
    assert code.modifier is not None
    assert list(code.modifier) == left


def test_all_that_is_wrong_with_them_is_said() -> None:
    given = {
        "livr": {"type": LIVER},
        "rest": {"category": LIVER},
        "organ": {"type": ["10200004", "Liver"], "color": "red"},
        "side": "left",
    }
    with pytest.raises(InputError) as refusal:
        read_codes(given, ["liver", "rest", "organ", "side"])
    message = str(refusal.value)
    assert "livr: is not a class" in message
    assert "Did you mean 'liver'" in message
    assert 'rest: has no "type"' in message
    assert 'organ: has a key "color"' in message
    assert '"type" is ["10200004", "Liver"]; expected ["CODE", "SCHEME", "MEANING"]' in message
    assert "side: is 'left'; expected an object" in message
