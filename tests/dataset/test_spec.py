from __future__ import annotations

import contextlib
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.dataset.spec import DatasetSpec, slug
from mist_bundle.errors import InputError
from tests.dataset.samples import write_description


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train" / "case_1").mkdir(parents=True)
    return tmp_path


def test_a_correct_description(folder):
    (folder / "test" / "x").mkdir(parents=True)
    changes = {
        "test-data": "test",
        "labels": [4, 0, 1],
        "modality": "MR",
        "label_names": {"1": "liver"},
        "licence": "CC0",
    }
    spec = DatasetSpec.from_json(write_description(folder, **changes))
    assert spec.task == "Two Organs"
    assert spec.slug == "two_organs"
    assert spec.modality == "mr"
    assert spec.train_dir == folder / "train"
    assert spec.test_dir == folder / "test"
    assert spec.labels == (0, 1, 4)
    assert spec.num_classes == 3
    assert spec.channel_names == ("t1", "t2")
    assert spec.num_channels == 2
    assert spec.mask == ("seg.nii.gz",)
    assert spec.final_classes == {"both": (1, 4), "small": (4,)}
    assert spec.label_names == {0: "background", 1: "liver", 4: "small"}
    assert spec.licence == "CC0"
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_channel_order_is_that_of_the_file(folder):
    images = {"z": ["z.nii"], "a": ["a.nii"], "m": ["m.nii"]}
    assert DatasetSpec.from_json(write_description(folder, images=images)).channel_names == ("z", "a", "m")


def test_final_classes_may_be_left_out_as_in_mists_documentation(folder):
    spec = DatasetSpec.from_json(write_description(folder, final_classes=..., label_names={"4": "cyst"}))
    assert spec.final_classes == {"label_1": (1,), "cyst": (4,)}


def test_an_absolute_folder_is_taken_as_it_is(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("json")
    path = write_description(elsewhere, **{"train-data": str(folder / "train")})
    assert DatasetSpec.from_json(path).train_dir == folder / "train"


def test_files_that_are_no_description(tmp_path):
    path = tmp_path / "dataset.json"
    for content, words in [("[1]", "JSON object"), ("{", "line 1"), ("", "not valid JSON")]:
        path.write_text(content)
        with pytest.raises(InputError, match=words) as caught:
            DatasetSpec.from_json(path)
        assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        DatasetSpec.from_json(tmp_path / "absent.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats(allow_nan=False) | st.text("ab01 ./", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab01 ./", max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KEYS = ["task", "modality", "train-data", "test-data", "mask", "images", "labels", "final_classes", "label_names", "x"]


@given(changes=st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=4))
def test_no_content_ends_in_anything_but_a_spec_or_an_input_error(tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    (folder / "train" / "case_1").mkdir(parents=True, exist_ok=True)
    path = write_description(folder, **changes)
    with contextlib.suppress(InputError):
        spec = DatasetSpec.from_json(path)
        assert json.loads(path.read_text())["labels"]
        assert spec.labels[0] == 0
        assert set(spec.label_names) == set(spec.labels)
        assert all(set(members) <= set(spec.labels) for members in spec.final_classes.values())


@pytest.mark.parametrize(("text", "expected"), [("BraTS 2024!", "brats_2024"), ("a--b", "a_b"), ("é", ""), ("X", "x")])
def test_slug(text, expected):
    assert slug(text) == expected
