"""Pictures of single cases, and what stands in their place when a file is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import pytest

from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError
from mist_bundle.report.case_pictures import case_figure, channels_figure, label_legend, read_case, spread_cases
from mist_bundle.report.colours import structure_colour
from tests.report.conftest import LIVER, Made
from tests.report.pages import Page

NAMES = {0: "background", 1: LIVER, 2: "kidney", 3: "tumour"}


def test_a_prediction_is_outlined_over_the_filled_reference(trained: Made) -> None:
    case = trained.files[1]
    page = Page(case_figure(case, NAMES, "mr", "caption", whole=True, focus=("kidney", (2,))))
    assert [str(image["alt"]).split(", ")[2] for image in page.all("img")] == [
        "axial slice",
        "coronal slice",
        "sagittal slice",
    ]
    kinds = {path.get("class") for path in page.all("path")}
    assert kinds == {"area reference", "under prediction", "prediction"}
    assert "Cut through kidney." in page.text
    alone = Page(case_figure(replace(case, prediction=None), NAMES, "mr", "", whole=True))
    assert {path.get("class") for path in alone.all("path")} == {"under reference", "reference"}


def test_a_channel_is_chosen_by_name_or_else_the_first(trained: Made) -> None:
    case = trained.files[0]

    def shown(channel: str, images: dict[str, Path]) -> set[str]:
        page = Page(case_figure(replace(case, images=images), NAMES, "mr", "", whole=True, channel=channel))
        return {str(image["alt"]).split(", ")[1] for image in page.all("img")}

    assert list(case.images) == ["t1", "t2"]
    only_t1, only_t2 = {"t1": case.images["t1"]}, {"t2": case.images["t2"]}
    assert (shown("t2", case.images), shown("t1", case.images), shown("", case.images)) == ({"t2"}, {"t1"}, {"t1"})
    assert (shown("t2", only_t1), shown("t1", only_t2)) == ({"t1"}, {"t2"})


def test_whole_slices_are_larger_than_close_ups(trained: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mist_bundle.report.case_pictures.MARGIN_MM", 0.0)

    def size(*, whole: bool) -> float:
        page = Page(case_figure(trained.files[0], NAMES, "mr", "", whole=whole))
        boxes = [str(svg["viewbox"]).split() for svg in page.all("svg")]
        return sum(float(box[2]) * float(box[3]) for box in boxes)

    assert size(whole=False) < size(whole=True)


def test_a_prediction_on_another_grid_is_said_in_place_of_the_picture(trained: Made, tmp_path: Path) -> None:
    case = trained.files[0]
    label = read_volume(case.label)
    moved = label.affine.copy()
    moved[:3, 3] += 30
    nib.save(nib.Nifti1Image(label.array, moved), tmp_path / "moved.nii.gz")
    wrong = replace(case, prediction=tmp_path / "moved.nii.gz")
    page = Page(case_figure(wrong, NAMES, "mr", "", whole=True))
    assert page.all("img") == []
    assert "No picture: " in page.text
    with pytest.raises(InputError, match="does not lie on the grid"):
        read_case(next(iter(case.images.values())), wrong)


def test_all_channels_are_shown(trained: Made) -> None:
    page = Page(channels_figure(trained.files[0], NAMES, "mr"))
    assert [str(image["alt"]) for image in page.all("img")] == [
        f"{trained.files[0].id}, {name}, axial slice" for name in ("t1", "t2")
    ]


def test_the_legend_has_the_colours_of_the_labels() -> None:
    text = label_legend(NAMES)
    assert [text.index(structure_colour(number)) for number in range(3)] == sorted(
        text.index(structure_colour(number)) for number in range(3)
    )
    assert "background" not in Page(text).text
    switches = Page(label_legend(NAMES, prediction=True)).all("input")
    assert [switch["data-hide"] for switch in switches] == ["reference", "prediction"]


def test_cases_are_spread_over_the_volumes() -> None:
    structures = {"a": {"labels": [1]}, "b": {"labels": [2]}, "both": {"labels": [1, 2]}}
    cases = []
    for index in range(9):
        volumes = {"a": {"volume_ml": index % 3}, "b": {"volume_ml": index // 3 * 3}, "both": {"volume_ml": 99}}
        cases.append({"id": f"c{index}", "structures": volumes})
    report = {"structures": structures, "cases": cases[::-1]}
    assert spread_cases(report, 3) == ["c0", "c4", "c8"]
    assert spread_cases(report, 20) == [f"c{index}" for index in range(9)]
