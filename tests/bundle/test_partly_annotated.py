"""Cases of which only some labels were annotated, from the description of the data to the scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel
import numpy as np
import pandas
import pytest

import mist_bundle as mb
from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.pipeline.fold_choice import FoldRules
from mist_bundle.planning.options import PlanOptions

TINY = PlanOptions(recipe="quick", folds=2, epochs=1, steps_per_epoch=2, patch_size=(16, 16, 16), network="unet-pocket")


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantoms: labels 1 and 3 (liver and its tumour) in the first three, label 2 in the others."""
    folder = tmp_path_factory.mktemp("sources") / "data"
    dataset_json = make_phantom(folder, kind="mr2", num_cases=6, num_test=0, seed=3, shape=(20, 18, 16))
    lines = ["id,source"]
    for number, case in enumerate(sorted((folder / "train").iterdir())):
        kept = [1, 3] if number < 3 else [2]
        mask = next(case.glob("*mask*"))
        image = nibabel.load(mask)
        labels = np.asarray(image.dataobj)
        erased = np.where(np.isin(labels, kept), labels, 0).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(erased, image.affine), mask)
        lines.append(f"{case.name},{'a' if number < 3 else 'b'}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    content = json.loads(dataset_json.read_text())
    content["annotated_labels"] = {"source": {"a": [1, 3], "b": [2]}}
    dataset_json.write_text(json.dumps(content))
    return dataset_json


def test_classes_are_scored_where_they_were_annotated(two_sources: Path, tmp_path: Path) -> None:
    made = pipeline.autoconfig(two_sources, tmp_path, TINY, fold_rules=FoldRules(stratify=("source",)))
    plan = made.plan
    assert plan.unlabelled == ((1, 3), (2,))
    assert plan.mixed_indices == {"1,3": 4, "2": 5}
    assert plan.mixed_classes == {"4": [0, 1, 3], "5": [0, 2]}
    assert type(plan).from_json(plan.to_json()) == plan
    card = (made.bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert "Partly annotated: some cases without liver and tumour, some without kidney" in card
    pipeline.train(made.bundle, [0], {"loader": "torch", "device": "cpu"})
    pipeline.evaluate_folds(made.bundle, [0], {"device": "cpu"})
    history = Bundle(made.bundle).fold(0).history
    assert all(math.isfinite(record["train_loss"]) for record in history if "train_loss" in record)
    table = pandas.read_csv(Bundle(made.bundle).fold(0).results, index_col="id")
    first = [case.id for case in Bundle(made.bundle).datalist.training if case.unlabelled == (2,)]
    for case_id, row in table.iterrows():
        if case_id not in made.case_ids:
            continue
        of_first = case_id in first
        assert math.isnan(row["liver_dice"]) != of_first
        assert math.isnan(row["tumour_dice"]) != of_first
        assert math.isnan(row["kidney_dice"]) == of_first


def test_the_users_own_loss_is_refused(two_sources: Path, tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text("import torch\n\nclass Own(torch.nn.Module):\n    pass\n")
    options = PlanOptions(recipe="quick", folds=2, patch_size=(16, 16, 16), loss=f"{code}:Own")
    with pytest.raises(InputError, match="cannot know that"):
        pipeline.autoconfig(two_sources, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_a_label_that_should_not_be_there_is_warned_of(two_sources: Path, tmp_path: Path) -> None:
    content = json.loads(two_sources.read_text())
    content["annotated_labels"] = {"source": {"a": [1], "b": [2, 3]}}
    changed = two_sources.with_name("changed.json")
    changed.write_text(json.dumps(content))
    made = pipeline.autoconfig(changed, tmp_path / "out", TINY)
    text = "\n".join(map(str, made.warnings))
    assert "of label 3, which was not annotated in this case" in text


def _erase(dataset_json: Path) -> None:
    """Keep label 1 in every other case and label 2 in the rest, and say so; complete/ holds the complete masks."""
    folder = dataset_json.parent
    lines = ["id,source"]
    for number, case in enumerate(sorted((folder / "train").iterdir())):
        kept = 1 + number % 2
        mask = next(path for path in case.iterdir() if "mask" in path.name)
        image = nibabel.load(mask)
        labels = np.asarray(image.dataobj)
        (folder / "complete").mkdir(exist_ok=True)
        nibabel.save(image, folder / "complete" / f"{case.name}.nii.gz")
        mask.unlink()
        nibabel.save(nibabel.Nifti1Image(np.where(labels == kept, kept, 0).astype(np.uint8), image.affine), mask)
        lines.append(f"{case.name},{'first' if kept == 1 else 'second'}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    content = json.loads(dataset_json.read_text())
    content["annotated_labels"] = {"source": {"first": [1], "second": [2]}}
    dataset_json.write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::mist_bundle.DataWarning")  # oddities of the data
def test_two_halves_with_a_class_each_train_a_model_that_finds_both(hippocampus_dir: Path, tmp_path: Path) -> None:
    dataset_json = mb.convert_msd(hippocampus_dir, tmp_path / "data", limit=30, copy=True)
    _erase(dataset_json)
    bundle = mb.configure(
        dataset_json,
        tmp_path / "out",
        recipe="quick",
        network="unet-pocket",
        folds=3,
        patch_size=(32, 32, 32),
        epochs=3,
        steps_per_epoch=40,
        batch_size=4,
        learning_rate=0.003,
        stratify=("source",),
    )
    bundle.train(fold=0, device="cpu")
    bundle.evaluate(fold=0, device="cpu")
    lines = ["id,mask,prediction"]
    for case in bundle.datalist.held_out(0):
        prediction = bundle.fold(0).prediction(case.id)
        lines.append(f"{case.id},{dataset_json.parent / 'complete' / case.id}.nii.gz,{prediction}")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(lines) + "\n")
    scores = mb.evaluate(paths=pairs, classes={"anterior": [1], "posterior": [2]}, metrics=["dice"])
    table = pandas.DataFrame([case.row for case in scores.cases])
    assert table["anterior_dice"].mean() > 0.7
    assert table["posterior_dice"].mean() > 0.7
