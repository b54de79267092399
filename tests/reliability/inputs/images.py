"""Images and masks of one case that are broken or odd; `autoconfig` meets them."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from tests.reliability.inputs.judge import Answer, BrokenInput
from tests.reliability.inputs.site import CASE, Site, change_affine, change_header, change_voxels

Harm = Callable[[Site], object]
FILES = "files of images and masks"
VOXELS = "voxels of images"
LABELS = "labels of masks"
GRIDS = "grids and headers"


def _with_value(value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(array: NDArray[Any]) -> NDArray[Any]:
        changed = array.astype(np.float32)
        changed[4:6, 4:6, 4:6] = value
        return changed

    return change


def _content(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _shorter(path: Path, part: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def _shorter_inside(path: Path) -> None:
    """A whole gzip stream whose content ends too early."""
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: len(content) - 500]))


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def _link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _all_files(site: Site, change: Callable[[Path], object]) -> None:
    for path in sorted(site.case.glob("*.nii.gz")):
        change(path)


def _scale(path: Path, factor: float) -> None:
    def scaled(affine: NDArray[Any]) -> NDArray[Any]:
        affine[:3] *= factor
        return affine

    change_affine(path, scaled)


def _shift(path: Path, millimetres: float) -> None:
    def shifted(affine: NDArray[Any]) -> NDArray[Any]:
        affine[0, 3] += millimetres
        return affine

    change_affine(path, shifted)


def _turn(path: Path, degrees: float) -> None:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    change_affine(path, lambda affine: turn @ affine)


def _mirrored(path: Path) -> None:
    change_affine(path, lambda affine: np.diag([-1.0, 1.0, 1.0, 1.0]) @ affine)


def _reordered(path: Path) -> None:
    """The same mask in another storage order: no defect."""
    image = nib.load(path)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt(("A", "R", "S")))
    path.unlink()
    nib.save(turned, path)


def _two_forms(path: Path, millimetres: float) -> None:
    """A qform that lies apart from the sform."""
    image = nib.load(path)
    moved = image.affine.copy()
    moved[0, 3] += millimetres
    image = nib.Nifti1Image(np.array(image.dataobj), image.affine)
    image.set_sform(image.affine, 1)
    image.set_qform(moved, 1)
    path.unlink()
    nib.save(image, path)


def _no_form_codes(path: Path) -> None:
    change_header(path, 252, "<hh", 0, 0)


def _two_masks(site: Site) -> None:
    shutil.copy(site.mask, site.case / "b_mask.nii.gz")
    site.mask.rename(site.case / "a_mask.nii.gz")


def _image_of_mask(site: Site) -> None:
    labels = np.asarray(nib.load(site.mask).dataobj)
    change_voxels(site.image, lambda _: np.array(labels))


def _copied_channel(site: Site) -> None:
    shutil.copy(site.image, site.case / "t2.nii.gz")


def _uncompressed(path: Path) -> None:
    path.with_name("t1.nii").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()


# what is done, and what the line about the case says besides its name
LEFT_OUT: dict[str, dict[str, tuple[Harm, str]]] = {
    FILES: {
        "a truncated image": (lambda s: _shorter(s.image, 0.5), "cut short"),
        "an image that ends within its header": (lambda s: _shorter(s.image, 0.05), "t1.nii.gz"),
        "a truncated mask": (lambda s: _shorter(s.mask, 0.5), "cut short"),
        "voxels missing inside a whole gzip stream": (lambda s: _shorter_inside(s.image), "t1.nii.gz"),
        "a flipped byte in the gzip stream": (lambda s: _flip_a_byte(s.image), "t1.nii.gz"),
        "an empty image": (lambda s: _content(s.image, b""), "empty"),
        "an empty mask": (lambda s: _content(s.mask, b""), "empty"),
        "text under the name of an image": (lambda s: _content(s.image, b"patient 4\n" * 50), "t1.nii.gz"),
        "gzipped text under the name of an image": (
            lambda s: _content(s.image, gzip.compress(b"hello" * 200)),
            "NIfTI",
        ),
        "a zip file under the name of an image": (lambda s: _content(s.image, b"PK\x03\x04" + bytes(600)), "t1.nii.gz"),
        "an image that is a folder": (lambda s: _folder(s.image), "t1.nii.gz"),
        "an image that is a pipe": (lambda s: _pipe(s.image), "not a regular file"),
        "a mask that is a pipe": (lambda s: _pipe(s.mask), "not a regular file"),
        "a link to an endless device": (lambda s: _link(s.image, "/dev/zero"), "not a regular file"),
        "a link to a full device": (lambda s: _link(s.mask, "/dev/full"), "not a regular file"),
        "a link that leads nowhere": (lambda s: _link(s.image, "nowhere"), "broken link"),
        "a link to itself": (lambda s: _link(s.image, "t1.nii.gz"), "t1.nii.gz"),
        "a missing channel": (lambda s: s.image.unlink(), "no file"),
        "a missing mask": (lambda s: s.mask.unlink(), "mask"),
        "an empty case folder": (lambda s: _all_files(s, Path.unlink), "no file"),
        "two files that could be the mask": (_two_masks, "b_mask.nii.gz"),
        "an image that is a copy of the mask": (_image_of_mask, "of the mask"),
        "a header of an unknown voxel type": (lambda s: change_header(s.image, 70, "<h", 999), "t1.nii.gz"),
        "a header without voxels along an axis": (
            lambda s: change_header(s.image, 40, "<8h", 3, 16, 0, 12, 1, 1, 1, 1),
            "t1.nii.gz",
        ),
        "a header with a negative size": (lambda s: change_header(s.image, 42, "<h", -16), "t1.nii.gz"),
        "voxels that begin before the file": (lambda s: change_header(s.image, 108, "<f", -400.0), "t1.nii.gz"),
        "voxels that begin at NaN": (lambda s: change_header(s.image, 108, "<f", float("nan")), "t1.nii.gz"),
        "voxels that begin behind the file": (lambda s: change_header(s.image, 108, "<f", 1e9), "t1.nii.gz"),
        "a header that promises terabytes": (
            lambda s: change_header(s.image, 40, "<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1),
            "t1.nii.gz",
        ),
        "an image of another file type than dataset.json says": (lambda s: _uncompressed(s.image), "no file"),
    },
    VOXELS: {
        "NaN voxels": (lambda s: change_voxels(s.image, _with_value(np.nan)), "NaN"),
        "infinite voxels": (lambda s: change_voxels(s.image, _with_value(np.inf)), "infinite"),
        "negative infinite voxels": (lambda s: change_voxels(s.image, _with_value(-np.inf)), "infinite"),
        "values beyond float32": (lambda s: change_voxels(s.image, lambda a: a * 1e300), "float32"),
        "complex voxels": (lambda s: change_voxels(s.image, lambda a: a.astype(np.complex64)), "complex"),
        "a series of volumes": (lambda s: change_voxels(s.image, lambda a: np.stack([a, a], -1)), "dimension"),
        "a vector image": (
            lambda s: change_voxels(s.image, lambda a: np.stack([a] * 3, -1)[:, :, :, None, :]),
            "dimension",
        ),
        "a two-dimensional image": (lambda s: change_voxels(s.image, lambda a: a[:, :, 0]), "t1.nii.gz"),
    },
    LABELS: {
        "a label outside the list": (lambda s: change_voxels(s.mask, _with_value(7)), "7"),
        "a negative label": (lambda s: change_voxels(s.mask, _with_value(-1)), "-1"),
        "a label above what float32 tells apart": (
            lambda s: change_voxels(s.mask, lambda a: np.where(a == 1, 2**24 + 1, a.astype(np.int32))),
            str(2**24 + 1),
        ),
        "labels that are not whole": (lambda s: change_voxels(s.mask, _with_value(0.5)), "0.5"),
        "NaN in the mask": (lambda s: change_voxels(s.mask, _with_value(np.nan)), "nan"),
        "a mask resampled with interpolation": (
            lambda s: change_voxels(s.mask, lambda a: (a + np.roll(a, 1, 0)) / 2.0),
            "whole numbers",
        ),
        "a mask scaled by half": (lambda s: change_header(s.mask, 112, "<2f", 0.5, 0.0), "mask.nii.gz"),
        "a mask of a series": (lambda s: change_voxels(s.mask, lambda a: np.stack([a, a], -1)), "dimension"),
    },
    GRIDS: {
        "a mask of another shape": (lambda s: change_voxels(s.mask, lambda a: a[:, :, :-2]), "shape"),
        "a mask with its axes exchanged": (lambda s: change_voxels(s.mask, lambda a: a.transpose(2, 1, 0)), "shape"),
        "a mask shifted by 7 mm": (lambda s: _shift(s.mask, 7.0), "origin"),
        "a mask turned by 10 degrees": (lambda s: _turn(s.mask, 10.0), "direction"),
        "a mirrored mask": (lambda s: _mirrored(s.mask), "mask.nii.gz"),
        "a mask of another spacing": (lambda s: _scale(s.mask, 1.5), "spacing"),
        "channels on two grids": (lambda s: _shift(s.image, 9.0), "origin"),
        "a NaN in the sform": (lambda s: change_header(s.image, 280, "<4f", float("nan"), 0, 0, 0), "t1.nii.gz"),
        "an sform that flattens an axis": (
            lambda s: change_header(s.image, 280, "<12f", 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0),
            "t1.nii.gz",
        ),
    },
}
WARNED: dict[str, dict[str, tuple[Harm, str]]] = {
    VOXELS: {
        "a constant image": (lambda s: change_voxels(s.image, lambda a: np.full_like(a, 7)), CASE),
        "an image of zeros": (lambda s: change_voxels(s.image, np.zeros_like), CASE),
        "a channel that is a copy of another": (_copied_channel, CASE),
        "intensities a thousand times larger": (lambda s: change_voxels(s.image, lambda a: a * 1000.0), CASE),
    },
    LABELS: {
        "a mask without a label": (lambda s: change_voxels(s.mask, np.zeros_like), CASE),
    },
    GRIDS: {
        "qform and sform 20 mm apart": (lambda s: _all_files(s, lambda path: _two_forms(path, 20.0)), "qform"),
        "no form codes": (lambda s: _all_files(s, _no_form_codes), CASE),
        "a header in micrometres called millimetres": (lambda s: _all_files(s, lambda p: _scale(p, 1000.0)), CASE),
        "voxels a thousandth of their size": (lambda s: _all_files(s, lambda p: _scale(p, 1e-3)), CASE),
    },
}
ACCEPTED: dict[str, dict[str, Harm]] = {
    FILES: {
        "notes beside the images": lambda s: (s.case / "notes.txt").write_text("x"),
        "a wrong length of the header, which nobody needs": lambda s: change_header(s.image, 0, "<i", 1234),
        "big-endian voxels": lambda s: _big_endian(s.image),
        "NIfTI of version 2": lambda s: _version_2(s.image),
    },
    VOXELS: {
        "a fourth axis of one": lambda s: change_voxels(s.image, lambda a: a[..., None]),
        "a slope of zero, which stands for none": lambda s: change_header(s.image, 112, "<2f", 0.0, 0.0),
        "voxels as float64": lambda s: change_voxels(s.image, lambda a: a.astype(np.float64)),
    },
    LABELS: {
        "whole labels stored as floating point": lambda s: change_voxels(s.mask, lambda a: a.astype(np.float64)),
        "labels under a slope that is almost one": lambda s: change_header(s.mask, 112, "<2f", 1.0000153, 0.0),
    },
    GRIDS: {
        "a mask in another storage order": lambda s: _reordered(s.mask),
        "rounding noise in the origin": lambda s: _shift(s.mask, 1e-4),
    },
}


def _big_endian(path: Path) -> None:
    image = nib.load(path)
    array, header = np.array(image.dataobj), image.header.as_byteswapped(">")
    path.unlink()
    nib.save(nib.Nifti1Image(array.astype(">i2"), image.affine, header), path)


def _version_2(path: Path) -> None:
    image = nib.load(path)
    array = np.array(image.dataobj)
    path.unlink()
    nib.save(nib.Nifti2Image(array, image.affine), path)


def _autoconfig(harm: Harm) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        harm(site)
        return site.autoconfig()

    return command


def inputs() -> list[BrokenInput]:
    """All of them."""
    found = []
    for kind, rows in LEFT_OUT.items():
        for name, (harm, says) in rows.items():
            found.append(
                BrokenInput(
                    kind=kind,
                    name=name,
                    command=_autoconfig(harm),
                    answer=Answer.CASE_NAMED,
                    says=(CASE, says),
                    left=Site.planned_cases,
                )
            )
    for kind, rows in WARNED.items():
        for name, (harm, says) in rows.items():
            found.append(
                BrokenInput(kind=kind, name=name, command=_autoconfig(harm), answer=Answer.WARNED, says=(CASE, says))
            )
    for kind, accepted in ACCEPTED.items():
        for name, harm in accepted.items():
            found.append(
                BrokenInput(
                    kind=kind,
                    name=name,
                    command=_autoconfig(harm),
                    answer=Answer.ACCEPTED,
                    says=(),
                    left=Site.planned_cases,
                    num_left=6,
                )
            )
    return found
