"""A scan's digest is the same however it is stored."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from mist_bundle.runtime.numerics.digest import scan_digest

ARRAY = np.random.default_rng(0).integers(-50, 50, (5, 6, 7)).astype(np.int16)
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])


def test_a_copy_has_the_digest_of_its_scan_however_it_is_stored():
    digest = scan_digest(ARRAY, AFFINE)
    assert scan_digest(np.asfortranarray(ARRAY, dtype=np.float64), AFFINE) == digest
    for codes in ("LPS", "PIR", "SAL"):
        turned = nib.Nifti1Image(ARRAY, AFFINE).as_reoriented(nib.orientations.axcodes2ornt(codes))
        assert scan_digest(np.asarray(turned.dataobj), turned.affine) == digest


def test_what_differs_in_a_voxel_or_in_its_orientation_is_another_scan():
    changed = ARRAY.copy()
    changed[1, 2, 3] += 1
    mirrored = np.diag([-2.0, 1.0, 3.0, 1.0])
    assert len({scan_digest(ARRAY, AFFINE), scan_digest(changed, AFFINE), scan_digest(ARRAY, mirrored)}) == 3


def test_a_constant_image_is_no_scan():
    assert scan_digest(np.full((3, 3, 3), 7), np.eye(4)) == ""
