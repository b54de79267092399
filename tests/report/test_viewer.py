"""The viewer's page: the volumes in it are those of the files, and nothing in a name can break it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.errors import InputError
from mist_bundle.report import viewer
from mist_bundle.report.sources import CaseFiles
from mist_bundle.report.viewer import ViewerCase
from tests.report.conftest import LIVER, Made
from tests.report.pages import check_page

NAMES = {0: "background", 1: LIVER, 2: "kidney", 3: "tumour"}


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is the page around the library, which need not be fetched for it."""
    monkeypatch.setattr(viewer, "library_text", lambda: "var niivue = {};")


def _data(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def _volume(text: str) -> Any:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def _lps(image: Any) -> Any:
    """The same image with its axes towards L, P, S, by nibabel."""
    wanted = nib.orientations.axcodes2ornt("LPS")
    return image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted))


def test_volumes_in_the_page_are_those_of_the_files(trained: Made, tmp_path: Path) -> None:
    output = tmp_path / "viewer.html"
    cases = [ViewerCase(files=trained.files[1], words="worst"), ViewerCase(files=trained.files[0], words="best")]
    assert viewer.write_viewer(output, cases, NAMES, "mr", "Viewer <b>", "report.html") == []
    page = check_page(output.read_text(encoding="utf-8"))
    assert "Viewer <b>" in page.text
    assert LIVER in page.text
    assert "Copyright (c) 2021, Niivue" in page.text
    data = _data(output)
    assert [case["id"] for case in data["cases"]] == [case.files.id for case in cases]
    assert {label["value"]: label["name"] for label in data["labels"]} == {1: LIVER, 2: "kidney", 3: "tumour"}
    for shown, case in zip(data["cases"], cases, strict=True):
        files = {**case.files.images, "reference": case.files.label, "prediction": case.files.prediction}
        packed = {**shown, **{channel["name"]: channel["image"] for channel in shown["channels"]}}
        assert [channel["name"] for channel in shown["channels"]] == ["t1", "t2"]
        for kind, path in files.items():
            embedded, stored = _volume(packed[kind]), _lps(nib.load(str(path)))
            np.testing.assert_allclose(shown["affine"], stored.affine[:3], atol=1e-5)
            np.testing.assert_array_equal(np.asarray(embedded.dataobj), np.asarray(stored.dataobj))
            np.testing.assert_allclose(embedded.affine, stored.affine, atol=1e-5)
        reference, prediction = (
            np.asarray(_lps(nib.load(str(files[kind]))).dataobj) for kind in ("reference", "prediction")
        )
        wrong = np.asarray(_volume(shown["differences"]).dataobj) != 0
        np.testing.assert_array_equal(wrong, reference != prediction)


def test_differences_are_missed_false_positive_or_a_wrong_label() -> None:
    reference = np.array([0, 0, 1, 1, 2])
    prediction = np.array([0, 2, 0, 1, 1])
    assert viewer.differences(reference, prediction).tolist() == [0, 2, 1, 0, 3]


def test_floating_point_images_keep_their_values(trained: Made, tmp_path: Path) -> None:
    stored = nib.load(trained.files[0].images["t1"])
    values = np.asarray(stored.dataobj, dtype=np.float32) / 700 - 0.3
    nib.save(nib.Nifti1Image(values, stored.affine), tmp_path / "float.nii.gz")
    case = CaseFiles(id="float", images={"t1": tmp_path / "float.nii.gz"}, label=trained.files[0].label)
    viewer.write_viewer(tmp_path / "v.html", [ViewerCase(files=case)], NAMES, "mr", "t", "r.html")
    (shown,) = _data(tmp_path / "v.html")["cases"]
    embedded = _volume(shown["channels"][0]["image"])
    assert embedded.get_data_dtype() == np.int16
    turned = np.asarray(_lps(nib.Nifti1Image(values, stored.affine)).dataobj)
    np.testing.assert_allclose(np.asarray(embedded.dataobj), turned, atol=np.ptp(values) / 65000)
    assert shown["prediction"] is None


def test_large_volumes_are_thinned_and_say_so(trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = trained.files[0]
    stored = nib.load(case.images["t1"])
    monkeypatch.setattr(viewer, "MAX_VOXELS", int(np.prod(stored.shape)) // 4)
    viewer.write_viewer(tmp_path / "v.html", [ViewerCase(files=case, words="best")], NAMES, "mr", "t", "r.html")
    (shown,) = _data(tmp_path / "v.html")["cases"]
    assert shown["note"] == "best; subsampled: 1 of 2 voxels along each axis"
    embedded, turned = _volume(shown["channels"][0]["image"]), _lps(stored)
    np.testing.assert_array_equal(np.asarray(embedded.dataobj), np.asarray(turned.dataobj)[::2, ::2, ::2])
    np.testing.assert_allclose(embedded.affine @ [1, 1, 1, 1], turned.affine @ [2, 2, 2, 1], atol=1e-5)


@pytest.mark.parametrize("focus", [(1,), (2,), (3,)])
def test_the_cross_starts_in_the_class_that_is_talked_about(trained: Made, tmp_path: Path, focus: tuple) -> None:
    case = ViewerCase(files=trained.files[2], focus=focus)
    viewer.write_viewer(tmp_path / "v.html", [case], NAMES, "mr", "t", "r.html")
    (shown,) = _data(tmp_path / "v.html")["cases"]
    label = np.asarray(_lps(nib.load(trained.files[2].label)).dataobj)
    assert label[tuple(shown["centre"])] in focus
    counts = np.count_nonzero(label == focus[0], axis=(0, 1))
    assert counts[shown["centre"][2]] == counts.max()
    start, stop = shown["box"]
    inside = label[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))]
    assert np.count_nonzero(inside) == np.count_nonzero(label)


def test_there_is_a_viewer_without_the_library(trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "library_text", lambda: None)
    viewer.write_viewer(tmp_path / "v.html", [ViewerCase(files=trained.files[0])], NAMES, "mr", "t", "r.html")
    page = check_page((tmp_path / "v.html").read_text(encoding="utf-8"))
    assert "rendering" not in page.text
    assert "Niivue" not in page.text
    assert {str(one.get("value")) for one in page.all("option")} >= {"axial", "beside", "outlined"}


def test_a_bad_case_is_named_and_the_others_are_shown(trained: Made, tmp_path: Path) -> None:
    bad = CaseFiles(id="gone", images={"t1": tmp_path / "gone.nii.gz"}, label=trained.files[0].label)
    problems = viewer.write_viewer(
        tmp_path / "v.html", [ViewerCase(files=bad), ViewerCase(files=trained.files[0])], NAMES, "mr", "t", "r.html"
    )
    assert [problem.path for problem in problems] == ["gone"]
    assert [case["id"] for case in _data(tmp_path / "v.html")["cases"]] == [trained.files[0].id]
    with pytest.raises(InputError, match="no case to show"):
        viewer.write_viewer(tmp_path / "w.html", [ViewerCase(files=bad)], NAMES, "mr", "t", "r.html")
    assert not (tmp_path / "w.html").exists()
