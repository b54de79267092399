"""Where inputs are spoilt: a dataset, a bundle configured for it, and one that is trained, copied for each input."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.files import work_dir_of
from mist_bundle.planning.options import PlanOptions

NUM_CASES = 6
TINY = PlanOptions(recipe="quick", folds=2, epochs=2, steps_per_epoch=2, patch_size=(16, 16, 16), val_fraction=0.2)
QUICK = ("--recipe", "quick", "--epochs", "2", "--steps_per_epoch", "2", "--patch_size", "16,16,16")
CASE = "mr2_004"
BUNDLE = "phantom_mr2_segmentation"


@dataclass(frozen=True)
class Site:
    """A folder with a dataset of six cases and, in later states, a bundle. One case, `mr2_004`, is to be spoilt."""

    folder: Path

    @property
    def data(self) -> Path:
        """The folder of the dataset."""
        return self.folder / "data"

    @property
    def description(self) -> Path:
        """Its dataset.json."""
        return self.data / "dataset.json"

    @property
    def case(self) -> Path:
        """The folder of the case that is spoilt."""
        return self.data / "train" / CASE

    @property
    def image(self) -> Path:
        """Its first image."""
        return self.case / "t1.nii.gz"

    @property
    def mask(self) -> Path:
        """Its label map."""
        return self.case / "mask.nii.gz"

    @property
    def output(self) -> Path:
        """A place that holds nothing yet, or the bundle."""
        return self.folder / "out"

    @property
    def bundle(self) -> Path:
        """The bundle."""
        return self.output / BUNDLE

    @property
    def work(self) -> Path:
        """Its work folder."""
        return work_dir_of(self.bundle)

    def autoconfig(self, *more: str) -> list[str]:
        """The words of a quick autoconfig; what is given again is given instead."""
        words = ["autoconfig", str(self.description)]
        defaults = {"--output": str(self.output), "--folds": "2"}
        defaults |= dict(zip(QUICK[::2], QUICK[1::2], strict=True))
        for option, value in defaults.items():
            if not any(word.partition("=")[0] == option for word in more):
                words += [option, value]
        return [*words, *more]

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file at the root of the site."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def planned_cases(self) -> int:
        """Cases that autoconfig has put into a bundle."""
        (path,) = self.output.glob("*/configs/datalist.json")
        return len(json.loads(path.read_text())["training"])

    def shortened(self, text: str) -> str:
        """A message without the place of this site."""
        for place in (self.folder, self.folder.resolve()):
            text = text.replace(f"{place}/", "").replace(str(place), ".")
        return text


class Bench:
    """The states of a site, made once and copied for each input.

    `data` holds the dataset, `configured` a bundle too, and `trained` its two folds, trained and scored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def site(self, state: str) -> Site:
        """A fresh copy of a state."""
        source = self._state(state)
        self._count += 1
        target = self.folder / f"site_{self._count}"
        shutil.copytree(source.folder, target, symlinks=True)
        return Site(target)

    def _state(self, name: str) -> Site:
        site = Site(self.folder / name)
        if not site.folder.is_dir():
            _MAKE[name](self, site)
        return site

    def make_data(self, site: Site) -> None:
        """Draw the dataset."""
        make_phantom(site.data, kind="mr2", num_cases=NUM_CASES, num_test=1, seed=1, shape=(16, 16, 12))

    def make_configured(self, site: Site) -> None:
        """Configure a bundle."""
        shutil.copytree(self._state("data").folder, site.folder)
        pipeline.autoconfig(site.description, site.output, TINY)

    def make_trained(self, site: Site) -> None:
        """Train and score both folds."""
        shutil.copytree(self._state("configured").folder, site.folder)
        pipeline.train(site.bundle, [0, 1], {"val_interval": 1})
        pipeline.evaluate_folds(site.bundle, [0, 1], {})
        pipeline.finalize(site.bundle)


_MAKE: dict[str, Callable[[Bench, Site], None]] = {
    "data": Bench.make_data,
    "configured": Bench.make_configured,
    "trained": Bench.make_trained,
}


def change_voxels(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]], affine: Any = None) -> None:
    """Write an image anew with other voxels, or with another affine."""
    image = nib.load(path)
    array = change(np.array(image.dataobj))
    changed = nib.Nifti1Image(array, image.affine if affine is None else affine)
    changed.header.set_xyzt_units(*image.header.get_xyzt_units())
    path.unlink()
    nib.save(changed, path)


def change_affine(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Write an image anew with another affine."""
    change_voxels(path, lambda array: array, change(np.array(nib.load(path).affine)))


def change_header(path: Path, offset: int, kind: str, *values: Any) -> None:
    """Write bytes of a NIfTI header, in place, whatever they mean."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(kind, content, offset, *values)
    path.write_bytes(gzip.compress(bytes(content)))


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes a key away."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
