from __future__ import annotations

import json

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import EXIT_SOME_CASES_FAILED, CaseFailure, InputError
from tests.dataset.samples import save_volume


def make_task(folder, modality, num_cases=3, num_test=1, **changes):
    """A task folder as the decathlon has them, 4D with more than one modality."""
    rng = np.random.default_rng(0)
    shape = (6, 5, 4) if len(modality) == 1 else (6, 5, 4, len(modality))
    for index in range(num_cases + num_test):
        split = "Tr" if index < num_cases else "Ts"
        save_volume(folder / f"images{split}" / f"la_{index:03d}.nii.gz", rng.normal(size=shape).astype(np.float32))
        if split == "Tr":
            save_volume(folder / "labelsTr" / f"la_{index:03d}.nii.gz", rng.integers(0, 2, shape[:3]).astype(np.uint8))
    content = {
        "name": "BRATS",
        "description": "Gliomas",
        "reference": "Somewhere",
        "licence": "CC-BY-SA 4.0",
        "modality": {str(index): name for index, name in enumerate(modality)},
        "labels": {"0": "background", "1": "edema"},
        "training": [
            {"image": f"./imagesTr/la_{index:03d}.nii.gz", "label": f"./labelsTr/la_{index:03d}.nii.gz"}
            for index in reversed(range(num_cases))
        ],
        "test": [f"./imagesTs/la_{index:03d}.nii.gz" for index in range(num_cases, num_cases + num_test)],
        **changes,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_the_hippocampus(hippocampus_dir, tmp_path):
    spec = DatasetSpec.from_json(convert_msd(hippocampus_dir, tmp_path / "out", limit=10, start=5))
    assert spec.task == "hippocampus"
    assert spec.modality == "mr"
    assert spec.labels == (0, 1, 2)
    assert spec.label_names == {0: "background", 1: "Anterior", 2: "Posterior"}
    assert spec.final_classes == {"Anterior": (1,), "Posterior": (2,)}
    assert spec.licence == "CC-BY-SA 4.0"
    assert spec.reference.startswith("Medical Segmentation Decathlon")
    found = find_cases(spec)
    names = sorted(path.name.removesuffix(".nii.gz") for path in (hippocampus_dir / "labelsTr").glob("*.nii.gz"))
    assert [case.id for case in found.cases] == names[5:15]
    assert found.problems == found.warnings == ()
    case = found.cases[0]
    assert case.images["mri"].is_symlink()
    assert case.images["mri"].resolve() == (hippocampus_dir / "imagesTr" / f"{case.id}.nii.gz").resolve()
    assert case.label.resolve() == (hippocampus_dir / "labelsTr" / f"{case.id}.nii.gz").resolve()


def test_4d_images_are_split_by_channel(tmp_path):
    source = make_task(tmp_path / "Task01", ["FLAIR", "T1w", "t1gd", "T2w"])
    spec = DatasetSpec.from_json(convert_msd(source, tmp_path / "out"))
    assert spec.task == "brats"
    assert spec.modality == "mr"  # MIST calls this "other"
    assert spec.channel_names == ("flair", "t1w", "t1gd", "t2w")
    found = find_cases(spec)
    assert found.problems == ()
    import nibabel as nib

    for case in found.cases:
        whole = np.asanyarray(nib.load(source / "imagesTr" / f"{case.id}.nii.gz").dataobj)
        for index, name in enumerate(spec.channel_names):
            np.testing.assert_array_equal(read_volume(case.images[name]).array, whole[..., index])
    assert [case.id for case in find_cases(spec, "test").cases] == ["la_003"]


@pytest.mark.parametrize(
    ("modality", "expected", "channels"),
    [
        (["CT"], "ct", ("ct",)),
        (["MRI"], "mr", ("mri",)),
        (["T2", "ADC"], "mr", ("t2", "adc")),
        (["CT", "PET"], "other", ("ct", "pet")),
        (["CT", "CT"], "ct", ("ct", "ct_1")),
        (["mask", "???"], "other", ("mask_0", "channel_1")),
        (["MR/T1 (post)"], "mr", ("mr_t1_post",)),
    ],
)
def test_modalities_and_channel_names(tmp_path, modality, expected, channels):
    spec = DatasetSpec.from_json(convert_msd(make_task(tmp_path / "in", modality, 1, 0), tmp_path / "out"))
    assert spec.modality == expected
    assert spec.channel_names == channels
    assert spec.test_dir is None
    assert len(find_cases(spec).cases) == 1


def test_copies_on_request(tmp_path):
    path = convert_msd(make_task(tmp_path / "in", ["CT"]) / "dataset.json", tmp_path / "out", copy=True)
    assert not any(file.is_symlink() for file in path.parent.rglob("*"))
    assert len(find_cases(DatasetSpec.from_json(path)).cases) == 3


def test_several_workers_give_the_same(tmp_path):
    source = make_task(tmp_path / "in", ["FLAIR", "T1w"], 4)
    outputs = [convert_msd(source, tmp_path / f"out{workers}", workers=workers).parent for workers in (1, 2)]
    files = [sorted(file.relative_to(output) for file in output.rglob("*")) for output in outputs]
    assert files[0] == files[1]
    assert all((outputs[0] / f).read_bytes() == (outputs[1] / f).read_bytes() for f in files[0] if f.suffix == ".json")


def test_bad_cases_are_named_and_the_others_written(tmp_path):
    source = make_task(tmp_path / "in", ["CT"])
    (source / "labelsTr" / "la_000.nii.gz").unlink()
    save_volume(source / "imagesTr" / "la_001.nii.gz", np.zeros((3, 3, 3, 2), np.float32))
    with pytest.raises(CaseFailure) as caught:
        convert_msd(source, tmp_path / "out")
    assert [problem.path for problem in caught.value.problems] == ["la_000", "la_001"]
    assert "does not exist" in caught.value.problems[0].message
    assert "(3, 3, 3, 2)" in caught.value.problems[1].message
    assert [case.id for case in find_cases(DatasetSpec.from_json(tmp_path / "out" / "dataset.json")).cases] == [
        "la_002"
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modality": ...}, r"\$\.modality: is missing"),
        ({"modality": None}, r"\$\.modality: is missing; expected an object"),
        ({"modality": ["CT"]}, r'\$\.modality: is \["CT"\]; expected an object'),
        ({"training": []}, r"\$\.training: is \[\]; expected a list"),
        ({"training": [{"label": "x"}]}, "entry 0"),
        ({"labels": {"background": 0, "x": 1}}, "nnU-Net writes names first"),
        ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, r"a\.nii\.gz: does not exist"),
    ],
)
def test_sources_that_are_refused_leave_nothing_behind(tmp_path, changes, words):
    source = make_task(tmp_path / "in", ["CT"])
    content = json.loads((source / "dataset.json").read_text())
    content = {key: value for key, value in {**content, **changes}.items() if value is not ...}
    (source / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        convert_msd(source, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_output_is_not_overwritten_unasked(tmp_path):
    source = make_task(tmp_path / "in", ["CT"])
    convert_msd(source, tmp_path / "out", limit=1)
    with pytest.raises(InputError, match="--overwrite"):
        convert_msd(source, tmp_path / "out")
    path = convert_msd(source, tmp_path / "out", overwrite=True)
    assert len(find_cases(DatasetSpec.from_json(path)).cases) == 3


def test_a_start_beyond_the_end(tmp_path):
    with pytest.raises(InputError, match="no labelled case behind the first 3"):
        convert_msd(make_task(tmp_path / "in", ["CT"]), tmp_path / "out", start=3)


def test_a_dry_run_checks_the_headers_and_writes_nothing(tmp_path, capsys):
    source = make_task(tmp_path / "in", ["FLAIR", "T1w"])
    save_volume(source / "imagesTr" / "la_001.nii.gz", np.zeros((3, 3, 3), np.float32))
    (source / "labelsTr" / "la_002.nii.gz").unlink()
    words = ["convert_msd", str(source), str(tmp_path / "out"), "--dry_run"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    shown = capsys.readouterr()
    assert "channels        flair, t1w" in shown.out
    assert "training cases  1" in shown.out
    assert "la_001: la_001.nii.gz: has the shape (3, 3, 3)" in shown.err
    assert "la_002.nii.gz: does not exist" in shown.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("output", ["task/imagesTr", "task/imagesTr/out", "task"])
def test_the_images_of_the_source_are_never_replaced(tmp_path, output):
    """Only links to them would be left."""
    source = make_task(tmp_path / "task", ["MRI"])
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises(InputError, match=r"would replace|lies within"):
        convert_msd(source, tmp_path / output, overwrite=True)
    assert before == {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}


def test_a_case_that_is_listed_twice_or_without_label_is_named(tmp_path):
    source = make_task(tmp_path / "task", ["MRI"])
    content = json.loads((source / "dataset.json").read_text())
    first, second, third = content["training"]
    content["training"] = [first, first, second, {"image": third["image"]}]
    (source / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as refused:
        convert_msd(source, tmp_path / "out")
    assert 'entry 3: has no "label"' in str(refused.value)
    assert "is listed 2 times" in str(refused.value)
