"""Cases of which only some labels were annotated, from the description of the data to the scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel
import numpy as np
import pandas
import pytest

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
