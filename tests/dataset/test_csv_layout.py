from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.conversion import ConversionOptions
from mist_bundle.dataset.csv_layout import convert_csv
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import CaseFailure, InputError
from tests.dataset.samples import save_volume


@pytest.fixture
def source(tmp_path):
    """Files of three cases under raw/ with labels 0, 2, 5 stored as floating point."""
    for index in range(3):
        label = np.zeros((5, 4, 3), np.float32)
        label[1] = 2
        label[2] = 5 if index else 0
        save_volume(tmp_path / "raw" / f"label {index}.nii.gz", label)
        for name in ("pre", "post"):
            save_volume(tmp_path / "raw" / f"{name}{index}.nii", np.full((5, 4, 3), index, np.int16))
    return tmp_path


def converted(train, output, test_csv=None, structures=(), **options):
    """dataset.json of a converted table, after the failures of cases were raised."""
    outcome = convert_csv(train, output, test_csv, structures, ConversionOptions(**options))
    outcome.raise_failures()
    return outcome.dataset_json


def table(folder, text, name="train.csv"):
    (folder / name).write_text(text)
    return folder / name


ROWS = (
    "id,mask,t1-post,t1 pre,site\n"
    "001,raw/label 0.nii.gz,raw/post0.nii,raw/pre0.nii,Bern\n"
    "002,raw/label 1.nii.gz,raw/post1.nii,raw/pre1.nii,Oslo\n"
)


def test_column_names_ids_and_labels_survive(source):
    # MIST writes _2.nii.gz for "t1-post", turns 001 into 1, and leaves labels, modality and classes empty
    spec = DatasetSpec.from_json(converted(table(source, ROWS), source / "My Study"))
    assert spec.task == "my_study"
    assert spec.channel_names == ("t1-post", "t1 pre")
    assert spec.labels == (0, 2, 5)
    assert spec.final_classes == {"label_2": (2,), "label_5": (5,)}
    assert spec.modality == "mr"
    found = find_cases(spec)
    assert found.problems == found.warnings == ()
    assert [case.id for case in found.cases] == ["001", "002"]
    assert found.cases[1].images["t1-post"].resolve() == source / "raw" / "post1.nii"
    assert found.cases[1].label.resolve() == source / "raw" / "label 1.nii.gz"
    assert [case.extra for case in found.cases] == [{"site": "Bern"}, {"site": "Oslo"}]


def test_a_test_table(source):
    test = table(source, "t1 pre,id,t1-post\nraw/pre2.nii,x,raw/post2.nii\n", "test.csv")
    spec = DatasetSpec.from_json(converted(table(source, ROWS), source / "out", test_csv=test, copy=True, task="Knee"))
    assert spec.task == "knee"
    (case,) = find_cases(spec, "test").cases
    assert case.id == "x"
    assert not case.images["t1-post"].is_symlink()
    assert case.images["t1-post"].read_bytes() == (source / "raw" / "post2.nii").read_bytes()
    bad = table(source, "id,t1-post,t1_pre\nx,raw/post2.nii,raw/pre2.nii\n", "bad.csv")
    with pytest.raises(InputError, match=r'no column "t1 pre"\. Did you mean "t1_pre"'):
        converted(table(source, ROWS), source / "other", test_csv=bad)


@pytest.mark.parametrize(
    ("column", "minimum", "expected"),
    [("ct", 0, "ct"), ("image", -1000, "ct"), ("image", 0, "other"), ("FLAIR", 0, "mr"), ("PET", 0, "other")],
)
def test_modality_from_names_or_intensities(tmp_path, column, minimum, expected):
    save_volume(tmp_path / "a.nii.gz", np.full((3, 3, 3), minimum, np.int16))
    save_volume(tmp_path / "m.nii.gz", np.eye(3, dtype=np.uint8)[None].repeat(3, axis=0))
    path = converted(table(tmp_path, f"id,{column},mask\nx,a.nii.gz,m.nii.gz\n"), tmp_path / "out")
    assert DatasetSpec.from_json(path).modality == expected


def test_bad_cases_are_named_and_the_others_written(source):
    save_volume(source / "raw" / "half.nii.gz", np.full((5, 4, 3), 0.5, np.float32))
    (source / "raw" / "cut.nii").write_bytes((source / "raw" / "pre0.nii").read_bytes()[:-1])
    rows = [
        "half,raw/half.nii.gz,raw/post0.nii,raw/pre0.nii,",
        "cut,raw/label 0.nii.gz,raw/cut.nii,raw/pre0.nii,",
        "gone,raw/label 0.nii.gz,raw/nothing.nii,raw/pre0.nii,",
        "hole,raw/label 0.nii.gz,,raw/pre0.nii,",
        "kind,raw/label 0.nii.gz,raw/post0.nii,raw/x.dcm,",
        "again,raw/label 0.nii.gz,raw/post0.nii,raw/pre0.nii,",
        "again,raw/label 1.nii.gz,raw/post1.nii,raw/pre1.nii,",
    ]
    with pytest.raises(CaseFailure, match="6 of 8 cases failed") as caught:
        converted(table(source, ROWS + "\n".join(rows)), source / "out")
    problems = {problem.path: problem.message for problem in caught.value.problems}
    assert "0.5" in problems["half"]
    assert "cut short" in problems["cut"]
    assert "does not exist" in problems["gone"]
    assert 'no file in the column "t1-post"' in problems["hole"]
    assert "is not an image of a known kind" in problems["kind"]
    assert "again in line 10" in problems["again"]
    found = find_cases(DatasetSpec.from_json(source / "out" / "dataset.json"))
    assert [case.id for case in found.cases] == ["001", "002"]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,masks,ct\na,m.nii,c.nii\n", 'Did you mean "masks"'),
        ("id,mask,site\na,m.nii,x\n", "besides the mask"),
        ("id,mask,a/b\na,m.nii,c.nii\n", "Rename it"),
        ("id,mask,ct\na,m.nii,c.nii\n", "does not exist"),
    ],
)
def test_tables_that_are_refused_leave_nothing_behind(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        converted(table(tmp_path, text), tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.csv"]


def test_images_and_mask_on_different_grids_are_all_named_and_the_others_written(source):
    shifted = np.diag([1.0, 1.0, 1.0, 1.0])
    shifted[0, 3] = 2.0
    save_volume(source / "raw" / "pre0.nii", np.zeros((5, 4, 3), np.int16), shifted)
    save_volume(source / "raw" / "label 0.nii.gz", np.zeros((5, 4, 2), np.uint8))
    with pytest.raises(CaseFailure) as failed:
        converted(table(source, ROWS), source / "out")
    assert [problem.path for problem in failed.value.problems] == ["001"]
    text = str(failed.value)
    assert "pre0.nii does not lie on the grid of post0.nii" in text
    assert "label 0.nii.gz does not lie on the grid of post0.nii: its shape is (5, 4, 2)" in text
    spec = DatasetSpec.from_json(source / "out" / "dataset.json")
    assert [case.id for case in find_cases(spec).cases] == ["002"]


def test_a_mask_stored_in_another_order_is_on_the_same_grid(source):
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    flipped[0, 3] = 4.0
    label = np.zeros((5, 4, 3), np.uint8)
    label[1] = 2
    save_volume(source / "raw" / "label 0.nii.gz", label, flipped)
    converted(table(source, ROWS), source / "out")
    spec = DatasetSpec.from_json(source / "out" / "dataset.json")
    assert [case.id for case in find_cases(spec).cases] == ["001", "002"]


def mask_file(folder, name, box, value=1):
    array = np.zeros((5, 4, 3), np.uint8)
    array[box] = value
    return save_volume(folder / "raw" / f"{name}.nii.gz", array)


def test_a_column_for_each_structure(source):
    mask_file(source, "liver", np.s_[:3])
    mask_file(source, "tumor", np.s_[2:4], value=255)
    rows = (
        "id,scan,tumor,liver,site\n"
        "a,raw/post0.nii,raw/tumor.nii.gz,raw/liver.nii.gz,Bern\n"
        "b,raw/post1.nii,,raw/liver.nii.gz,Oslo\n"
    )
    outcome = convert_csv(table(source, rows), source / "out", structures=("liver", "tumor"))
    assert outcome.problems == []
    spec = DatasetSpec.from_json(outcome.dataset_json)
    assert spec.channel_names == ("scan",)
    assert spec.label_names == {0: "background", 1: "liver", 2: "tumor"}
    first, second = find_cases(spec).cases
    np.testing.assert_array_equal(read_volume(first.label).array[:, 0, 0], [1, 1, 2, 2, 0])
    np.testing.assert_array_equal(read_volume(second.label).array[:, 0, 0], [1, 1, 1, 0, 0])
    assert first.extra == {"site": "Bern"}
    said = "\n".join(map(str, outcome.warnings))
    assert "a: liver and tumor share 12 voxels; they are tumor" in said
    assert "tumor: 1 case has no mask file of it (b): it is taken to be absent there" in said


def test_columns_of_structures_are_checked_all_at_once(source):
    text = "id,scan,liver,mask\na,raw/post0.nii,raw/label 0.nii.gz,raw/label 0.nii.gz\n"
    with pytest.raises(InputError) as refused:
        convert_csv(table(source, text), source / "out", structures=("livr", "spleen"))
    said = str(refused.value)
    assert 'no column "livr". Did you mean "liver"?' in said
    assert 'no column "spleen"' in said
    assert 'has a column "mask" of label maps beside those of --labels' in said


def test_a_4d_image_becomes_channels_with_names(source):
    rng = np.random.default_rng(3)
    for index in range(2):
        save_volume(source / "raw" / f"all{index}.nii.gz", rng.normal(size=(5, 4, 3, 2)).astype(np.float32))
    rows = "id,scan,mask\n0,raw/all0.nii.gz,raw/label 0.nii.gz\n1,raw/all1.nii.gz,raw/label 1.nii.gz\n"
    spec = DatasetSpec.from_json(converted(table(source, rows), source / "out", channels=("flair", "t1")))
    assert spec.channel_names == ("flair", "t1")
    for case in find_cases(spec).cases:
        whole = np.asanyarray(nib.load(source / "raw" / f"all{case.id}.nii.gz").dataobj)
        for index, path in enumerate(case.images.values()):
            np.testing.assert_array_equal(read_volume(path).array, whole[..., index])
    numbered = DatasetSpec.from_json(converted(table(source, rows), source / "numbered"))
    assert numbered.channel_names == ("scan_0", "scan_1")
    with pytest.raises(InputError, match=r"--channels: has 3 names .* hold 2 channels"):
        converted(table(source, rows), source / "other", channels=("a", "b", "c"))


def test_a_case_with_other_channels_is_named(source):
    save_volume(source / "raw" / "all.nii.gz", np.zeros((5, 4, 3, 2), np.float32))
    rows = "id,scan,mask\n0,raw/all.nii.gz,raw/label 0.nii.gz\n1,raw/post1.nii,raw/label 1.nii.gz\n"
    with pytest.raises(CaseFailure, match=r"1: .*post1\.nii holds 1 channels, but those of most cases 2"):
        converted(table(source, rows), source / "out")


def test_an_optional_image_may_be_left_out_of_a_row(source):
    rows = ROWS.replace("raw/pre0.nii", "")
    (source / "test.csv").write_text("id,t1-post\n003,raw/post2.nii\n")
    outcome = convert_csv(table(source, rows), source / "out", source / "test.csv", optional=["t1 pre"])
    assert not outcome.problems
    spec = DatasetSpec.from_json(outcome.dataset_json)
    assert spec.optional_images == ("t1 pre",)
    assert [list(case.images) for case in find_cases(spec).cases] == [["t1-post"], ["t1-post", "t1 pre"]]
    assert [list(case.images) for case in find_cases(spec, "test").cases] == [["t1-post"]]
    with pytest.raises(CaseFailure, match='001: has no file in the column "t1 pre"'):
        converted(table(source, rows), source / "all")
    with pytest.raises(InputError, match=r"names 't1_pre', which is not a column.*\n.*names every channel"):
        convert_csv(table(source, rows), source / "wrong", optional=["t1_pre", "t1 pre", "t1-post"])


def test_an_optional_column_that_is_empty_in_every_row_is_said(source):
    rows = "id,b,t1,mask\n0,,raw/pre0.nii,raw/label 0.nii.gz\n1, ,raw/post1.nii,raw/label 1.nii.gz\n"
    with pytest.raises(InputError, match=r"--optional: names 'b', but no row of \S+\.csv has a file in that column"):
        convert_csv(table(source, rows), source / "out", optional=["b"])


def test_most_images_decide_how_many_channels_a_column_has(source):
    """A 3D image in the first row must not leave out all the others."""
    rows = ["id,mask,scan"]
    for index in range(3):
        shape = (5, 4, 3, 2) if index else (5, 4, 3)
        save_volume(source / "raw" / f"scan{index}.nii.gz", np.ones(shape, np.int16))
        rows.append(f"c{index},raw/label {index}.nii.gz,raw/scan{index}.nii.gz")
    outcome = convert_csv(table(source, "\n".join(rows)), source / "out", options=ConversionOptions(modality="mr"))
    (problem,) = outcome.problems
    assert str(problem).startswith('c0: "scan": scan0.nii.gz holds 1 channels, but those of most cases 2')
    assert DatasetSpec.from_json(outcome.dataset_json).channel_names == ("scan_0", "scan_1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,mask,$x\na,raw/label 0.nii.gz,raw/pre0.nii\n", "'\\$x', which holds"),
        ("id,mask,t1\n", "has no row of a case"),
    ],
)
def test_a_table_that_no_bundle_could_use(source, text, message):
    with pytest.raises(InputError, match=message):
        converted(table(source, text), source / "out")


def test_channels_and_ids_that_differ_in_case_alone_are_reported(source):
    text = "id,mask,t1,T1\n"
    for index, name in enumerate("aA"):
        text += f"{name},raw/label {index}.nii.gz,raw/pre{index}.nii,raw/post{index}.nii\n"
    outcome = convert_csv(table(source, text), source / "out", options=ConversionOptions(modality="mr"))
    assert [warning.path for warning in outcome.warnings] == ["T1, t1", "A, a"]


def test_a_word_for_nothing_is_no_optional_image(source):
    text = "id,mask,t1,t2\na,raw/label 0.nii.gz,raw/pre0.nii,NaN\nb,raw/label 1.nii.gz,raw/pre1.nii,raw/post1.nii\n"
    outcome = convert_csv(table(source, text), source / "out", optional=["t2"])
    cases = find_cases(DatasetSpec.from_json(outcome.dataset_json)).cases
    assert [sorted(case.images) for case in cases] == [["t1"], ["t1", "t2"]]
