"""The cases of a bundle's configs/datalist.json, as items with absolute paths.

The file lists every training case with its fold (the fold whose model never sees it) and with the folds in which it is
inner validation; paths are relative to the data folder, so that the list is valid on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..wording import did_you_mean
from .folder_cases import cases_of_folder

_CHOICES: dict[str, Callable[[Mapping[str, Any], int], bool]] = {
    "training": lambda case, fold: case["fold"] != fold and fold not in case.get("validates", ()),
    "validation": lambda case, fold: fold in case.get("validates", ()),
    "test": lambda case, fold: case["fold"] == fold,
}
SPLITS = (*_CHOICES, "all", "testing")


def load_items(
    datalist_path: str | Path,
    dataset_dir: str | Path,
    split: str,
    fold: int | None = None,
    channel_names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The items of a split.

    Args:
        datalist_path: the JSON file.
        dataset_dir: the folder that its paths are relative to.
        split: "training" (neither in the fold nor its inner validation), "validation" (inner validation of the fold),
            "test" (the fold itself: out-of-fold cases), "all" (every labelled case), "testing" (cases without label).
        fold: needed for the first three.
        channel_names: channels of the model. With them "testing" lists the cases of another folder: where
            `dataset_dir` holds neither the test cases nor the training cases of the list, its own cases are taken.

    Returns:
        {"id": str, "image": [absolute paths], "label": absolute path} each, in the list's order; a case without a
        reference has no "label", and one in which some labels were not annotated names them as "unlabelled": "2,3".
        An image that holds all channels is named once for each of them.
        Whether the files exist is seen when they are read.

    Raises:
        ValueError: the split is unknown, or the list has no such fold.
    """
    if split not in SPLITS:
        message = f"split {split!r} is unknown. {did_you_mean(str(split), SPLITS)}"
        raise ValueError(message)
    content: dict[str, Any] = json.loads(Path(datalist_path).read_text(encoding="utf-8"))
    root = Path(dataset_dir).absolute()
    if split == "testing":
        return _cases_to_predict(content, root, channel_names)
    cases = content["training"]
    if split in _CHOICES:
        folds = sorted({case["fold"] for case in cases})
        if fold is None or fold not in folds:
            message = f"{datalist_path} has the folds {folds}; there is no fold {fold!r}."
            raise ValueError(message)
        is_chosen = _CHOICES[split]
        cases = [case for case in cases if is_chosen(case, fold)]
    return [_item(case, root) for case in cases]


def _cases_to_predict(content: Mapping[str, Any], root: Path, channel_names: Sequence[str]) -> list[dict[str, Any]]:
    listed = [_item(case, root) for case in content.get("testing", [])]
    if not channel_names or not root.is_dir() or _any_exists(listed):
        return listed
    if _any_exists([_item(case, root) for case in content.get("training", [])]):
        return listed  # the bundle's own data, whose training cases are not to be predicted
    return cases_of_folder(root, channel_names) or listed


def _any_exists(items: Sequence[Mapping[str, Any]]) -> bool:
    return any(Path(item["image"][0]).exists() for item in items)


def _item(case: Mapping[str, Any], root: Path) -> dict[str, Any]:
    images = [case["image"]] if isinstance(case["image"], str) else case["image"]
    item: dict[str, Any] = {"id": str(case["id"]), "image": [str(root / image) for image in images]}
    if case.get("label"):
        item["label"] = str(root / case["label"])
    if case.get("missing"):
        item["missing"] = ",".join(case["missing"])
    if case.get("unlabelled"):
        # as text, which no batching takes apart
        item["unlabelled"] = ",".join(map(str, case["unlabelled"]))
    return item
