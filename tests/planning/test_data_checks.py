from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mist_bundle.errors import InputError
from mist_bundle.planning.data_checks import refuse_degenerate
from tests.dataset.samples import save_volume
from tests.planning.plans import SMALL_DATASET_OPTIONS as OPTIONS


def test_nothing_to_learn_is_refused(small_dataset):
    def damage(folder):
        for path in folder.glob("*/seg.nii.gz"):
            save_volume(path, np.zeros((12, 10, 8), np.uint8))

    with pytest.raises(InputError, match="nothing to learn"):
        small_dataset(damage=damage)


@pytest.mark.parametrize("spacing", [(30.0, 30.0, 30.0), (0.001, 0.001, 0.001)])
def test_a_chosen_grid_that_holds_no_voxels_or_too_many(small_dataset, spacing):
    with pytest.raises(InputError, match="--target_spacing: "):
        small_dataset(replace(OPTIONS, target_spacing=spacing))


def test_a_grid_that_means_nothing_names_the_cases(small_dataset):
    _, fingerprint, _ = small_dataset()
    cases = tuple(
        replace(case, spacing_mm=(size,) * 3) for case, size in zip(fingerprint.cases, (1, 2, 3, 9), strict=True)
    )
    with pytest.raises(InputError, match=r"case_000.*and case_003"):
        refuse_degenerate(replace(fingerprint, cases=cases), (1, 1, 9), (9.0, 9.0, 1.0), by_user=False)
