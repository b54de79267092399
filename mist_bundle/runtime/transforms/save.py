"""Write predictions as NIfTI files that look like the image they belong to."""

from __future__ import annotations

import gzip
import os
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import monai
import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..folds.files import write_whole
from ..numerics.restore import label_dtype
from ..predictions.records import Predictions, volume_path
from .volume import FILE_NAME, UNIT_IN_MM, affine_of, as_volume, meta_of, to_ras

# Header fields that place a NIfTI image in the world. "pixdim" also holds the sign of the quaternion.
_GEOMETRY_FIELDS = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
)
_SCANNER_ANATOMICAL = 1
_COMPRESSION = 1  # nibabel's own choice: higher levels take several times as long for little


class SaveImaged(monai.transforms.SaveImaged):
    """Write each volume to ``<output_dir>/<id><suffix>.nii.gz``, complete or not at all.

    The file takes qform, sform, their codes and the units from the header of the reference's file. Integers are written
    in the smallest type that holds them, floating-point maps as float32 with the channels along the fourth axis.

    Name and base class are MONAI's, because MONAI Label and MONAI Deploy, which write files themselves, look for them
    when they leave savers out. Nothing else is inherited: MONAI's own takes neither header nor name from the case.

    Args:
        keys: volumes (C, X, Y, Z) on the original grid.
        output_dir: folder to write to; created when it does not exist.
        reference_key: volume whose meta dictionary holds the header, as MONAI's NibabelReader leaves it.
        id_key: entry of the case that names the file; without it, the name of the reference's file.
        suffix: put behind the id.
        allow_missing_keys: leave out what a case does not have.
        predictions: keeps the records of these label maps; they are its last file of a case. They are then written in
            the background.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        output_dir: str | os.PathLike[str] = "predictions",
        reference_key: str = "image",
        id_key: str = "id",
        suffix: str = "",
        allow_missing_keys: bool = False,
        predictions: Predictions | None = None,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.output_dir = Path(output_dir)
        self.reference_key = reference_key
        self.id_key = id_key
        self.suffix = suffix
        self.predictions = predictions

    def set_options(self, *args: Any, **kwargs: Any) -> None:
        """MONAI's savers hand options to a writer; this saver has none.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("This saver takes its header from the image; there are no options to set.")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        case = case_name(data, self.id_key, data[self.reference_key])
        for key in self.key_iterator(dict(data)):
            volume = data[key]
            image = nifti_image(_file_array(as_volume(volume, key)), volume, meta_of(data[self.reference_key]))
            if self.predictions is None:
                self._write(image, case)
            else:
                self.predictions.writer.put(case, partial(self._write, image, case))
        return dict(data)

    def _write(self, image: Any, case: str) -> None:
        def write(stream: IO[bytes]) -> None:
            with compressed(stream) as packed:
                image.to_stream(packed)

        def ready(path: Path) -> None:
            if self.predictions is not None:
                self.predictions.commit(case, path)

        write_whole(volume_path(self.output_dir, case, self.suffix), write, ready)


def case_name(data: Mapping[Hashable, Any], id_key: str, reference: Any) -> str:
    """The id of a case; without an id, the name of the file of its image."""
    name = data.get(id_key)
    if name is None:
        file_name = Path(str(meta_of(reference).get(FILE_NAME, "prediction"))).name
        name = file_name.removesuffix(".gz").removesuffix(".nii")
    return str(name)


def compressed(stream: IO[bytes]) -> gzip.GzipFile:
    """A gzip file; neither name nor time go into it, so that the same prediction is the same bytes."""
    return gzip.GzipFile("", "wb", _COMPRESSION, stream, mtime=0)


def nifti_header(
    shape: Sequence[int], dtype: np.dtype[Any], affine: NDArray[np.float64], like: Any, meta: Mapping[Any, Any]
) -> Any:
    """The header of `nifti_image` for voxels that are yet to come; its `write_to` writes all that stands before them.

    Args:
        shape: (X, Y, Z) or (X, Y, Z, C).
        dtype: of the voxels.
        affine: that places them.
        like: volume whose world axes the affine has.
        meta: dictionary of the original image.
    """
    empty = np.broadcast_to(np.zeros((), dtype), tuple(shape))  # takes the memory of a single voxel
    image = _image(empty, to_ras(affine, like), meta)
    image.update_header()
    image.header.set_slope_inter(1.0, 0.0)
    return image.header


def nifti_image(array: NDArray[Any], volume: Any, meta: Mapping[Any, Any]) -> Any:
    """A NIfTI image that lies where a volume lies, with the header of the file that the volume comes from.

    Args:
        array: (X, Y, Z) or (X, Y, Z, C), in the type of the file.
        volume: whose affine places it.
        meta: dictionary of the original image, as MONAI's NibabelReader leaves it.
    """
    return _image(array, to_ras(affine_of(volume), volume), meta)


def _image(array: NDArray[Any], affine: NDArray[np.float64], meta: Mapping[Any, Any]) -> Any:
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
    # Where the affine disagrees with the header, nibabel rewrites the sform: the file is never misplaced.
    return nib.Nifti1Image(array, affine, header)


def _file_array(array: NDArray[Any]) -> NDArray[Any]:
    """(X, Y, Z), or (X, Y, Z, C) for several channels, in the type that the file shall have."""
    moved = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    if np.issubdtype(moved.dtype, np.floating):
        return moved.astype(np.float32)
    return moved.astype(label_dtype([int(moved.min()), int(moved.max())]))
