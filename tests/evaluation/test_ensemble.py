"""Votes, STAPLE and means of probabilities; a tie never gives a label that no model gave (MIST's did)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import stats

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.evaluation.ensemble import Channels, label_of_mean, majority_vote, staple
from mist_bundle.planning.decision import Decision
from tests.planning.plans import small_plan

from .samples import HEADERS, save_label, save_with_header, save_without_orientation

LABELS = (0, 1, 3)


def _random_maps(count: int, seed: int = 0) -> list[np.ndarray]:
    """Label maps that agree in most voxels."""
    generator = np.random.default_rng(seed)
    base = generator.choice(LABELS, size=(9, 8, 7))
    return [
        np.where(generator.random(base.shape) < 0.3, generator.choice(LABELS, size=base.shape), base).astype(np.uint8)
        for _ in range(count)
    ]


def _ball(radius: float, centre: float = 12, size: int = 24) -> np.ndarray:
    grid = np.indices((size,) * 3)
    distance = np.sqrt(((grid - centre) ** 2).sum(axis=0))
    return np.where(distance <= radius / 2, 3, np.where(distance <= radius, 1, 0)).astype(np.uint8)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_majority_is_the_most_frequent_label(count: int) -> None:
    maps = _random_maps(count)
    votes = np.stack(maps).reshape(count, -1)
    numbers = np.stack([(votes == label).sum(axis=0) for label in LABELS])
    clear = (numbers == numbers.max(axis=0)).sum(axis=0) == 1
    mode = stats.mode(votes, axis=0).mode
    for ties in ("first", "background"):
        result = majority_vote(maps, ties).ravel()
        np.testing.assert_array_equal(result[clear], mode[clear])
        tied = result[~clear]
        if ties == "background":
            assert not tied.any()
        else:
            # the label of the earliest map among those with the most votes
            expected = [
                next(label for label in column if (column == label).sum() == best)
                for column, best in zip(votes[:, ~clear].T, numbers.max(axis=0)[~clear], strict=True)
            ]
            np.testing.assert_array_equal(tied, expected)


@pytest.mark.parametrize("ties", ["first", "background"])
@pytest.mark.parametrize("vote", [majority_vote, staple])
def test_no_label_is_written_that_no_model_gave_the_voxel(vote, ties) -> None:
    # MIST 2.3.0 and ITK write 4 where two models of the labels 0, 1, 3 disagree
    one, two = _random_maps(2)
    itk = sitk.GetArrayFromImage(sitk.LabelVoting([sitk.GetImageFromArray(array) for array in (one, two)]))
    assert 4 in itk
    result = vote([one, two], ties)
    allowed = (result == one) | (result == two)
    if ties == "background":
        allowed |= result == 0
    assert allowed.all()
    np.testing.assert_array_equal(result[one == two], one[one == two])


def test_staple_of_a_careless_and_two_good_models_follows_the_good_ones() -> None:
    good, careless = _ball(8), np.roll(_ball(4), 6, axis=0)
    np.testing.assert_array_equal(staple([careless, good, good]), good)


def test_staple_of_maps_of_one_label() -> None:
    empty = np.zeros((4, 4, 4), np.uint8)
    np.testing.assert_array_equal(staple([empty, empty]), empty)


def test_staple_takes_large_labels() -> None:
    maps = [np.where(_ball(radius), 1000, 0) for radius in (7, 8, 8)]
    assert set(np.unique(staple(maps))) == {0, 1000}


def test_mean_of_probabilities() -> None:
    generator = np.random.default_rng(0)
    maps = [generator.dirichlet((1, 1, 1), size=(5, 4, 3)) for _ in range(3)]
    result = label_of_mean(maps, Channels(labels=LABELS))
    np.testing.assert_array_equal(result, np.array(LABELS)[np.mean(maps, axis=0).argmax(axis=-1)])
    assert label_of_mean([np.array([[[[0.2, 0.4, 0.4]]]])] * 2, Channels(labels=LABELS))[0, 0, 0] == 1


def test_mean_of_overlapping_regions() -> None:
    # channels: core, whole; the core is written after the whole
    one = np.array([[[[0.9, 0.9], [0.2, 0.7], [0.1, 0.2], [0.9, 0.4]]]])
    result = label_of_mean([one, one], Channels(labels=(3, 2), region_order=(1, 0)))
    assert result[0, 0].tolist() == [3, 2, 0, 3]


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    names = []
    for index, maps in enumerate(zip(*(_random_maps(3, seed) for seed in (1, 2)), strict=True)):
        for case, label in zip(("001", "1e3"), maps, strict=True):
            save_label(tmp_path / f"model_{index}" / f"{case}.nii.gz", label, np.diag([2.0, 1.0, 3.0, 1.0]))
        names.append(str(tmp_path / f"model_{index}"))
    return names


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(nib.load(path).dataobj) for path in sorted(folder.glob("*.nii.gz"))}


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_verb_writes_label_maps_on_the_same_grid(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path, method: str
) -> None:
    output = tmp_path / "ensemble"
    assert cli.main(["ensemble", *folders, "--output", str(output), "--method", method]) == EXIT_OK
    assert "2 label maps of 3 models" in capsys.readouterr().out
    made, given = _arrays(output), [_arrays(Path(folder)) for folder in folders]
    assert list(made) == ["001.nii.gz", "1e3.nii.gz"]
    vote = majority_vote if method == "majority" else staple
    for name, label in made.items():
        np.testing.assert_array_equal(label, vote([one[name] for one in given]))
        np.testing.assert_array_equal(nib.load(output / name).affine, np.diag([2.0, 1.0, 3.0, 1.0]))
    content = json.loads((output / "ensemble.json").read_text())
    assert content["predictions"] == ["model_0", "model_1", "model_2"]
    assert content["failed"] == []
    assert cli.main(["ensemble", *folders, "--output", str(output)]) == EXIT_INPUT_REFUSED
    assert "--overwrite" in capsys.readouterr().err


def _save_probabilities(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.float32), np.diag([2.0, 1.0, 3.0, 1.0])), path)


def test_verb_averages_probability_maps(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    maps = [generator.dirichlet((1, 1, 1), size=(5, 4, 3)) for _ in range(2)]
    names = [str(tmp_path / name) for name in "ab"]
    for name, array in zip(names, maps, strict=True):
        _save_probabilities(Path(name) / "001.nii.gz", array)
    words = ["ensemble", *names, "--method", "mean", "--output", str(tmp_path / "out")]
    assert cli.main([*words, "--labels", "0,1,3", "--workers", "2"]) == EXIT_OK
    label = _arrays(tmp_path / "out")["001.nii.gz"]
    assert label.shape == (5, 4, 3)
    np.testing.assert_array_equal(label, np.array(LABELS)[np.mean(maps, axis=0).argmax(axis=-1)])
    capsys.readouterr()
    for more, said in (
        ([], "--labels: is missing"),
        (["--labels", "0,1"], "has 3 channels, but there are 2 labels [0, 1]"),
        (["--labels", "0,1,3", "--bundle", "x"], "say the same"),
        (["--bundle", "x"], "is not a bundle"),
    ):
        assert cli.main([*words, *more, "--overwrite"]) == EXIT_INPUT_REFUSED
        assert said in capsys.readouterr().err
    for wrong, said in ((maps[0] * 0.5, "sum differs from 1"), (maps[0] * 40, "expected probabilities")):
        _save_probabilities(tmp_path / "b" / "001.nii.gz", wrong)
        assert cli.main([*words, "--labels", "0,1,3", "--overwrite"]) == EXIT_INPUT_REFUSED
        assert said in capsys.readouterr().err


def test_bundle_says_what_its_channels_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plan = small_plan()
    plans = {
        "classes": replace(plan, labels=(0, 1, 3)),
        "regions": replace(
            plan,
            labels=(0, 1, 2),
            region_labels=(2, 1),
            region_order=(0, 1),
            regions=Decision(True, "Chosen by the user."),
        ),
    }
    maps = {"classes": np.array([[[[0.2, 0.1, 0.7]]]]), "regions": np.array([[[[0.9, 0.2]]]])}
    for kind, expected in (("classes", 3), ("regions", 2)):
        (tmp_path / kind / "configs").mkdir(parents=True)
        (tmp_path / kind / "configs/plan.json").write_text(json.dumps(plans[kind].to_json()))
        names = [str(tmp_path / f"{kind}_{number}") for number in range(2)]
        for name in names:
            _save_probabilities(Path(name) / "x.nii.gz", maps[kind])
        output = tmp_path / f"{kind}_out"
        words = [*names, "--method", "mean", "--bundle", str(tmp_path / kind), "--output", str(output)]
        assert cli.main(["ensemble", *words]) == EXIT_OK
        assert _arrays(output)["x.nii.gz"].ravel().tolist() == [expected]


def test_a_case_that_a_folder_lacks_is_named_and_the_others_combined(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path
) -> None:
    (Path(folders[1]) / "001.nii.gz").rename(Path(folders[1]) / "002.nii.gz")
    assert cli.main(["ensemble", *folders, "--output", str(tmp_path / "out")]) == EXIT_SOME_CASES_FAILED
    errors = capsys.readouterr().err
    assert "2 of 3 cases failed" in errors
    assert f"001: has no prediction in {folders[1]}" in errors
    assert f"002: has no prediction in {folders[0]} and {folders[2]}" in errors
    assert list(_arrays(tmp_path / "out")) == ["1e3.nii.gz"]


def test_requests_that_make_no_sense_are_refused(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path
) -> None:
    output = ["--output", str(tmp_path / "out")]
    (tmp_path / "empty").mkdir()
    for words, said in (
        (folders[:1], "names 1 folder; expected at least two"),
        ([folders[0], folders[0]], "is listed 2 times"),
        ([folders[0], str(tmp_path / "nothing")], "is not a folder"),
        ([*folders, "--method", "median"], "there is no method called 'median'"),
        ([*folders, "--ties", "coin"], "'coin'"),
        ([str(tmp_path / "empty"), folders[0]], f"{tmp_path / 'empty'}: holds no image file"),
    ):
        assert cli.main(["ensemble", *words, *output]) == EXIT_INPUT_REFUSED
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("method", ["majority", "mean"])
def test_files_with_any_header_are_combined(header: str, method: str, tmp_path: Path) -> None:
    """Both form codes, one of them or none, oblique axes, other units, scaled voxels."""
    generator = np.random.default_rng(0)
    labels, maps = _random_maps(2), [generator.dirichlet((1, 1, 1), size=(5, 4, 3)) for _ in range(2)]
    names = [str(tmp_path / name) for name in "ab"]
    for name, array in zip(names, labels if method == "majority" else maps, strict=True):
        save_with_header(Path(name) / "001.nii.gz", array, header)
    words = ["ensemble", *names, "--method", method, "--output", str(tmp_path / "out")]
    assert cli.main([*words, *(["--labels", "0,1,3"] if method == "mean" else [])]) == EXIT_OK
    mean = np.array(LABELS)[np.mean(maps, axis=0).argmax(axis=-1)]
    expected = majority_vote(labels) if method == "majority" else mean
    np.testing.assert_array_equal(_arrays(tmp_path / "out")["001.nii.gz"], expected)
    written, first = (nib.load(folder / "001.nii.gz") for folder in (tmp_path / "out", tmp_path / "a"))
    np.testing.assert_allclose(written.affine, first.affine, atol=1e-6)
    assert written.header.get_xyzt_units()[0] == first.header.get_xyzt_units()[0]


def test_bad_cases_are_named_and_the_others_combined(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path
) -> None:
    label = _random_maps(1)[0]
    for folder in folders:
        save_label(Path(folder) / "moved.nii.gz", label)
        save_label(Path(folder) / "cut.nii.gz", label)
        save_label(Path(folder) / "half.nii.gz", label * 0.5)
    moved = np.eye(4)
    moved[0, 3] = 5
    save_label(Path(folders[2]) / "moved.nii.gz", label, moved)
    for folder in folders:
        save_without_orientation(Path(folder) / "001.nii.gz")
    cut = Path(folders[1]) / "cut.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-20])
    code = cli.main(["ensemble", *folders, "--output", str(tmp_path / "out"), "--workers", "2"])
    assert code == EXIT_SOME_CASES_FAILED
    errors = capsys.readouterr().err
    assert "3 of 5 cases failed" in errors
    assert errors.count("warning: 001: 001.nii.gz has no orientation in its header") == 1
    for case, said in (
        ("moved", "its origin is shifted by (5, 0, 0) mm"),
        ("cut", f"{cut}: is cut short"),
        ("half", "whole"),
    ):
        assert any(line.startswith(f"{case}: ") and said in line for line in errors.splitlines()), errors
    assert list(_arrays(tmp_path / "out")) == ["001.nii.gz", "1e3.nii.gz"]
    failed = json.loads((tmp_path / "out/ensemble.json").read_text())["failed"]
    assert [one["id"] for one in failed] == ["cut", "half", "moved"]


def test_a_link_to_a_folder_has_no_second_vote(folders: list[str], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folders[0])
    with pytest.raises(InputError, match="is listed 2 times"):
        mb.ensemble(folders[0], str(tmp_path / "link"), folders[1], output=tmp_path / "out")
