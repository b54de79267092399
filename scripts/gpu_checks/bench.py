"""What the parts of the check share: the device, the sizes, the time that is left, and the rows that they report."""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

Figures = Mapping[str, float | str]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is.

    Attributes:
        patch: X, Y, Z of the patches.
        batch: patches in a pass.
        volume: X, Y, Z of the phantoms.
        warm_up: passes or steps before the clock starts.
        passes: that are timed, of each variant of a network.
        steps: of the real training.
        loader_seconds: in which the patches of a loader are counted.
        backend: of torch.compile.
    """

    patch: tuple[int, int, int]
    batch: int
    volume: tuple[int, int, int]
    warm_up: int
    passes: int
    steps: int
    loader_seconds: float
    backend: str


FULL = Scale(
    patch=(128, 128, 128), batch=2, volume=(160, 160, 160), warm_up=5, passes=10, steps=50, loader_seconds=6.0,
    backend="inductor",
)  # fmt: skip
# on a CPU: whether everything runs, not how fast; to compile for a CPU takes minutes
TINY = Scale(
    patch=(16, 16, 16), batch=2, volume=(24, 24, 24), warm_up=1, passes=1, steps=3, loader_seconds=0.2, backend="eager"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        part: the part of the check.
        name: what was measured.
        figures: column -> value.
        problem: why it failed; "" if it did not.
        skipped: why it was not tried; "" if it was.
    """

    part: str
    name: str
    figures: Figures
    problem: str = ""
    skipped: str = ""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where a part runs, and where it reports.

    Attributes:
        part: its name.
        device: "cuda" or "cpu".
        scale: sizes.
        folder: for its files.
        rows: file that its rows are appended to, as lines of JSON.
        end: when it has to be done, by `time.monotonic`.
    """

    part: str
    device: torch.device
    scale: Scale
    folder: Path
    rows: Path
    end: float

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    def attempt(self, name: str, measure: Callable[[], Figures], needs: float = 0.0) -> None:
        """Report what `measure` returns, or why it failed; nothing is tried with less than `needs` seconds left."""
        if self.end - time.monotonic() < needs:
            self.skip(name, "the time of this part was used up")
            return
        try:
            self._write(Row(part=self.part, name=name, figures=measure()))
        except Exception as error:  # noqa: BLE001  a variant that fails is named, and the others continue
            self._write(Row(part=self.part, name=name, figures={}, problem=first_line(error)))
        gc.collect()  # a failed variant's tensors are held by its traceback
        if self.on_gpu:
            torch.cuda.empty_cache()

    def skip(self, name: str, reason: str) -> None:
        """Report what is left out, and why."""
        self._write(Row(part=self.part, name=name, figures={}, skipped=reason))

    def _write(self, row: Row) -> None:
        with self.rows.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(row)) + "\n")

    def synchronize(self) -> None:
        """Wait until the device has done everything."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def reset_peak(self) -> None:
        """Forget the peak of the device's memory."""
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_gb(self) -> float:
        """Gigabytes (10^9 bytes) of the device's tensors at their peak; on a CPU the peak of this process."""
        if self.on_gpu:
            return round(torch.cuda.max_memory_allocated(self.device) / 1e9, 3)
        unit = 1 if sys.platform == "darwin" else 1024
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 3)


def first_line(error: BaseException) -> str:
    """An error as a short sentence."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]
