"""Descriptions of datasets, their folders and tables, and places for the output; `autoconfig` meets them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import nibabel as nib
import numpy as np

from tests.reliability.inputs.judge import Answer, BrokenInput
from tests.reliability.inputs.site import Site, edit_json

JSON = "dataset.json as a file"
KEYS = "keys of dataset.json"
FOLDERS = "folders and names of cases"
TABLES = "tables of folds and groups"
PLACES = "places for the output"

# what dataset.json becomes, and what the refusal says
TEXTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "an empty file": (b"", ("dataset.json",)),
    "JSON that ends too early": (b'{"task": ', ("dataset.json", "line 1")),
    "a comment in JSON": (b'// a comment\n{"task": "x"}', ("dataset.json", "line 1")),
    "a trailing comma": (b'{"task": "x",}', ("dataset.json", "line 1")),
    "a list": (b"[1]", ("JSON object",)),
    "a number": (b"7", ("JSON object",)),
    "text that is not UTF-8": ('{"task": "tö"}'.encode("latin-1"), ("dataset.json", "UTF-8")),
    "bytes of an image": (bytes(range(256)) * 4, ("dataset.json",)),
    "JSON nested a hundred thousand deep": (b"[" * 100_000, ("nested",)),
    "a number of 5000 digits": (b"[" + b"9" * 5000 + b"]", ("too long",)),
    "a key that occurs twice": (b'{"task": "a", "task": "b"}', ("task", "more than once")),
    "NaN, which JSON does not have": (b'{"task": NaN}', ("NaN",)),
    "infinity, which JSON does not have": (b'{"labels": [0, Infinity]}', ("$.labels", "Infinity")),
    "two objects": (b'{"task": "a"}{"task": "b"}', ("dataset.json", "line 1")),
}
# keys that are changed (None takes one away), and what the refusal says
EDITS: dict[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "no task": ({"task": None}, ("$.task", "missing")),
    "a task that is a number": ({"task": 3}, ("$.task", "quotes")),
    "a task without a letter": ({"task": "???"}, ("$.task",)),
    "an empty task": ({"task": ""}, ("$.task",)),
    "a task that climbs out of its folder": ({"task": "../../evil"}, ("$.task", "path")),
    "half a character in the task": ({"task": "a\ud800"}, ("half a character",)),
    "a task of 300 letters": ({"task": "x" * 300}, ("$.task",)),
    "no modality": ({"modality": None}, ("$.modality",)),
    "an unknown modality": ({"modality": "xray"}, ("xray", "ct", "mr", "other")),
    "a list of modalities": ({"modality": ["ct"]}, ("$.modality", "expected")),
    "a misspelt key": ({"modality": None, "modalty": "mr"}, ("modalty", "modality")),
    "two keys missing": ({"modality": None, "labels": None}, ("$.modality", "$.labels")),
    "a key of nobody": ({"qwertz": 1}, ("qwertz", "Known keys")),
    "no training folder": ({"train-data": None}, ("$.train-data", "missing")),
    "a training folder that is not there": ({"train-data": "nowhere"}, ("nowhere",)),
    "a training folder that is a file": ({"train-data": "dataset.json"}, ("is a file",)),
    "the test set is the training set": ({"test-data": "./train"}, ("test-data", "same folder")),
    "the test set lies within the training set": ({"test-data": "train/mr2_001"}, ("test-data", "within")),
    "a test folder that is not there": ({"test-data": "nowhere"}, ("test-data", "nowhere")),
    "a mask that is a word instead of a list": ({"mask": "mask.nii.gz"}, ("$.mask", '["mask.nii.gz"]')),
    "a mask without a word": ({"mask": []}, ("$.mask", "at least one")),
    "a mask of an empty word": ({"mask": [""]}, ("$.mask",)),
    "images as a word": ({"images": "t1"}, ("$.images",)),
    "images as a list": ({"images": ["t1"]}, ("$.images", "channels")),
    "no channel": ({"images": {}}, ("$.images", "channels")),
    "a channel without a word": ({"images": {"t1": []}}, ("$.images.t1",)),
    "a channel whose name is a path": ({"images": {"a/b": ["t1.nii.gz"]}}, ("$.images", "'a/b'")),
    "a channel that MONAI would run": ({"images": {"$x": ["t1.nii.gz"]}}, ("$.images", "$x")),
    "a channel that is called mask": ({"images": {"mask": ["t1.nii.gz"]}}, ("$.images", "reserved")),
    "two channels of the same file": (
        {"images": {"t1": ["t1.nii.gz"], "t2": ["t1.nii.gz"]}},
        ("$.images.t2", "images.t1"),
    ),
    "a channel that is the mask's file": ({"images": {"t1": ["mask.nii.gz"]}}, ("images.t1", "one role")),
    "labels as a word": ({"labels": "0,1,2"}, ("$.labels",)),
    "labels without the background": ({"labels": [1, 2, 3]}, ("$.labels", "0")),
    "labels without a foreground": ({"labels": [0], "final_classes": None, "label_names": None}, ("$.labels",)),
    "a label twice": ({"labels": [0, 1, 2, 3, 3]}, ("[3]", "more than once")),
    "a fraction among the labels": ({"labels": [0, 1, 2, 3, 4.5]}, ("4.5",)),
    "a word among the labels": ({"labels": [0, 1, 2, 3, "4"]}, ('"4"',)),
    "true among the labels": ({"labels": [0, True, 2, 3]}, ("true",)),
    "a negative label": ({"labels": [0, 1, 2, 3, -1]}, ("[-1]",)),
    "a label that no voxel can hold": ({"labels": [0, 1, 2, 3, 10**30]}, ("64 bits",)),
    "a class of unknown labels": ({"final_classes": {"tumour": [9]}}, ("tumour", "9")),
    "a class with the background": ({"final_classes": {"a": [0, 1]}}, ("final_classes.a", "background")),
    "a class without labels": ({"final_classes": {"a": []}}, ("final_classes.a",)),
    "a class with a label twice": ({"final_classes": {"a": [1, 1]}}, ("final_classes.a", "twice")),
    "a class that MONAI would run": ({"final_classes": {"$x": [1]}}, ("final_classes", "$")),
    "a class that is a reference": ({"final_classes": {"@x": [1]}}, ("final_classes", "@")),
    "a class of two lines": ({"final_classes": {"a\nb": [1]}}, ("final_classes", "a\\nb")),
    "a class without a name": ({"final_classes": {" ": [1]}}, ("final_classes", "empty")),
    "classes as a list": ({"final_classes": ["liver"]}, ("final_classes", "class names")),
    "names of unknown labels": ({"label_names": {"9": "spleen"}}, ("label_names", "'9'")),
    "a name for two labels": ({"label_names": {"1": "x", "2": "x"}}, ("label_names", "several")),
    "the background is ignored": ({"ignore_label": 0}, ("ignore_label", "background")),
    "an ignored label that is none": ({"ignore_label": 77}, ("ignore_label", "77")),
    "an ignored label that is a word": ({"ignore_label": "two"}, ("ignore_label", "two")),
    "a description that is a number": ({"description": 3}, ("$.description", "quotes")),
}


def _pipe(site: Site) -> None:
    site.description.unlink()
    os.mkfifo(site.description)


def _a_folder(site: Site) -> None:
    site.description.unlink()
    site.description.mkdir()


def _endless(site: Site) -> None:
    site.description.unlink()
    site.description.symlink_to("/dev/zero")


def _no_cases(site: Site) -> None:
    shutil.rmtree(site.data / "train")
    (site.data / "train").mkdir()


def _masks(site: Site) -> list[Any]:
    return sorted((site.data / "train").glob("*/mask.nii.gz"))


def _truncate(paths: list[Any]) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[:40])


def _empty_masks(site: Site) -> None:
    for path in _masks(site):
        image = nib.load(path)
        empty = nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine)
        path.unlink()
        nib.save(empty, path)


def _same_ids_in_the_test_set(site: Site) -> None:
    shutil.copytree(site.data / "train" / "mr2_001", site.data / "test" / "mr2_001")


def _one_case(site: Site) -> None:
    for folder in sorted((site.data / "train").iterdir())[1:]:
        shutil.rmtree(folder)


REFUSED_FILES: dict[str, tuple[Callable[[Site], object], tuple[str, ...]]] = {
    "no such file": (lambda s: s.description.unlink(), ("dataset.json",)),
    "a folder in its place": (_a_folder, ("dataset.json", "folder")),
    "a pipe in its place": (_pipe, ("not a regular file",)),
    "an endless device in its place": (_endless, ("not a regular file",)),
}
REFUSED_FOLDERS: dict[str, tuple[Callable[[Site], object], tuple[str, ...]]] = {
    "a training folder without cases": (_no_cases, ("train",)),
    "every mask is truncated": (lambda s: _truncate(_masks(s)), ("cut short",)),
    "every mask but one is truncated": (lambda s: _truncate(_masks(s)[1:]), ("cut short", "1 usable case")),
    "only one case": (_one_case, ("1 usable case",)),
    "not a labelled voxel in any mask": (_empty_masks, ("nothing to learn",)),
}
# names that a case cannot have; the others are taken
NAMES = ("$x", "@x", "%x", "new\nline", 'a"b', "Mean", "Std", "a:b", "a\tb", os.fsdecode(b"caf\xe9"))


def _renamed(name: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        site.case.rename(site.data / "train" / name)
        return site.autoconfig()

    return command


def _fold_file(text: str, *more: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        return site.autoconfig("--fold_file", str(site.write("folds.csv", text)), *more)

    return command


def _group_table(text: str | bytes, column: str = "site") -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        site.write("data/cases.csv", text)
        return site.autoconfig("--fold_by", column)

    return command


IDS = [f"mr2_{number:03d}" for number in range(1, 7)]
ALTERNATING = "id,fold\n" + "".join(f"{one},{number % 2}\n" for number, one in enumerate(IDS))
REFUSED_TABLES: dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]] = {
    "a fold file that is not there": (lambda s: s.autoconfig("--fold_file", str(s.folder / "no.csv")), ("no.csv",)),
    "a fold file without some cases": (_fold_file("id,fold\nmr2_001,0\nmr2_002,1\n"), ("mr2_003", "no fold")),
    "a fold file without the column fold": (_fold_file("id,part\nmr2_001,0\n"), ("fold",)),
    "a fold file without the column id": (_fold_file("case,fold\nmr2_001,0\n"), ("id",)),
    "negative folds": (_fold_file(ALTERNATING.replace(",1\n", ",-1\n")), ("-1",)),
    "folds that are words": (_fold_file(ALTERNATING.replace(",1\n", ",b\n")), ("b",)),
    "folds that are fractions": (_fold_file(ALTERNATING.replace(",1\n", ",0.5\n")), ("0.5",)),
    "other folds than --folds says": (_fold_file(ALTERNATING.replace(",1\n", ",2\n")), ("--folds", "0 to 2")),
    "a fold without a case": (_fold_file(ALTERNATING.replace(",1\n", ",4\n"), "--folds", "5"), ("no case in fold",)),
    "a single fold": (_fold_file(ALTERNATING.replace(",1\n", ",0\n"), "--folds", "5"), ("at least 2 folds",)),
    "a case twice": (_fold_file(ALTERNATING + "mr2_001,1\n"), ("mr2_001", "again")),
    "an empty fold file": (_fold_file(""), ("folds.csv",)),
    "no table of groups": (lambda s: s.autoconfig("--fold_by", "site"), ("site",)),
    "a table without the column of groups": (_group_table("id,age\nmr2_001,3\n"), ("site",)),
    "a group for some cases only": (_group_table("id,site\nmr2_001,a\n"), ("mr2_002",)),
    "one group for all": (_group_table("id,site\n" + "".join(f"{one},a\n" for one in IDS)), ("folds",)),
    "a table of groups that is not text": (_group_table(b"\xff\xfe\x00a"), ("cases.csv",)),
}


def _output(place: str) -> Callable[[Site], list[str]]:
    return lambda site: site.autoconfig("--output", str(site.folder / place))


def _read_only(site: Site) -> list[str]:
    return site.autoconfig("--output", "/sys/kernel/bundle")


def _own_bundle_is_there(site: Site) -> list[str]:
    site.write("out/phantom_mr2_segmentation/mine.txt", "mine")
    return site.autoconfig()


def _own_folder_with_overwrite(site: Site) -> list[str]:
    site.write("out/phantom_mr2_segmentation/mine.txt", "mine")
    return site.autoconfig("--overwrite")


REFUSED_PLACES: dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]] = {
    "dataset.json itself": (_output("data/dataset.json"), ("Choose",)),
    "a folder below a file": (_output("data/dataset.json/out"), ("Choose",)),
    "the folder of the cases": (_output("data/train"), ("Choose",)),
    "a folder within a case": (_output("data/train/mr2_001/out"), ("Choose",)),
    "a folder of the test set": (_output("data/test/out"), ("Choose",)),
    "a device": (lambda s: s.autoconfig("--output", "/dev/null"), ("/dev/null",)),
    "a file system that takes no files": (_read_only, ("/sys/kernel/bundle",)),
    "a name of 300 letters": (lambda s: s.autoconfig("--output", str(s.folder / ("x" * 300))), ("too long",)),
    "a link that leads to itself": (
        lambda s: ((s.folder / "loop").symlink_to("loop"), s.autoconfig("--output", str(s.folder / "loop/out")))[1],
        ("loop",),
    ),
    "a folder of the user's under the bundle's name": (_own_bundle_is_there, ("exists",)),
    "a folder of the user's, with --overwrite": (_own_folder_with_overwrite, ("phantom_mr2_segmentation",)),
}


def _text(content: bytes) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        site.description.write_bytes(content)
        return site.autoconfig()

    return command


def _edited(changes: Mapping[str, Any]) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        edit_json(site.description, **changes)
        return site.autoconfig()

    return command


def _after(harm: Callable[[Site], object]) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        harm(site)
        return site.autoconfig()

    return command


def _with_mark(site: Site) -> None:
    site.description.write_bytes(b"\xef\xbb\xbf" + site.description.read_bytes())


def _stray_files(site: Site) -> None:
    site.write("data/train/README.txt", "not a patient")
    site.write("data/train/.DS_Store", b"\0")


def _unseen_label(site: Site) -> None:
    content = json.loads(site.description.read_text())
    edit_json(site.description, labels=[*content["labels"], 9], label_names={**content["label_names"], "9": "cyst"})


def _refused(kind: str, rows: Mapping[str, tuple[Callable[[Site], Any], tuple[str, ...]]]) -> list[BrokenInput]:
    return [
        BrokenInput(kind=kind, name=name, command=command, answer=Answer.REFUSED, says=says)
        for name, (command, says) in rows.items()
    ]


def inputs() -> list[BrokenInput]:
    """All of them."""
    found = _refused(JSON, {name: (_text(content), says) for name, (content, says) in TEXTS.items()})
    found += _refused(JSON, {name: (_after(harm), says) for name, (harm, says) in REFUSED_FILES.items()})
    found += _refused(KEYS, {name: (_edited(changes), says) for name, (changes, says) in EDITS.items()})
    found += _refused(FOLDERS, {name: (_after(harm), says) for name, (harm, says) in REFUSED_FOLDERS.items()})
    found += _refused(TABLES, REFUSED_TABLES)
    found += _refused(PLACES, REFUSED_PLACES)
    for name in NAMES:
        row = BrokenInput(
            kind=FOLDERS,
            name=f"a case that is called {name!r}",
            command=_renamed(name),
            answer=Answer.CASE_NAMED,
            says=("cannot be the id of a case",),
            left=Site.planned_cases,
        )
        found.append(row)
    odd = (
        (JSON, "a byte order mark", _with_mark, Answer.ACCEPTED, ()),
        (FOLDERS, "stray files among the cases", _stray_files, Answer.ACCEPTED, ()),
        (
            FOLDERS,
            "an empty folder among the cases",
            lambda s: (s.data / "train/new").mkdir(),
            Answer.CASE_NAMED,
            ("new",),
        ),
        (FOLDERS, "a link to the folder above", lambda s: (s.case / "up").symlink_to(".."), Answer.ACCEPTED, ()),
        (FOLDERS, "a case's folder that is a link to itself", _loop, Answer.CASE_NAMED, ("loop",)),
        (FOLDERS, "a case of the training set in the test set", _same_ids_in_the_test_set, Answer.WARNED, ("mr2_001",)),
        (
            FOLDERS,
            "an id of 250 letters",
            lambda s: s.case.rename(s.case.with_name("x" * 250)),
            Answer.WARNED,
            ("xxx", "too long"),
        ),
        (FOLDERS, "an id with a comma", lambda s: s.case.rename(s.case.with_name("a,b")), Answer.ACCEPTED, ()),
        (FOLDERS, "an id like an option", lambda s: s.case.rename(s.case.with_name("-rf")), Answer.ACCEPTED, ()),
        (KEYS, "a label that no mask holds", _unseen_label, Answer.WARNED, ("9",)),
    )
    for kind, name, harm, answer, says in odd:
        found.append(BrokenInput(kind=kind, name=name, command=_after(harm), answer=answer, says=says))
    return found


def _loop(site: Site) -> None:
    (site.data / "train" / "loop").symlink_to("loop")
