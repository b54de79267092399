"""Write predictions as NIfTI files that look like the image they belong to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..numerics.restore import label_dtype
from .volume import FILE_NAME, UNIT_IN_MM, affine_of, as_volume, meta_of, to_ras

# Header fields that place a NIfTI image in the world. "pixdim" also holds the sign of the quaternion.
_GEOMETRY_FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z", "xyzt_units"),
)
_SCANNER_ANATOMICAL = 1


class SaveSegmentationd(MapTransform):
    """Write each volume to ``<output_dir>/<id><suffix>.nii.gz``, complete or not at all.

    The file takes qform, sform, their codes and the units from the header of the reference's file. Integers are written
    in the smallest type that holds them, floating-point maps as float32 with the channels along the fourth axis.

    Args:
        keys: volumes (C, X, Y, Z) on the original grid.
        output_dir: folder to write to; made when it does not exist.
        reference_key: volume whose meta dictionary holds the header, as MONAI's NibabelReader leaves it.
        id_key: entry of the case that gives the file its name; without one, the name of the reference's file.
        suffix: put behind the id.
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        output_dir: str | os.PathLike[str] = "predictions",
        reference_key: str = "image",
        id_key: str = "id",
        suffix: str = "",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)
        self.reference_key = reference_key
        self.id_key = id_key
        self.suffix = suffix

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of one case; what it does not name stays as it is."""
        for key in self.key_iterator(dict(data)):
            volume = data[key]
            array = _file_array(as_volume(volume, key))
            affine = to_ras(affine_of(volume), volume)
            self._write(array, affine, meta_of(data[self.reference_key]), self._path(data))
        return dict(data)

    def _path(self, data: Mapping[Hashable, Any]) -> Path:
        name = data.get(self.id_key)
        if name is None:
            file_name = Path(str(meta_of(data[self.reference_key]).get(FILE_NAME, "prediction"))).name
            name = file_name.removesuffix(".gz").removesuffix(".nii")
        if Path(str(name)).name != str(name) or str(name) in ("", ".", ".."):
            msg = f"The id {name!r} cannot name a file; ids must not contain a path separator."
            raise ValueError(msg)
        return self.output_dir / f"{name}{self.suffix}.nii.gz"

    def _write(self, array: NDArray[Any], affine: NDArray[Any], meta: Mapping[Any, Any], path: Path) -> None:
        import nibabel as nib

        header = nib.Nifti1Header()
        if all(field in meta for field in _GEOMETRY_FIELDS):
            unit = 1 / float(meta.get(UNIT_IN_MM, 1.0))
            affine = np.diag([unit, unit, unit, 1.0]) @ affine  # in the unit of the header
            for field in _GEOMETRY_FIELDS:
                header[field] = np.asarray(meta[field])
            header["pixdim"] = np.asarray(meta.get("original_pixdim", meta.get("pixdim", header["pixdim"])))
        else:
            header.set_xyzt_units("mm")
            header.set_qform(affine, _SCANNER_ANATOMICAL)
            header.set_sform(affine, _SCANNER_ANATOMICAL)
        header.set_data_dtype(array.dtype)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial.nii.gz")
        os.close(handle)
        temporary = Path(name)
        try:
            # Where the affine disagrees with the header, nibabel rewrites the sform: the file is never misplaced.
            nib.save(nib.Nifti1Image(array, affine, header), temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _file_array(array: NDArray[Any]) -> NDArray[Any]:
    """(X, Y, Z), or (X, Y, Z, C) for several channels, in the type that the file shall have."""
    moved = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    if np.issubdtype(moved.dtype, np.floating):
        return moved.astype(np.float32)
    return moved.astype(label_dtype([int(moved.min()), int(moved.max())]))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
