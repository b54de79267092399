"""Histograms and moments of intensities that can be summed over cases without reading the voxels again.

Bin edges are multiples of a power of two, so a finer histogram folds exactly into a coarser histogram and any two can
be added without loss. Whole-number intensities (CT) get a bin each and exact percentiles.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_INEXACT_BINS = 4096
_MIN_STEP = 2.0**-100  # far above what float32 can divide by, far below any intensity


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Number of values, their mean, and the sum of squared differences from it."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @classmethod
    def of(cls, values: NDArray[Any]) -> Moments:
        """Measure an array, computing in float64."""
        if values.size == 0:
            return cls()
        mean = float(values.mean(dtype=np.float64))
        variance = float(values.var(dtype=np.float64))
        return cls(count=int(values.size), mean=mean, m2=variance * values.size)

    @property
    def std(self) -> float:
        """Standard deviation (divided by the count, as MIST does); 0 without values."""
        return math.sqrt(self.m2 / self.count) if self.count else 0.0

    def __add__(self, other: Moments) -> Moments:
        # Chan et al., "Updating formulae and a pairwise algorithm for computing sample variances" (1979)
        count = self.count + other.count
        if count == 0:
            return self
        difference = other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + difference * other.count / count,
            m2=self.m2 + other.m2 + difference**2 * self.count * other.count / count,
        )

    def to_json(self) -> dict[str, float]:
        """Plain JSON."""
        return {"count": self.count, "mean": self.mean, "m2": self.m2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Counts of values in bins [(first + i) * step, (first + i + 1) * step).

    Attributes:
        step: bin width, a power of two.
        first: number of the lowest bin.
        counts: values in each bin; the first and the last are not 0.
        exact: whether every value is the lower edge of its bin, so that percentiles are exact.
    """

    step: float = 1.0
    first: int = 0
    counts: tuple[int, ...] = ()
    exact: bool = True

    @classmethod
    def of(cls, values: NDArray[Any], max_bins: int = 1024) -> Histogram:
        """Count an array of finite values of any shape.

        Whole numbers get a bin each if `max_bins` suffice; other values share at most min(max_bins, 4096) + 1 bins.
        """
        if values.size == 0:
            return cls()
        low, high = float(values.min()), float(values.max())
        whole = low.is_integer() and high.is_integer() and bool((values == np.floor(values)).all())
        if whole and high - low < max_bins:
            step = 1.0
        elif high > low:
            step = 2.0 ** math.ceil(math.log2((high - low) / min(max_bins, _MAX_INEXACT_BINS)))
        else:
            step = 2.0 ** (math.frexp(low)[1] - 20)  # a constant, kept to a millionth of itself
        step = max(step, _MIN_STEP)
        bins = np.floor(values / step).astype(np.int64).ravel()  # exact: the step is a power of two
        first = int(bins.min())
        counts = np.bincount(bins - first)
        return cls(step=step, first=first, counts=tuple(counts.tolist()), exact=whole and step == 1.0)

    @property
    def total(self) -> int:
        """Number of values."""
        return sum(self.counts)

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram.sum((self, other))

    @classmethod
    def sum(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Add histograms; those with finer bins are folded into the coarsest."""
        used = []
        step = 0.0
        for histogram in histograms:
            if histogram.counts:
                used.append(histogram)
                step = max(step, histogram.step)
        if not used:
            return cls()
        folded = []
        firsts = []
        stops = []
        exact = True
        for histogram in used:
            start, counts = histogram._folded(step)
            folded.append((start, counts))
            firsts.append(start)
            stops.append(start + len(counts))
            exact = exact and histogram.exact and histogram.step == step
        first = min(firsts)
        total = np.zeros(max(stops) - first, dtype=np.int64)
        for start, counts in folded:
            total[start - first : start - first + len(counts)] += counts
        return cls(step=step, first=first, counts=tuple(total.tolist()), exact=exact)

    def _folded(self, step: float) -> tuple[int, NDArray[np.int64]]:
        # beyond 64 bits all bins fall into the two around 0, as with the largest ratio used here
        ratio = min(round(step / self.step), 1 << 62)
        bins = (self.first + np.arange(len(self.counts))) // ratio
        folded = np.bincount(bins - bins[0], weights=self.counts)
        return int(bins[0]), np.rint(folded).astype(np.int64)

    def percentile(self, percent: float) -> float:
        """Percentile with linear interpolation between ranks, as numpy computes it.

        Exact for exact histograms. Otherwise values are spread evenly over their bin, and the error is below its width.

        Raises:
            ValueError: there are no values.
        """
        if not self.counts:
            msg = "An empty histogram has no percentiles."
            raise ValueError(msg)
        rank = percent / 100 * (self.total - 1)
        below = self._value(math.floor(rank))
        above = self._value(math.ceil(rank))
        return below + (above - below) * (rank - math.floor(rank))

    def _value(self, rank: int) -> float:
        cumulative = np.cumsum(self.counts)
        index = int(np.searchsorted(cumulative, rank, side="right"))
        within = 0.0
        if not self.exact:
            before = int(cumulative[index]) - self.counts[index]
            within = (rank - before + 0.5) / self.counts[index]
        return (self.first + index + within) * self.step

    def clipped_moments(self, low: float, high: float) -> Moments:
        """Moments of the values after clipping to [low, high]; a bin counts as its centre, or its value if exact."""
        counts = np.asarray(self.counts, dtype=np.float64)
        if counts.size == 0:
            return Moments()
        centres = (self.first + np.arange(counts.size) + (0.0 if self.exact else 0.5)) * self.step
        clipped = np.clip(centres, low, high)
        mean = float((clipped * counts).sum() / counts.sum())
        return Moments(count=self.total, mean=mean, m2=float(((clipped - mean) ** 2 * counts).sum()))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON. The counts are a single text, with runs of zeros as "0*length", which keeps files small."""
        words: list[str] = []
        for is_zero, run in itertools.groupby(self.counts, key=lambda count: count == 0):
            numbers = list(run)
            if is_zero:
                words.append(f"0*{len(numbers)}")
            else:
                words += map(str, numbers)
        return {"step": self.step, "first": self.first, "exact": self.exact, "counts": " ".join(words)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Histogram:
        """The inverse of `to_json`."""
        counts: list[int] = []
        for word in content["counts"].split():
            number, _, length = word.partition("*")
            counts += [int(number)] * int(length or 1)
        return cls(step=content["step"], first=content["first"], counts=tuple(counts), exact=content["exact"])


def add_moments(moments: Iterable[Moments]) -> Moments:
    """Moments of all values together."""
    return functools.reduce(Moments.__add__, moments, Moments())
