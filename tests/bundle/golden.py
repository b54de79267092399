"""The golden bundles in bundles/: what is generated for three kinds of data, as text that a review can compare.

They hold configs/ and docs/ only: scripts/ is a copy of mist_bundle/runtime and would change with every line of it.
`python -m tests.bundle.golden` writes them anew; test_golden.py compares.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mist_bundle import pipeline
from mist_bundle.bundle.vendor import link_runtime
from mist_bundle.dataset.phantom import Kind, make_phantom
from mist_bundle.planning.options import PlanOptions

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
TRAINED = BUNDLES / "hippocampus_segmentation"
FOLDERS = ("configs", "docs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """A dataset of phantoms and what is asked for; its bundle bears the phantom's name."""

    kind: Kind
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    options: PlanOptions


GOLDEN = (
    Golden(
        kind="hippocampus",
        shape=(36, 50, 36),
        spacing_mm=(1.0, 1.0, 1.0),
        options=PlanOptions(recipe="quick", network="nnunet-pocket", folds=3),
    ),
    Golden(kind="ct", shape=(64, 64, 40), spacing_mm=(0.9, 0.9, 3.0), options=PlanOptions()),
    Golden(kind="brats", shape=(60, 72, 50), spacing_mm=(1.0, 1.0, 1.0), options=PlanOptions(recipe="brats2024")),
)


def generate(golden: Golden, folder: Path) -> Path:
    """The complete bundle of one of them, made in `folder` beside its data."""
    data = make_phantom(
        folder / "data",
        golden.kind,
        num_cases=6,
        num_test=1,
        shape=golden.shape,
        spacing_mm=golden.spacing_mm,
        mixed_headers=False,
    )
    return pipeline.autoconfig(data, folder, golden.options).bundle


def texts(bundle: Path) -> dict[str, str]:
    """What the golden copy of a bundle holds."""
    files = sorted(path for folder in FOLDERS for path in (bundle / folder).rglob("*") if path.is_file())
    return {path.relative_to(bundle).as_posix(): path.read_text(encoding="utf-8") for path in files}


def main() -> list[str]:
    """Write all golden bundles; returns where."""
    written = []
    for golden in GOLDEN:
        with tempfile.TemporaryDirectory() as folder:
            bundle = generate(golden, Path(folder))
            target = BUNDLES / "golden" / bundle.name
            shutil.rmtree(target, ignore_errors=True)
            for name, content in texts(bundle).items():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_text(content, encoding="utf-8")
        written.append(str(target))
    if TRAINED.is_dir():
        for stray in TRAINED.glob("scripts~*"):  # what a merge of git leaves of a folder that became a link
            stray.unlink()
        link_runtime(TRAINED)
    return written


if __name__ == "__main__":
    sys.stdout.write("\n".join(main()) + "\n")
