"""Write a trained bundle's network in the formats that other programs load, each compared with the original.

Every format is written by a process of its own (export_worker.py): a network that a converter cannot take leaves the
other formats alone, and the bundle's `scripts` never meet another bundle's. A file appears only when its outputs agree
with the network's own on two seeded inputs.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.publish import finish_publication, publish_files
from mist_bundle.bundle.worker import run_worker
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import MODEL_PT, check_can_write, read_json, write_json
from mist_bundle.runtime.folds.files import copy_whole, json_text
from mist_bundle.runtime.folds.publication import Content
from mist_bundle.runtime.wording import did_you_mean
from mist_bundle.trust.intact import pass_audit

REPORT_JSON = "export.json"
REPORT_IN_BUNDLE = f"docs/{REPORT_JSON}"
WORKER = "mist_bundle.sharing.export_worker"
# Differences allowed between an exported network and the original, times max(1, largest logit): the kernels of another
# runtime add in another order. Observed: below 1e-5.
TOLERANCE = 1e-4
OWN_WEIGHTS = frozenset({"state_dict", "safetensors"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A format that can be exported: the file it writes, and the packages it needs beyond those of a bundle."""

    file: str
    about: str
    needs: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    "torchscript": Format(file="model.ts", about="TorchScript with metadata.json and inference.json inside."),
    "torch_export": Format(file="model.pt2", about="torch.export's program."),
    "onnx": Format(file="model.onnx", about="ONNX in a single file.", needs=("onnx", "onnxscript", "onnxruntime")),
    "state_dict": Format(file="model.pt", about="PyTorch weights, loaded with weights_only=True."),
    "safetensors": Format(file="model.safetensors", about="Weights without pickle.", needs=("safetensors",)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """The outcome of exporting to a format.

    Attributes:
        format: name of the row.
        file: name of the file, empty when it failed.
        method: how it was converted: "script" or "trace" and so on.
        batch: "any", or the only batch size that the file takes.
        size_bytes: of the file.
        sha256: of the file.
        max_abs_difference: for each input, the largest difference from the original network's logits.
        largest_logit: of the original network over all inputs, for scale.
        problem: why it failed, empty when it did not.
    """

    format: str
    file: str = ""
    method: str = ""
    batch: str = ""
    size_bytes: int = 0
    sha256: str = ""
    max_abs_difference: list[float] = field(default_factory=list)
    largest_logit: float = 0.0
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """All requested formats, and where the files and the report are."""

    folder: Path
    report: Path
    formats: tuple[Exported, ...]

    def problems(self) -> list[Problem]:
        """A problem for each format that failed."""
        problems = []
        for result in self.formats:
            if result.problem:
                problems.append(Problem(result.format, result.problem))
        return problems


def export_bundle(
    bundle: Path, formats: Sequence[str], output: Path | None = None, *, trust: bool = False, overwrite: bool = False
) -> ExportReport:
    """Export models/model.pt of a bundle.

    Args:
        bundle: a trained bundle.
        formats: rows of FORMATS, or "all".
        output: folder for the files; the bundle's models/ when None, whose manifest is then renewed.
        trust: the user vouches for a bundle that does not pass the audit; its network is built from its configuration.
        overwrite: replace existing files.

    Returns:
        What became of each format; formats that failed carry the reason, their files are not there.

    Raises:
        InputError: unknown format, no weights, or a file exists already.
    """
    names = list(FORMATS) if "all" in formats else list(dict.fromkeys(formats))
    folder = (output or bundle / "models").absolute()
    inside = folder == (bundle / "models").absolute()
    finish_publication(bundle)
    _check(bundle, names, folder, overwrite=overwrite)
    pass_audit(bundle, trust=trust)
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        done = [_export(bundle, name, Path(scratch)) for name in names]
        files = {}
        for result in done:
            if _is_new(result, inside=inside):
                files[result.file] = Path(scratch) / result.file
        content = {"weights": MODEL_PT, "tolerance": TOLERANCE, "formats": list(map(asdict, done))}
        if inside:
            report = bundle / REPORT_IN_BUNDLE
            _publish(bundle, files, content)
        else:
            report = folder / REPORT_JSON
            for name, written in files.items():
                copy_whole(written, folder / name)
            write_json(report, content)
    return ExportReport(folder=folder, report=report, formats=tuple(done))


def _is_new(result: Exported, *, inside: bool) -> bool:
    """Whether a file is to be written: the network of model.pt is not exported over model.pt."""
    return bool(result.file) and not (inside and result.file == Path(MODEL_PT).name)


def _publish(bundle: Path, exported: Mapping[str, Path], report: Mapping[str, Any]) -> None:
    files: dict[str, Content] = {REPORT_IN_BUNDLE: json_text(report).encode("utf-8")}
    for name, written in exported.items():
        files[f"models/{name}"] = written
    publish_files(bundle, files, renew=True)


def _check(bundle: Path, names: Sequence[str], folder: Path, *, overwrite: bool) -> None:
    menu = [*FORMATS, "all"]
    problems = []
    for name in names:
        if name not in FORMATS:
            message = f"there is no format called {name!r}. {did_you_mean(name, menu)}"
            problems.append(Problem("--format", message))
    weights = (bundle / MODEL_PT).absolute()
    if not weights.is_file():
        problems.append(Problem(str(weights), "is not there. Train the bundle first."))
    for name in names:
        target = folder / FORMATS[name].file if name in FORMATS else weights
        own = target.parent == weights.parent and name in OWN_WEIGHTS  # written from model.pt, and renewed with it
        if target.exists() and not own and not overwrite:
            problems.append(Problem(str(target), "exists already. Choose another --output or pass --overwrite."))
    with Collecting(problems):
        check_can_write(folder)
    if problems:
        raise InputError(problems)
    Bundle(bundle).config_path("inference")


def _export(bundle: Path, name: str, scratch: Path) -> Exported:
    """Write a format into a scratch folder; a file that disagrees with the network is a problem and is dropped."""
    missing = [package for package in FORMATS[name].needs if importlib.util.find_spec(package) is None]
    if missing:
        needed = f"needs packages that are not installed. Run: pip install {' '.join(missing)}"
        return Exported(format=name, problem=needed)
    written, result = scratch / FORMATS[name].file, scratch / f"{name}.json"
    request = {
        "bundle": str(bundle.absolute()),
        "config": str(Bundle(bundle).config_path("inference")),
        "format": name,
        "target": str(written),
        "result": str(result),
    }
    reason = run_worker(WORKER, request)
    if reason or not result.is_file():
        return Exported(format=name, problem=reason or "its process ended without a result.")
    outcome = Exported(format=name, file=written.name, **read_json(result))
    limit = TOLERANCE * max(1.0, outcome.largest_logit)
    worst = max(outcome.max_abs_difference)
    if not worst <= limit:
        return Exported(
            format=name,
            max_abs_difference=outcome.max_abs_difference,
            largest_logit=outcome.largest_logit,
            problem=f"gives different numbers: the logits differ by up to {worst:.3g}, at most {limit:.3g} is allowed.",
        )
    return outcome


def report_table(report: ExportReport) -> str:
    """The report for people: a line a format."""
    lines = [f"{'format':<13} {'file':<18} {'MB':>7}  {'method':<14} {'batch':<5} largest difference of the logits"]
    for result in report.formats:
        if result.problem:
            lines.append(f"{result.format:<13} FAILED: {result.problem}")
            continue
        differences = ", ".join(map("{:.2e}".format, result.max_abs_difference))
        size = f"{result.size_bytes / 1e6:.2f}"
        lines.append(
            f"{result.format:<13} {result.file:<18} {size:>7}  {result.method:<14} {result.batch:<5} "
            f"{differences} (largest logit {result.largest_logit:.1f})"
        )
    return "\n".join(lines)
