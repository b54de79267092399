"""MONAI Label with a bundle: info, infer, train, infer again. Run by the Python of Label's own environment.

    label.py BUNDLE IMAGES LABELS WORK RESULT_JSON

BUNDLE is copied into the application `monaibundle`; IMAGES and LABELS are folders of equally named NIfTI files, the
first image is the one that is predicted. The label maps of each inference are kept in WORK, for a comparison.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import monailabel
import nibabel as nib
import numpy as np

EPOCHS = 2
# a source of bundles that is asked for nothing: the bundle lies there already
SETTINGS = {"preload": "false", "sam2": "false", "zoo_source": "ngc"}


def application(work: Path, bundle: Path) -> Path:
    """A copy of Label's application with the bundle among its models."""
    samples = Path(sys.prefix) / "monailabel" / "sample-apps" / "monaibundle"
    app_dir = work / "app"
    shutil.copytree(samples, app_dir)
    shutil.copytree(bundle, app_dir / "model" / bundle.name, symlinks=False)
    return app_dir


def studies(work: Path, images: Path, labels: Path) -> Path:
    """A data store of Label's: images, and final labels for all but the first."""
    folder = work / "studies"
    (folder / "labels" / "final").mkdir(parents=True)
    for index, image in enumerate(sorted(images.glob("*.nii.gz"))):
        shutil.copyfile(image, folder / image.name)
        if index:
            shutil.copyfile(labels / image.name, folder / "labels" / "final" / image.name)
    return folder


def files_below(*folders: Path) -> set[Path]:
    """Every file there is, to tell afterwards what an inference left behind."""
    found: set[Path] = set()
    for folder in folders:
        found.update(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return found


def infer(app: Any, model: str, image: str, target: Path, **request: Any) -> np.ndarray:
    """One inference; its label map is moved to `target` and read."""
    answer = app.infer(request={"model": model, "image": image, "device": "cpu", **request})
    shutil.move(answer["file"], target)
    return np.asarray(nib.load(target).dataobj)


def check(bundle: Path, images: Path, labels: Path, work: Path) -> dict[str, Any]:
    """Go the whole way; what was seen, by name."""
    app_dir = application(work, bundle)
    store = studies(work, images, labels)
    sys.path.insert(0, str(app_dir))
    from main import MyApp

    app = MyApp(str(app_dir), str(store), SETTINGS | {"models": bundle.name})
    model_dir = app_dir / "model"
    model = model_dir / bundle.name / "models" / "model.pt"
    info = app.info()["models"][bundle.name]
    image = sorted(path.name.removesuffix(".nii.gz") for path in images.glob("*.nii.gz"))[0]

    before = files_below(app_dir, store)
    first = infer(app, bundle.name, image, work / "first.nii.gz")
    left_behind = sorted(str(path.relative_to(work)) for path in files_below(app_dir, store) - before)

    chosen: dict[str, bool] = {}
    for fold in sorted((model_dir / bundle.name / "models").glob("fold_*.pt")):
        answer = infer(app, bundle.name, image, work / f"{fold.stem}.nii.gz", model_filename=fold.name)
        chosen[fold.name] = bool(np.array_equal(answer, first))

    old_weights = model.read_bytes()
    app.train(request={"model": bundle.name, "max_epochs": EPOCHS, "device": "cpu", "val_split": 0.2, "run_id": "run"})
    new_weights = model.read_bytes()
    second = infer(app, bundle.name, image, work / "second.nii.gz")
    shutil.copyfile(model, work / "retrained.pt")
    return {
        "version": monailabel.__version__,
        "labels": info["labels"],
        "left_behind": left_behind,
        "same_as_default": chosen,
        "weights_changed": old_weights != new_weights,
        "voxels_changed_by_training": int(np.count_nonzero(first != second)),
        "foreground_voxels": [int(np.count_nonzero(first)), int(np.count_nonzero(second))],
    }


def main() -> None:
    """Read the words, go the way, write the result."""
    bundle, images, labels, work, result = (Path(word).resolve() for word in sys.argv[1:6])
    seen = check(bundle, images, labels, work)
    result.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
