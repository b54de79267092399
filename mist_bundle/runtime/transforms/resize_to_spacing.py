"""Bring a case to the spacing of a model by nnU-Net's rules of resampling."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.grid import Affine, Shape
from ..numerics.resize import (
    ORDERS,
    resize_image,
    resize_label,
    slice_axis,
    stretched_affine,
    stretched_shape,
)
from .resample import ResampleToSpacingd
from .volume import NEAREST_AXIS


class ResizeToSpacingd(ResampleToSpacingd):
    """Resample image and label to a spacing as nnU-Net does; see `runtime/numerics/resize.py`.

    ``meta["nearest_axis"]`` says along which axis scores are carried back by the nearest voxel, -1 for none.

    Args:
        target_spacing: three numbers in millimetres, for the axes as they are now.
        num_classes: classes in the label, background included; needed where there is a label.
        image_key: (C, X, Y, Z) normalised intensities.
        label_key: (1, X, Y, Z) class indices; None where "label" is only a path that something later reads.
        image_orders: order of the interpolation of images (0, 1 or 3), and that across slices that are far apart.
        label_orders: the same for labels.
        score_order_across: the same for scores across slices, 0 or 1; else scores are interpolated linearly.
        separate: True to treat slices along the coarsest axis singly in any case, False never; None by the spacing.
    """

    def __init__(
        self,
        target_spacing: Sequence[float],
        num_classes: int | None = None,
        image_key: str = "image",
        label_key: str | None = "label",
        image_orders: Sequence[int] = (3, 0),
        label_orders: Sequence[int] = (1, 0),
        score_order_across: int = 0,
        separate: bool | None = None,
    ) -> None:
        super().__init__(target_spacing, num_classes, image_key, label_key)
        for orders in (image_orders, label_orders):
            if len(orders) != 2 or not set(orders) <= set(ORDERS):
                msg = f"The orders must be two of 0, 1 and 3, but got {list(orders)}."
                raise ValueError(msg)
        self.keys = tuple(key for key in (image_key, label_key) if key is not None)
        self.image_orders = tuple(image_orders)
        self.label_orders = tuple(label_orders)
        self.score_order_across = score_order_across
        self.separate = separate

    def _new_shape(self, shape: Shape, spacing: Sequence[float]) -> Shape:
        return stretched_shape(shape, spacing, self.target_spacing)

    def _new_affine(self, affine: Affine, shape: Shape, new_shape: Shape) -> Affine:
        return stretched_affine(affine, shape, new_shape)

    def _notes(self, spacing: Sequence[float]) -> dict[str, Any]:
        across = slice_axis(self.target_spacing, spacing, separate=self.separate)
        return {NEAREST_AXIS: -1 if across is None or self.score_order_across else across}

    def _resample(self, key: Hashable, array: NDArray[Any], spacing: Sequence[float]) -> NDArray[Any]:
        across = slice_axis(spacing, self.target_spacing, separate=self.separate)
        x, y, z = array.shape[1:]
        shape = self._new_shape((x, y, z), spacing)
        if key == self.image_key:
            order, order_across = self.image_orders
            return resize_image(array, shape, order=order, across=across, order_across=order_across)
        if np.issubdtype(array.dtype, np.floating):
            array = array.astype(np.int16)
        order, order_across = self.label_orders
        classes = int(array.max()) + 1 if self.num_classes is None else self.num_classes
        return resize_label(array[0], shape, classes, order=order, across=across, order_across=order_across)[None]
