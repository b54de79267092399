"""Label maps and tables that are scored, combined, compared and post-processed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.reliability.inputs.judge import Answer, BrokenInput
from tests.reliability.inputs.site import CASE, Site, change_affine, change_voxels

PAIRS = "label maps that are scored"
TABLES = "tables of pairs and results"
JOINED = "label maps that are combined or post-processed"
Harm = Callable[[Site], object]


def _predictions(site: Site, name: str = "predictions") -> Path:
    """Label maps of all cases, which are copies of the references but for a voxel."""
    folder = site.folder / name
    folder.mkdir()
    for number, path in enumerate(sorted((site.data / "train").glob("*/mask.nii.gz"))):
        target = folder / f"{path.parent.name}.nii.gz"
        shutil.copy(path, target)
        change_voxels(target, lambda array, at=number: _other(array, at))
    return folder


def _other(array: np.ndarray, at: int) -> np.ndarray:
    array[at, 0, 0] = 1 if array[at, 0, 0] == 0 else 0
    return array


def _evaluate(site: Site, *more: str) -> list[str]:
    words = ["evaluate", "--reference", str(site.description), "--prediction", str(site.folder / "predictions")]
    return [*words, "--output", str(site.folder / "results.csv"), *more]


def _victim(site: Site) -> Path:
    return site.folder / "predictions" / f"{CASE}.nii.gz"


def _shift(path: Path) -> None:
    def shifted(affine: np.ndarray) -> np.ndarray:
        affine[0, 3] += 9
        return affine

    change_affine(path, shifted)


def scored_cases(site: Site) -> int:
    """Cases that evaluate has put into its table."""
    lines = (site.folder / "results.csv").read_text().splitlines()
    return sum(line.startswith("mr2_") for line in lines)


# what is done to one prediction, and what the line about it says
NOT_SCORED: dict[str, tuple[Harm, str]] = {
    "a missing prediction": (lambda s: _victim(s).unlink(), "prediction"),
    "a truncated prediction": (lambda s: _victim(s).write_bytes(_victim(s).read_bytes()[:80]), "cut short"),
    "an empty prediction": (lambda s: _victim(s).write_bytes(b""), "empty"),
    "a prediction of another shape": (lambda s: change_voxels(_victim(s), lambda a: a[:-2]), "shape"),
    "a prediction on another grid": (lambda s: _shift(_victim(s)), "origin"),
    "probabilities instead of labels": (lambda s: change_voxels(_victim(s), lambda a: a * 0.3), "whole"),
    "a label that dataset.json does not list": (
        lambda s: change_voxels(_victim(s), lambda a: np.where(a == 1, 77, a)),
        "77",
    ),
    "NaN in a prediction": (
        lambda s: change_voxels(_victim(s), lambda a: np.where(a == 1, np.nan, a.astype(np.float32))),
        "nan",
    ),
    "a prediction that is a pipe": (lambda s: _make_pipe(_victim(s)), "prediction"),
    "a prediction that is the reference": (
        lambda s: (_victim(s).unlink(), _victim(s).symlink_to(s.mask)),
        "itself",
    ),
}


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _scored(harm: Harm) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        _predictions(site)
        harm(site)
        return _evaluate(site)

    return command


def _with_options(*more: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        _predictions(site)
        return _evaluate(site, *more)

    return command


def _pairs_table(text: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        table = site.write("pairs.csv", text)
        words = ["evaluate", "--paths", str(table), "--classes", str(site.description)]
        return [*words, "--output", str(site.folder / "results.csv")]

    return command


def _results(*texts: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        tables = [str(site.write(f"run_{number}.csv", text)) for number, text in enumerate(texts)]
        return ["compare", *tables, "--output", str(site.folder / "comparison")]

    return command


def _joined(harm: Harm, *more: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        first, second = _predictions(site), _predictions(site, "others")
        harm(site)
        return ["ensemble", str(first), str(second), "--output", str(site.folder / "joined"), *more]

    return command


def _strategy(content: object) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        text = content if isinstance(content, str) else json.dumps(content)
        steps = site.write("strategy.json", text)
        return ["postprocess", str(_predictions(site)), str(steps), str(site.folder / "better")]

    return command


GOOD = "id,liver_dice\na,0.5\nb,0.6\nc,0.7\n"
REFUSED: dict[str, dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]]] = {
    PAIRS: {
        "a metric that is none": (_with_options("--metrics", "dise"), ("dise", "dice")),
        "a metric's option that is none": (_with_options("--metric_options", '{"dice":{"x":1}}'), ("x",)),
        "options of a metric that is not asked for": (
            _with_options("--metric_options", '{"surface_dice":{"tolerance_mm":2}}'),
            ("surface_dice",),
        ),
        "a negative tolerance": (
            _with_options("--metrics", "surface_dice", "--metric_options", '{"surface_dice":{"tolerance_mm":-1}}'),
            ("tolerance_mm",),
        ),
        "a rule for empty masks that is none": (_with_options("--both_empty", "worst"), ("--both_empty",)),
        "a distance of zero": (_with_options("--empty_distance_mm", "0"), ("--empty_distance_mm",)),
        "labels that leave out a class": (_with_options("--labels", "0,1"), ("labels",)),
        "no prediction at all": (
            lambda s: ((s.folder / "predictions").mkdir(), _evaluate(s))[1],
            ("predictions",),
        ),
    },
    TABLES: {
        "pairs without the column prediction": (_pairs_table("id,mask\na,b\n"), ("prediction",)),
        "an empty table of pairs": (_pairs_table(""), ("pairs.csv",)),
        "a table of pairs without rows": (_pairs_table("id,mask,prediction\n"), ("pairs.csv",)),
        "results without an id": (_results("liver_dice\n0.5\n", GOOD), ("id",)),
        "results of other cases": (_results(GOOD, GOOD.replace("a,", "x,")), ("case",)),
        "results that share no score": (_results(GOOD, GOOD.replace("liver", "kidney")), ("common",)),
        "results with a word for a number": (_results(GOOD, GOOD.replace("0.6", "good")), ("good",)),
        "results with a case twice": (_results(GOOD, f"{GOOD}a,0.4\n"), ("a",)),
        "results that are not a table": (_results(GOOD, "\x00\x01\x02"), ("run_1.csv",)),
        "a single table of results": (_results(GOOD), ("two",)),
    },
    JOINED: {
        "a strategy that is not JSON": (_strategy("{"), ("strategy.json",)),
        "a strategy that is an object of other things": (_strategy({"a": 1}), ("strategy.json",)),
        "a strategy of an unknown operation": (
            _strategy([{"transform": "remove_all", "apply_to_labels": [1]}]),
            ("remove_all",),
        ),
        "a strategy of an unknown key": (_strategy([{"transfrom": "fill_holes"}]), ("transfrom",)),
        "the same folder twice": (
            lambda s: [
                "ensemble",
                str(_predictions(s)),
                str(s.folder / "predictions"),
                "--output",
                str(s.folder / "j"),
            ],
            ("predictions",),
        ),
        "means of label maps": (_joined(lambda s: None, "--method", "mean", "--labels", "0,1,2,3"), ("channels",)),
    },
}


def inputs() -> list[BrokenInput]:
    """All of them."""
    found = []
    for name, (harm, says) in NOT_SCORED.items():
        row = BrokenInput(
            kind=PAIRS,
            name=name,
            command=_scored(harm),
            answer=Answer.CASE_NAMED,
            says=(CASE, says),
            left=scored_cases,
        )
        found.append(row)
    for kind, rows in REFUSED.items():
        for name, (command, words) in rows.items():
            found.append(BrokenInput(kind=kind, name=name, command=command, answer=Answer.REFUSED, says=words))
    empty = BrokenInput(kind=JOINED, name="an empty strategy", command=_strategy([]), answer=Answer.ACCEPTED, says=())
    found.append(empty)
    for name, (harm, says) in NOT_JOINED.items():
        row = BrokenInput(
            kind=JOINED,
            name=name,
            command=_joined(harm),
            answer=Answer.CASE_NAMED,
            says=(CASE, says),
            left=_joined_maps,
        )
        found.append(row)
    return found


NOT_JOINED: dict[str, tuple[Harm, str]] = {
    "a case that a model lacks": (lambda s: _victim(s).unlink(), "no prediction"),
    "a truncated label map of a model": (lambda s: _victim(s).write_bytes(_victim(s).read_bytes()[:80]), "cut short"),
    "label maps on two grids": (lambda s: _shift(_victim(s)), "origin"),
    "fractions among labels": (lambda s: change_voxels(_victim(s), lambda a: a * 0.3), "whole"),
}


def _joined_maps(site: Site) -> int:
    return len(list((site.folder / "joined").glob("*.nii.gz")))
