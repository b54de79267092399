"""Data of other layouts that are converted, and data sets that are merged, when something is wrong with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reliability.inputs.judge import Answer, BrokenInput
from tests.reliability.inputs.site import CASE, Site

CONVERTED = "data of other layouts"

Harm = Callable[[Site], Any]


def _table(site: Site) -> list[str]:
    """A table of the cases of the site, line by line."""
    lines = ["id,mask,t1,t2"]
    for case in sorted((site.data / "train").iterdir()):
        lines.append(f"{case.name},{case}/mask.nii.gz,{case}/t1.nii.gz,{case}/t2.nii.gz")
    return lines


def _csv(change: Callable[[list[str]], list[str]], *more: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        table = site.write("cases.csv", "\n".join(change(_table(site))) + "\n")
        return ["convert_csv", str(table), str(site.folder / "converted"), "--modality", "mr", *more]

    return command


def _nnunet(harm: Harm) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        source = site.folder / "Dataset001_Made"
        for name in ("imagesTr", "labelsTr"):
            (source / name).mkdir(parents=True)
        for case in sorted((site.data / "train").iterdir()):
            shutil.copy(case / "mask.nii.gz", source / "labelsTr" / f"{case.name}.nii.gz")
            for number in (0, 1):
                shutil.copy(case / f"t{number + 1}.nii.gz", source / "imagesTr" / f"{case.name}_{number:04d}.nii.gz")
        content = {
            "channel_names": {"0": "T1", "1": "T2"},
            "labels": {"background": 0, "a": 1, "b": 2, "c": 3},
            "numTraining": 6,
            "file_ending": ".nii.gz",
        }
        (source / "dataset.json").write_text(json.dumps(content))
        harm(site)
        return ["convert_nnunet", str(source), str(site.folder / "converted")]

    return command


def _change_json(**changes: Any) -> Harm:
    def harm(site: Site) -> None:
        path = site.folder / "Dataset001_Made" / "dataset.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return harm


def _splits(*folds: tuple[list[str], list[str]]) -> Harm:
    content = [{"train": train, "val": val} for train, val in folds]
    return lambda site: site.write("Dataset001_Made/splits_final.json", json.dumps(content))


def _merge(*more: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        shutil.copytree(site.data, site.folder / "other")
        second = site.folder / "other" / "dataset.json"
        words = ["merge_datasets", str(site.description), str(second)]
        return [*words, *(word.format(folder=site.folder, data=site.data) for word in more)]

    return command


def _with_cell(column: int, cell: str) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        changed = []
        for line in lines:
            cells = line.split(",")
            if cells[0] == CASE:
                cells[column] = cell
            changed.append(",".join(cells))
        return changed

    return change


def _keep(lines: list[str]) -> list[str]:
    return lines


REFUSED: dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]] = {
    "an optional column that is none": (_csv(_keep, "--optional", "flair"), ("--optional", "flair")),
    "a quotation mark that is never closed": (_csv(_with_cell(2, '"t1.nii.gz')), ("cases.csv", "quotation mark")),
    "a table without rows": (_csv(lambda lines: lines[:1]), ("cases.csv", "no row")),
    "a channel called $x": (_csv(lambda lines: ["id,mask,$x,t2", *lines[1:]]), ("cases.csv", "$x")),
    "two names of a label": (_nnunet(_change_json(labels={"background": 0, "a": 1, "b": 1})), ("labels", "a, b")),
    "channels without number 1": (_nnunet(_change_json(channel_names={"0": "T1", "2": "T2"})), ("channel_names", "2")),
    "a data set that is merged into its own cases": (
        _merge("--output", "{data}/train/both", "--names", "a,b"),
        ("--output", "within the folder of the cases"),
    ),
    "names that are paths": (_merge("--output", "{folder}/both", "--names", "../a,b"), ("--names", "../a")),
    "the same data set twice": (
        lambda site: ["merge_datasets", *[str(site.description)] * 2, "--output", str(site.folder / "both")],
        ("dataset.json", "twice"),
    ),
}
CASE_NAMED: dict[str, tuple[Callable[[Site], list[str]], str]] = {
    "an image that is not there": (_csv(_with_cell(2, "nowhere.nii.gz")), "nowhere.nii.gz"),
    "an id that is a path": (_csv(_with_cell(0, "../mr2_004")), "../mr2_004"),
    "a case that lacks a channel": (
        _nnunet(lambda site: _raw_image(site).unlink()),
        "has the channel",
    ),
}
WARNED: dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]] = {
    "a case that no split knows": (_nnunet(_splits(([], ["nobody"]))), ("splits_final.json", "nobody")),
    "ids that differ in case alone": (_csv(_with_cell(0, "MR2_003")), ("MR2_003", "upper and lower case")),
    "a split that holds out one case": (_nnunet(_splits(([], [CASE]))), ("splits_final.json", "never holds out")),
    "another number of cases than is said": (_nnunet(_change_json(numTraining=9)), ("numTraining", "9")),
}


def _raw_image(site: Site) -> Path:
    return site.folder / "Dataset001_Made" / "imagesTr" / f"{CASE}_0001.nii.gz"


def inputs() -> list[BrokenInput]:
    """All inputs of this module."""
    found = []
    for name, (command, words) in REFUSED.items():
        found.append(BrokenInput(kind=CONVERTED, name=name, command=command, answer=Answer.REFUSED, says=words))
    for name, (command, word) in CASE_NAMED.items():
        found.append(BrokenInput(kind=CONVERTED, name=name, command=command, answer=Answer.CASE_NAMED, says=(word,)))
    for name, (command, words) in WARNED.items():
        found.append(BrokenInput(kind=CONVERTED, name=name, command=command, answer=Answer.WARNED, says=words))
    empty = BrokenInput(
        kind=CONVERTED,
        name="an optional image that is called n/a",
        command=_csv(_with_cell(3, "n/a"), "--optional", "t2"),
        answer=Answer.ACCEPTED,
        says=(),
    )
    return [*found, empty]
