"""Predicting a folder of which some files cannot be used, and doing it again."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from mist_bundle import cli, pipeline
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, CaseFailure, InputError
from mist_bundle.files import work_dir_of, write_json
from tests.bundle.run_monai import run_monai


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A copy whose weights may be changed."""
    return Path(shutil.copytree(trained_bundle, tmp_path / trained_bundle.name))


def _sources(phantom_json: Path) -> list[Path]:
    return sorted(path for path in (phantom_json.parent / "test").iterdir() if path.is_dir())


def _folder(phantom_json: Path, target: Path, names: list[str]) -> Path:
    """Cases made of the phantoms for testing, in files named after their channels."""
    for index, name in enumerate(names):
        sources = sorted(_sources(phantom_json)[index % 2].glob("*.nii.gz"))
        images = [path for path in sources if "mask" not in path.name]
        for path in images:
            (target / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / name / path.name)
    return target


def _change(path: Path, *, affine: np.ndarray | None = None, array: np.ndarray | None = None) -> None:
    image = nib.load(path)
    values = np.asarray(image.dataobj, dtype=np.float32) if array is None else array
    nib.save(nib.Nifti1Image(values, image.affine if affine is None else affine), path)


def _spoil(folder: Path) -> dict[str, str]:
    """Break some cases; id -> what their failure must tell."""
    first = {name: sorted((folder / name).iterdir())[0] for name in ("cut", "nan", "huge", "shifted")}
    first["cut"].write_bytes(first["cut"].read_bytes()[:200])
    values = np.asarray(nib.load(first["nan"]).dataobj, dtype=np.float32).copy()
    values[3, 3, 3] = np.nan
    _change(first["nan"], array=values)
    for path in (folder / "huge").iterdir():
        _change(path, affine=np.diag([3000.0, 3000, 3000, 1]))
    for path in (folder / "odd").iterdir():
        _change(path, affine=nib.load(path).affine @ np.diag([2.5, 2.5, 2.5, 1]))
    _change(first["shifted"], affine=nib.load(first["shifted"]).affine @ np.diag([1, 1, 3.0, 1]))
    return {"cut": "cut short", "nan": "NaN", "huge": "would be a grid of", "shifted": "grid"}


def _maps(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".nii.gz") for path in folder.glob("*.nii.gz"))


def test_cases_that_fail_are_named_and_the_same_again_does_only_what_is_missing(
    bundle: Path, phantom_json: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = _folder(phantom_json, tmp_path / "in", ["cut", "good", "huge", "nan", "odd", "shifted"])
    expected = _spoil(source)
    (source / "notes.txt").touch()
    output = tmp_path / "out"
    words = ["predict", str(bundle), str(source), str(output), "--notta"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    printed = capfd.readouterr().err
    assert _maps(output) == ["good", "odd"]
    assert printed.count("4 of 6 cases failed:\n") == 1, "said by predict alone, not by the process that it starts"
    summary = printed.split("4 of 6 cases failed:\n")[-1].splitlines()
    for case, reason in expected.items():
        (line,) = (line for line in summary if line.startswith(f"{case}: "))
        assert reason in line
        assert ".nii.gz" in line
    assert "warning: odd: its voxels are " in printed
    assert "warning: good" not in printed
    assert f"warning: {source / 'notes.txt'}: is a file, not a case folder; ignored." in printed.splitlines()
    assert "Traceback" not in printed

    _folder(phantom_json, tmp_path / "in", ["cut"])  # mended
    times = {name: (output / f"{name}.nii.gz").stat().st_mtime_ns for name in _maps(output)}
    with pytest.raises(CaseFailure) as failure:
        pipeline.predict(bundle, source, output, tta=False)
    assert {problem.path for problem in failure.value.problems} == {"huge", "nan", "shifted"}
    assert _maps(output) == ["cut", "good", "odd"]
    assert {name: (output / f"{name}.nii.gz").stat().st_mtime_ns for name in times} == times

    # other settings, other weights: refused, and then renewed
    for name in ("huge", "nan", "shifted"):
        shutil.rmtree(source / name)
    assert cli.main([*words[:-1], "--tta"]) == EXIT_INPUT_REFUSED
    assert "good.nii.gz: was predicted with other settings." in capfd.readouterr().err
    weights = torch.load(bundle / "models/model.pt", weights_only=True)
    torch.save({name: value * 1.5 for name, value in weights.items()}, bundle / "models/model.pt")
    trusted = [*words, "--trust", "--ensemble", "False"]
    assert cli.main(trusted) == EXIT_INPUT_REFUSED
    assert "good.nii.gz: was predicted with other weights and settings." in capfd.readouterr().err
    assert {name: (output / f"{name}.nii.gz").stat().st_mtime_ns for name in times} == times
    assert cli.main([*trusted, "--overwrite"]) == EXIT_OK
    assert (output / "good.nii.gz").stat().st_mtime_ns > times["good"]


def test_a_label_map_of_somebody_else_is_refused_before_anything_starts(
    bundle: Path, phantom_json: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = _folder(phantom_json, tmp_path / "in", ["good"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/good.nii.gz").write_text("by hand")
    assert cli.main(["predict", str(bundle), str(source), str(tmp_path / "out")]) == EXIT_INPUT_REFUSED
    assert "good.nii.gz: exists already and was not written by this command" in capfd.readouterr().err
    assert (tmp_path / "out/good.nii.gz").read_text() == "by hand"


def test_plain_monai_does_the_same(bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    _folder(phantom_json, tmp_path / "in", ["cut", "good"])
    cut = sorted((tmp_path / "in/cut").iterdir())[0]
    cut.write_bytes(cut.read_bytes()[:200])
    entries = [
        {"id": name, "image": sorted(f"{name}/{path.name}" for path in (tmp_path / "in" / name).iterdir())}
        for name in ("cut", "good")
    ]
    write_json(tmp_path / "datalist.json", {"training": [], "testing": entries})
    words = ["--datalist", str(tmp_path / "datalist.json"), "--dataset_dir", str(tmp_path / "in")]
    words += ["--output_dir", str(tmp_path / "out")]
    config = bundle / "configs/inference.json"
    printed = run_monai("inference", config, *words, cwd=tmp_path, exit_code=EXIT_SOME_CASES_FAILED)
    assert "1 of 2 cases failed:\ncut: " in printed
    assert "Traceback" not in printed
    assert _maps(tmp_path / "out") == ["good"]
    other = [*words, "--overlap", "0.25"]
    printed = run_monai("inference", config, *other, cwd=tmp_path, exit_code=EXIT_INPUT_REFUSED)
    assert "was predicted with other settings" in printed


def test_weights_of_a_later_training_predict_by_themselves(
    bundle: Path, phantom_json: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = _folder(phantom_json, tmp_path / "in", ["good"])
    model = bundle / "models/model.pt"
    weights = torch.load(model, weights_only=True)
    (last_bias,) = [value for name, value in weights.items() if name.endswith("output_block.conv.conv.bias")]
    last_bias += 1000  # it sees all regions everywhere in the body, and the last label wins; no fold does so
    torch.save(weights, model)
    assert cli.main(["predict", str(bundle), str(source), str(tmp_path / "out"), "--trust"]) == EXIT_OK
    assert capfd.readouterr().err.count(f"warning: {model}: has other weights than fold_0.pt, fold_1.pt") == 1
    assert set(np.unique(np.asarray(nib.load(tmp_path / "out/good.nii.gz").dataobj))) == {0, 3}


def test_evaluation_goes_on_and_predicts_only_what_is_missing(
    trained_bundle: Path, phantom_json: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(trained_bundle, tmp_path / trained_bundle.name))
    fold = work_dir_of(bundle) / "fold_0"
    shutil.copytree(work_dir_of(trained_bundle) / "fold_0", fold)
    data = Path(shutil.copytree(phantom_json.parent / "train", tmp_path / "data"))
    words = ["evaluate", str(bundle), "--fold", "0", "--dataset_dir", str(data)]
    table = (fold / "results.csv").read_bytes()
    held_out = _maps(fold / "predictions")
    times = {name: (fold / f"predictions/{name}.nii.gz").stat().st_mtime_ns for name in held_out}

    spoiled = held_out[0]
    image = next(path for path in sorted((data / spoiled).iterdir()) if "mask" not in path.name)
    content = image.read_bytes()
    image.write_bytes(content[:200])
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    printed = capfd.readouterr().err
    assert f"1 of {len(held_out)} cases failed:\nfold 0, {spoiled}: " in printed
    assert "Traceback" not in printed
    assert len((fold / "results.csv").read_text().splitlines()) == len(table.decode().splitlines()) - 1

    image.write_bytes(content)
    assert cli.main(words) == EXIT_OK
    assert (fold / "results.csv").read_bytes() == table
    assert {name: (fold / f"predictions/{name}.nii.gz").stat().st_mtime_ns for name in held_out} == times


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("output_dir", "elsewhere", "--output_dir: is set by --output of this command"),
        ("split", "training", "--split: is set by --input of this command"),
        ("datalist", "list.json", "--datalist: is set by --input of this command"),
        ("ckpt_path", "nowhere.pt", "--ckpt_path: names nowhere.pt, which is not a file"),
        ("fold_paths", ["nowhere.pt"], "--fold_paths: names nowhere.pt, which is not a file"),
        ("postprocessing_path", "nowhere.json", "--postprocessing_path: names nowhere.json, which is not a file"),
    ],
)
def test_settings_that_lead_nowhere_are_refused_at_once(
    trained_bundle: Path, phantom_json: Path, tmp_path: Path, name: str, value: object, said: str
) -> None:
    with pytest.raises(InputError) as refused:
        pipeline.predict(trained_bundle, phantom_json.parent / "test", tmp_path / "out", overrides={name: value})
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_case_that_cannot_even_be_read_is_named_too(bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    """It is left out before anything is predicted, but never without a word."""
    source = _folder(phantom_json, tmp_path / "in", ["good", "lacking"])
    sorted((source / "lacking").iterdir())[0].unlink()
    with pytest.raises(CaseFailure, match=r"^1 of 2 cases failed:\nlacking: no file matches"):
        pipeline.predict(bundle, source, tmp_path / "out", tta=False)
    assert _maps(tmp_path / "out") == ["good"]


def _joint_images(cases: Path, flat: Path) -> Path:
    """The channels of each case in a single image."""
    flat.mkdir()
    for case in sorted(cases.iterdir()):
        channels = [nib.load(case / f"{channel}.nii.gz") for channel in ("t1", "t2")]
        joint = np.stack([np.asarray(channel.dataobj) for channel in channels], axis=-1)
        nib.save(nib.Nifti1Image(joint, channels[0].affine, channels[0].header), flat / f"{case.name}.nii.gz")
    return flat


def _write_older_reader(bundle: Path) -> None:
    """Take the reading of joint images out of a bundle's scripts, as they were written before there was any."""
    path = bundle / "scripts" / "transforms" / "nifti_reader.py"
    text = path.read_text(encoding="utf-8")
    text = text.replace("num_channels, read_channels, ", "")
    text = re.sub(r"        if len\(paths\) > 1 .*?_all_channels\(paths\[0\]\)\n", "", text, flags=re.S)
    text = re.sub(r"    def _all_channels.*?(?=    @property)", "", text, flags=re.S)
    assert "channels(path" not in text
    path.write_text(text, encoding="utf-8")


def test_a_bundle_with_older_scripts_takes_images_with_all_channels(
    bundle: Path, phantom_json: Path, tmp_path: Path
) -> None:
    names = [path.name for path in _sources(phantom_json)[:2]]
    cases = _folder(phantom_json, tmp_path / "cases", names)
    flat = _joint_images(cases, tmp_path / "flat")
    cut = flat / "cut.nii"
    nib.save(nib.load(flat / f"{names[0]}.nii.gz"), cut)
    cut.write_bytes(cut.read_bytes()[:-100])
    _write_older_reader(bundle)
    pipeline.predict(bundle, cases, tmp_path / "of_files", trust=True)
    with pytest.raises(CaseFailure) as failure:
        pipeline.predict(bundle, flat, tmp_path / "of_images", trust=True)
    (problem,) = failure.value.problems
    assert problem.path == "cut"
    assert "is cut short" in problem.message
    for name in names:
        expected = np.asarray(nib.load(tmp_path / "of_files" / f"{name}.nii.gz").dataobj)
        found = np.asarray(nib.load(tmp_path / "of_images" / f"{name}.nii.gz").dataobj)
        np.testing.assert_array_equal(found, expected)


def test_images_with_all_channels_are_predicted_like_the_files_of_each(
    bundle: Path, phantom_json: Path, tmp_path: Path
) -> None:
    names = [path.name for path in _sources(phantom_json)[:2]]
    cases = _folder(phantom_json, tmp_path / "cases", names)
    flat = _joint_images(cases, tmp_path / "flat")
    pipeline.predict(bundle, cases, tmp_path / "of_files")
    written, warnings = pipeline.predict(bundle, flat, tmp_path / "of_images")
    assert "1 is t1, 2 is t2" in str(warnings[0])
    for path in written:
        expected = np.asarray(nib.load(tmp_path / "of_files" / path.name).dataobj)
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), expected)
    before = written[0].stat().st_mtime_ns
    written[1].unlink()
    for name in names:  # the same images in case folders
        (tmp_path / "folders" / name).mkdir(parents=True)
        shutil.copy(flat / f"{name}.nii.gz", tmp_path / "folders" / name / "scan.nii.gz")
    again, _ = pipeline.predict(bundle, tmp_path / "folders", tmp_path / "of_images")
    assert again == written
    assert again[0].stat().st_mtime_ns == before, "label maps of the same images are kept"
    np.testing.assert_array_equal(np.asarray(nib.load(again[1]).dataobj), expected)
    with pytest.raises(InputError, match="would replace an image"):
        pipeline.predict(bundle, flat / f"{names[0]}.nii.gz", flat)
    cut = tmp_path / "cut" / "s.nii"
    cut.parent.mkdir()
    nib.save(nib.load(flat / f"{names[0]}.nii.gz"), cut)
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(CaseFailure) as failure:
        pipeline.predict(bundle, cut.parent, tmp_path / "of_cut")
    (problem,) = failure.value.problems
    assert problem.path == "s"
    assert "s.nii is cut short" in problem.message
    assert _maps(tmp_path / "of_cut") == []
