"""Publish the best weights of a fold: into models/, with everything in the bundle that depends on the weights."""

from __future__ import annotations

import errno
import json
import logging
import re
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from .files import UNFINISHED, copy_whole, json_text, read_object, sha256_of, umask
from .finite import file_problem
from .manifest import stored_as_model
from .publication import CARD, Content, PublicationError, publish
from .state import read_status
from .training_record import RECORD, read_record, renewed_record, with_training
from .weights import MODEL, fold_weights, is_copy_of_any, kept_name

logger = logging.getLogger(__name__)

SAFETENSORS = "model.safetensors"
METADATA = "configs/metadata.json"
POSTPROCESSING = "configs/postprocessing.json"
CONFIDENCE = "configs/confidence.json"
RESULTS_START = "<!-- results: begin -->"
RESULTS_END = "<!-- results: end -->"
_FOLD = re.compile(r"fold_(\d+)\.pt")


def publish_fold(fold_dir: Path, target: Path) -> list[str]:
    """Put the best weights of a fold into the bundle, all or nothing.

    `model.pt`, the weights for those who use a single model, become those of the published fold with the best score on
    its own inner validation cases. Where weights change, results in the card and in metadata.json and a post-processing
    that was chosen by predictions of the former weights are taken back: they describe weights that are gone.

    Args:
        fold_dir: the fold's part of the work folder.
        target: BUNDLE/models/fold_K.pt.

    Returns:
        Paths in the bundle that changed; empty where everything was published already.

    Raises:
        PublicationError: there are no weights to publish, they are not those that status.json names, or hold NaN.
        OSError: the disk is full, the folder is read-only …; the bundle is unchanged.
    """
    best, status = best_weights(fold_dir)
    problem = file_problem(best)
    if problem:
        raise PublicationError(
            f"{best} {problem}, so it is not published. The training diverged: train this fold again from the start "
            "with a lower --learning_rate (--overwrite)."
        )
    models, number = target.parent, _number(target)
    if models.name != "models":  # an override puts the weights elsewhere, outside any bundle
        copy_whole(best, target)
        return [str(target)]
    bundle = models.parent
    weights = _published_weights(bundle)
    changed = number not in weights or sha256_of(weights[number]) != sha256_of(best)
    weights[number] = best
    with tempfile.TemporaryDirectory(dir=fold_dir, prefix=".publish.", suffix=UNFINISHED) as scratch:
        files: dict[str, Content] = {f"models/{target.name}": best}
        files |= model_files(models, weights[best_fold(fold_dir.parent, weights)], Path(scratch))
        if changed:
            trained = f"Trained: fold {', '.join(map(str, sorted(weights)))}. Not evaluated yet; "
            trained += "`finalize` puts the results here."
            files |= without_results(bundle, trained, {str(number): sha256_of(best)})
        files |= _with_record(bundle, fold_dir, number, best, status, files.get(CARD))
        return publish(bundle, files)


def _published_weights(bundle: Path) -> dict[int, Path]:
    """Fold -> the file that holds its weights now."""
    weights = {}
    for path in sorted((bundle / "models").glob("fold_*.pt")):
        if _FOLD.fullmatch(path.name):
            weights[_number(path)] = path
    for name in stored_as_model(bundle):
        weights[_number(Path(name))] = bundle / "models" / MODEL
    return weights


def best_weights(fold_dir: Path) -> tuple[Path, dict[str, Any]]:
    """The file of a fold's best weights, and the fold's status.

    Raises:
        PublicationError: there are none, or they are not those that status.json names.
    """
    status = read_status(fold_dir)
    if status is None or not status.get("best"):
        raise PublicationError(f"{fold_dir} holds no weights to publish: its training has not been validated yet.")
    best = fold_dir / str(status["best"]["file"])
    if not best.is_file() or sha256_of(best) != status["best"]["sha256"]:
        raise PublicationError(f"{best} is not the file that status.json beside it names. Train this fold again.")
    return best, status


def best_fold(work_dir: Path, weights: Mapping[int, Path]) -> int:
    """The fold with the best score on its own inner validation cases: the test folds choose nothing.

    Weights whose score is not known come last; of equal scores the first fold wins.

    Args:
        work_dir: where each fold left its status.
        weights: fold -> file.
    """
    return max(sorted(weights), key=lambda fold: _score(work_dir / f"fold_{fold}", weights[fold]))


def model_files(models: Path, chosen: Path, scratch: Path, own: str = "") -> dict[str, Content]:
    """What has to be published so that model.pt is `chosen`, and its safetensors copy with it; nothing where it is.

    A model.pt that no fold has was trained later than the folds, by federated rounds or another program, and the bundle
    may hold its only copy. It is kept under a name of its own; see `kept_name`.

    Args:
        models: the bundle's folder of weights.
        chosen: the new weights.
        scratch: folder for the safetensors copy.
        own: hash of the weights that the caller itself wrote to model.pt, which are not kept.
    """
    target, copy = models / MODEL, models / SAFETENSORS
    is_new = target.is_file() and sha256_of(target) != sha256_of(chosen)
    if target.is_file() and copy.is_file() and not is_new:
        return {}
    files: dict[str, Content] = {}
    if is_new:
        stale = [path.name for path in models.glob("model.*") if path.name not in (MODEL, SAFETENSORS)]
        if stale:
            logger.warning(
                "models/%s: exported from other weights than model.pt is now; export again.", ", ".join(stale)
            )
        files |= _kept_model(models, own)
    return {
        **files,
        f"models/{MODEL}": chosen,
        f"models/{SAFETENSORS}": write_safetensors(chosen, scratch / SAFETENSORS),
    }


def _kept_model(models: Path, own: str) -> dict[str, Content]:
    """A copy of a model.pt that is neither a fold nor the caller's own."""
    model = models / MODEL
    digest = sha256_of(model)
    if digest == own or is_copy_of_any(model, fold_weights(str(models))):
        return {}
    name = kept_name(digest)
    logger.warning("models/%s has weights that no fold has; they are kept as models/%s.", MODEL, name)
    return {f"models/{name}": model}


class _Weights:
    """What safetensors asks for: something with a state dict. It stores tensors that share memory once."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self.weights = dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """The weights, by name."""
        return self.weights


def write_safetensors(weights: Path, target: Path) -> Path | None:
    """Write the weights of a `.pt` file (a plain state dict) as safetensors; None where the package is not installed.

    `safetensors.torch.load_model` reads them back: names that share a tensor are listed in the file's metadata.
    """
    if find_spec("safetensors") is None:
        return None  # better no file than a file of other weights
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_model

    tensors = torch.load(weights, map_location="cpu", weights_only=True)
    try:
        save_model(cast("torch.nn.Module", _Weights(tensors)), str(target))
    except SafetensorError as error:  # what a full disk raises
        raise OSError(errno.EIO, str(error), str(target)) from error
    _sort_metadata(target)
    target.chmod(0o666 & ~umask())
    return target


def _sort_metadata(file: Path) -> None:
    """Sort the metadata of a safetensors file: the package writes them in another order each time.

    The file begins with the length of its header (8 bytes, little endian) and the header, which is JSON.
    """
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def with_results(card: str, text: str) -> str:
    """A model card with another section of results; as it is where it has none."""
    before, start, rest = card.partition(RESULTS_START)
    _, end, after = rest.partition(RESULTS_END)
    return f"{before}{start}\n{text}\n{end}{after}" if start and end else card


def without_results(bundle: Path, text: str, changed: Mapping[str, str] | None = None) -> dict[str, Content]:
    """Card and metadata without results, and no post-processing and calibration that other weights decided.

    Args:
        bundle: its folder.
        text: what the card says in place of the results.
        changed: fold -> new hash, of the folds with other weights; None where model.pt is none of the folds, so that
            nothing that the folds decided holds for it.
    """
    files: dict[str, Content] = {}
    card = bundle / CARD
    if card.is_file():
        files[CARD] = with_results(card.read_text(encoding="utf-8"), text).encode("utf-8")
    metadata = read_object(bundle / METADATA)
    if metadata.get("eval_metrics"):
        files[METADATA] = json_text({**metadata, "eval_metrics": {}}).encode("utf-8")
    chosen = read_object(bundle / POSTPROCESSING)
    if chosen.get("strategy") and _is_of_others(chosen, changed):
        because = "what had been chosen was for other weights; choose_postprocessing chooses for these"
        files[POSTPROCESSING] = json_text({"strategy": [], "because": because}).encode("utf-8")
        logger.warning("The post-processing was chosen for other weights and is taken back: choose it again.")
    known = read_object(bundle / CONFIDENCE)
    if known.get("temperature") is not None and _is_of_others(known, changed):
        because = "what was known was about other weights; calibrate measures these"
        files[CONFIDENCE] = json_text({"temperature": None, "because": because}).encode("utf-8")
        logger.warning("The calibration was measured with other weights and is taken back: calibrate again.")
    return files


def _is_of_others(derived: Mapping[str, Any], changed: Mapping[str, str] | None) -> bool:
    """Whether other weights than those of now decided what a file holds."""
    sources = derived.get("derived_from") or {}
    if changed is None:
        return True
    return any(sources.get(fold, digest) != digest for fold, digest in changed.items())


def _with_record(
    bundle: Path, fold_dir: Path, fold: int, best: Path, status: Mapping[str, Any], card: Content
) -> dict[str, Content]:
    """The record of the trainings with this fold, and the card with it."""
    record = renewed_record(bundle, fold, best, status, read_record(fold_dir))
    if not record["folds"] and not (bundle / RECORD).is_file():
        return {}
    files: dict[str, Content] = {RECORD: json_text(record).encode("utf-8")}
    if isinstance(card, bytes) or (bundle / CARD).is_file():
        text = card.decode("utf-8") if isinstance(card, bytes) else (bundle / CARD).read_text(encoding="utf-8")
        files[CARD] = with_training(text, record).encode("utf-8")
    return files


def _score(fold_dir: Path, weights: Path) -> float:
    status = read_status(fold_dir) or {}
    score = status.get("best_score")
    if score is None or (status.get("best") or {}).get("sha256") != sha256_of(weights):
        return float("-inf")
    return float(score)


def _number(path: Path) -> int:
    match = _FOLD.fullmatch(path.name)
    if match is None:
        raise PublicationError(f"{path}: expected a name like fold_0.pt.")
    return int(match[1])
