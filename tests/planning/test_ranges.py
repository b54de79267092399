from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from mist_bundle.files import read_json


def test_ranges_are_those_of_the_files(fresh_bundle: Path, phantom_json: Path) -> None:
    ranges = read_json(fresh_bundle / "configs/plan.json")["training_ranges"]
    images = [nib.as_closest_canonical(nib.load(path)) for path in (phantom_json.parent / "train").rglob("*t1*.nii.gz")]
    assert images
    millimetres = {"mm": 1.0, "micron": 1e-3, "meter": 1e3, "unknown": 1.0}
    spacings, extents = [], []
    for image in images:
        unit = millimetres[image.header.get_xyzt_units()[0]]
        spacings.append(unit * nib.affines.voxel_sizes(image.affine))
        extents.append(spacings[-1] * image.shape[:3])
    spacings, extents = np.array(spacings), np.array(extents)
    for name, values in (("spacing_mm", spacings), ("extent_mm", extents)):
        np.testing.assert_allclose(ranges[name], np.stack([values.min(0), values.max(0)], axis=1), rtol=1e-5)
    highs = [np.percentile(np.asarray(image.dataobj, np.float32), 99.5) for image in images]
    np.testing.assert_allclose(ranges["high"][0], [min(highs), max(highs)], rtol=1e-5)
    assert len(ranges["low"]) == 2
