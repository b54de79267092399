"""From dataset.json to scored label maps, for each kind of data: CT, BraTS-like labels, real BraTS cases."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli, pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_OK
from mist_bundle.files import read_json
from mist_bundle.planning.options import PlanOptions

SHORT = PlanOptions(recipe="quick", folds=2, epochs=1, steps_per_epoch=2, patch_size=(16, 16, 16), val_fraction=0.2)
BRATS_CLASSES = {"WT": [1, 2, 3, 4], "TC": [1, 3, 4], "ET": [4]}


def _through(dataset_json: Path, output: Path, options: PlanOptions, inputs: Path) -> tuple[Path, Path]:
    """Configure, train and evaluate fold 0, predict `inputs`; the bundle and the folder of predictions."""
    bundle = pipeline.autoconfig(dataset_json, output, options).bundle
    pipeline.train(bundle, [0], {})
    pipeline.evaluate_folds(bundle, [0], {"overlap": 0.25})
    predictions = output / "predictions"
    pipeline.predict(bundle, inputs, predictions, tta=False, overrides={"overlap": 0.25})
    return bundle, predictions


def _score(predictions: Path, references: dict[str, Path], classes: dict[str, Any], folder: Path) -> list[str]:
    """Rows of the results.csv that `evaluate` writes, the header first."""
    pairs = [f"{case},{path},{predictions / case}.nii.gz" for case, path in references.items()]
    (folder / "pairs.csv").write_text("\n".join(["id,mask,prediction", *pairs]))
    (folder / "classes.json").write_text(json.dumps(classes))
    words = ["--paths", str(folder / "pairs.csv"), "--classes", str(folder / "classes.json")]
    assert cli.main(["evaluate", *words, "--output", str(folder / "results.csv")]) == EXIT_OK
    return (folder / "results.csv").read_text().splitlines()


@pytest.mark.parametrize(("kind", "labels"), [("ct", {0, 1, 2}), ("brats", {0, 1, 2, 4})])
def test_phantoms_from_description_to_scores(kind: Any, labels: set[int], tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", kind=kind, num_cases=4, num_test=1, seed=2, shape=(30, 26, 20))
    bundle, predictions = _through(data, tmp_path, SHORT, data.parent / "train")
    plan = read_json(bundle / "configs/plan.json")
    decisions = plan["decisions"]
    assert (decisions["normalization"]["value"] == "dataset") == (kind == "ct")
    assert len(decisions["intensity_windows"]["value"]) == (len(plan["channel_names"]) if kind == "ct" else 0)
    folders = sorted((data.parent / "train").iterdir())
    references = {folder.name: next(folder.glob("*mask*")) for folder in folders}
    for case, reference in references.items():
        predicted, given = nib.load(predictions / f"{case}.nii.gz"), nib.load(reference)
        assert predicted.shape == given.shape
        np.testing.assert_allclose(predicted.affine, given.affine, atol=1e-5)
        assert set(np.unique(np.asarray(predicted.dataobj)).tolist()) <= labels
    final = read_json(data)["final_classes"]
    rows = _score(predictions, references, final, tmp_path)
    assert rows[0].split(",")[1:] == [f"{name}_{metric}" for name in final for metric in ("dice", "hd95")]
    assert len(rows) == 1 + 4 + 5


@pytest.fixture
def brats_small(brats_dir: Path, tmp_path: Path) -> Path:
    """The real cases, linked, so that a dataset.json can stand beside them."""
    for folder in sorted(path for path in brats_dir.iterdir() if path.is_dir()):
        shutil.copytree(
            folder,
            tmp_path / "train" / folder.name,
            copy_function=lambda source, target: Path(target).symlink_to(source),
        )
    return tmp_path


def _describe(folder: Path, labels: list[int], classes: dict[str, list[int]]) -> Path:
    content = {
        "task": "brats",
        "modality": "mr",
        "train-data": "train",
        "mask": ["seg.nii.gz"],
        "images": {"flair": ["flair.nii.gz"], "t1c": ["t1c.nii.gz"]},
        "labels": labels,
        "final_classes": classes,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder / "dataset.json"


BRATS_OPTIONS = replace(SHORT, patch_size=(48, 48, 48), network="nnunet-pocket", val_fraction=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("values", [[0, 1, 2, 3, 4], [0, 1, 2, 4]])
def test_real_brats_cases(brats_small: Path, values: list[int]) -> None:
    """Labels stored as float32; the second time label 3 (necrosis counted as 1) is absent and the values have a gap."""
    if 3 not in values:
        for path in (brats_small / "train").glob("*/seg.nii.gz"):
            image = nib.load(path)
            label = np.asarray(image.dataobj)
            path.unlink()
            nib.save(nib.Nifti1Image(np.where(label == 3, 1, label).astype(np.float32), image.affine), path)
    classes = {name: [label for label in group if label in values] for name, group in BRATS_CLASSES.items()}
    data = _describe(brats_small, values, classes)
    one = brats_small / "one"
    shutil.copytree(sorted((brats_small / "train").iterdir())[0], one / "case", symlinks=True)
    bundle, predictions = _through(data, brats_small / "out", BRATS_OPTIONS, one)
    plan = read_json(bundle / "configs/plan.json")
    assert plan["labels"] == values
    assert plan["decisions"]["regions"]["value"] is True, "the classes that are scored are trained"
    assert read_json(bundle / "configs/inference.json")["network_def"]["out_channels"] == len(classes)
    assert all(label in group for label, group in zip(plan["region_labels"], classes.values(), strict=True))
    assert plan["decisions"]["crop_to_foreground"]["value"] is True
    predicted = nib.load(predictions / "case.nii.gz")
    reference = nib.load(one / "case/seg.nii.gz")
    assert predicted.shape == reference.shape == (240, 240, 155)
    np.testing.assert_allclose(predicted.affine, reference.affine, atol=1e-5)
    assert set(np.unique(np.asarray(predicted.dataobj)).tolist()) <= set(values)
    rows = _score(predictions, {"case": one / "case/seg.nii.gz"}, classes, brats_small)
    assert rows[0] == "id,WT_dice,WT_hd95,TC_dice,TC_hd95,ET_dice,ET_hd95"
    assert rows[1].startswith("case,")


def test_leave_one_site_out_from_the_command_line(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=6, num_test=0, shape=(16, 16, 12))
    cases = sorted(folder.name for folder in (data.parent / "train").iterdir())
    sites = dict(zip(cases, ["leeds", "leeds", "mainz", "mainz", "mainz", "oslo"], strict=True))
    (data.parent / "cases.csv").write_text("\n".join(["id,site", *(f"{case},{site}" for case, site in sites.items())]))
    words = ["autoconfig", str(data), "--output", str(tmp_path / "out"), "--recipe", "quick", "--fold_by", "site"]
    assert cli.main([*words, "--folds", "3"]) == EXIT_OK
    datalist = read_json(next((tmp_path / "out").glob("*_segmentation")) / "configs/datalist.json")
    folds: dict[str, set[int]] = {}
    for entry in datalist["training"]:
        folds.setdefault(sites[entry["id"]], set()).add(entry["fold"])
    assert sorted(map(len, folds.values())) == [1, 1, 1], "a site is in one fold"
    assert set.union(*folds.values()) == {0, 1, 2}, "and each fold is one site"
