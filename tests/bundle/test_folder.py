"""What a bundle's folder holds, read in one place; what is damaged is named with its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError
from mist_bundle.planning.plan import Plan
from tests.planning.plans import small_plan


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    (root / "configs").mkdir(parents=True)
    (root / "configs/plan.json").write_text(json.dumps(small_plan().to_json()))
    training = [
        {"id": "a", "image": ["a/t1.nii.gz"], "label": "a/mask.nii.gz", "fold": 0},
        {"id": 7, "image": "7/t1.nii.gz", "label": "7/mask.nii.gz", "fold": 1},
    ]
    (root / "configs/datalist.json").write_text(json.dumps({"training": training, "testing": []}))
    return root


def test_everything_lies_where_it_is_written(bundle: Path) -> None:
    made = Bundle(str(bundle))
    assert isinstance(made.plan, Plan)
    assert made.identity == made.plan.to_json()["bundle_id"]
    assert [case.id for case in made.datalist.training] == ["a", "7"]
    assert made.datalist.training[1].images == ("7/t1.nii.gz",)
    assert [case.id for case in made.datalist.held_out(1)] == ["7"]
    assert made.work_dir == bundle.parent / "toy_work"
    folds = list(made.folds())
    assert [fold.number for fold in folds] == [0, 1]
    assert folds[1].weights == bundle / "models/fold_1.pt"
    assert folds[1].prediction("7") == made.work_dir / "fold_1/predictions/7.nii.gz"
    assert folds[0].status is None
    assert folds[0].history == []


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_configuration_is_found_in_any_format(bundle: Path, suffix: str) -> None:
    content = {"epochs": 3, "loss": {"_target_": "DiceLoss"}}
    text = json.dumps(content) if suffix == "json" else yaml.safe_dump(content)
    (bundle / f"configs/train.{suffix}").write_text(text)
    assert Bundle(bundle).config("train") == content
    assert Bundle(bundle).config_file("inference") is None


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a bundle: there is no configs/ folder in it"):
        Bundle(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("configs/plan.json", "{", "plan.json: is not valid JSON"),
        ("configs/plan.json", '{"plan_version": 99}', "plan.json, plan_version: is 99"),
        (
            "configs/datalist.json",
            '{"training": [{"id": "a"}]}',
            "is not a list of cases with id, image, label and fold: it lacks 'image'.",
        ),
        ("configs/datalist.json", "[]", "is not a list of cases"),
        ("configs/metadata.json", "[]", "metadata.json: holds []; expected an object"),
        ("configs/train.json", "3", "train.json: holds 3; expected an object"),
        ("configs/train.yaml", "a: [", "train.yaml: is not valid YAML"),
    ],
)
def test_what_is_damaged_is_named(bundle: Path, file: str, content: str, said: str) -> None:
    (bundle / file).write_text(content)
    made = Bundle(bundle)
    with pytest.raises(InputError) as caught:
        _ = {
            "plan": lambda: made.plan,
            "datalist": lambda: made.datalist,
            "metadata": lambda: made.metadata,
            "train": lambda: made.config("train"),
        }[Path(file).stem]()
    assert said in str(caught.value)
    assert str(bundle) in str(caught.value)


def test_a_configuration_that_is_missing_is_named(bundle: Path) -> None:
    with pytest.raises(InputError, match=r"configs/train\.json does not exist"):
        Bundle(bundle).config_path("train")


def test_a_torn_history_names_its_line(bundle: Path) -> None:
    fold = Bundle(bundle).fold(0)
    fold.folder.mkdir(parents=True)
    (fold.folder / "history.jsonl").write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(InputError, match=r"history\.jsonl, line 2: is not valid JSON"):
        _ = fold.history
