"""Names of labels by BIDS's principle of inheritance."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.bids_labels import read_label_names
from mist_bundle.dataset.bids_names import BidsFile, parse_name


def _label(root: Path) -> BidsFile:
    file = parse_name(root / "derivatives" / "labels" / "sub-01" / "anat" / "sub-01_desc-manual_dseg.nii.gz")
    assert isinstance(file, BidsFile)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    return file


def _table(path: Path, *rows: str, header: str = "index\tname") -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_the_nearest_table_counts(tmp_path: Path) -> None:
    label = _label(tmp_path)
    roots = [tmp_path, tmp_path / "derivatives" / "labels"]
    assert read_label_names(roots, [label]) == ({}, [])
    _table(tmp_path / "dseg.tsv", "1\tfrom the root")
    assert read_label_names(roots, [label]) == ({1: "from the root"}, [])
    _table(roots[1] / "desc-auto_dseg.tsv", "1\tof others")
    assert read_label_names(roots, [label]) == ({1: "from the root"}, [])
    _table(roots[1] / "desc-manual_dseg.tsv", "1\tby hand", "0\tbackground")
    assert read_label_names(roots, [label])[0][1] == "by hand"
    _table(label.path.with_name("sub-01_desc-manual_dseg.tsv"), "1\tits own\tx", header="index\tname\tcolor")
    assert read_label_names(roots, [label]) == ({1: "its own"}, [])


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (("1,liver",), "index,name", "separated by tabs"),
        (("one\tliver",), "index\tname", "expected a label value"),
        (("1\t$liver",), "index\tname", "begins an expression"),
        (("1\tliver", "2\tliver"), "index\tname", "[1, 2] all 'liver'"),
    ],
)
def test_bad_tables(rows: tuple[str, ...], header: str, words: str, tmp_path: Path) -> None:
    _table(tmp_path / "dseg.tsv", *rows, header=header)
    _, (problem,) = read_label_names([tmp_path], [_label(tmp_path)])
    assert words in problem.message


def test_tables_that_contradict_each_other(tmp_path: Path) -> None:
    first = _label(tmp_path)
    second = parse_name(first.path.with_name("sub-01_desc-auto_dseg.nii.gz"))
    assert isinstance(second, BidsFile)
    _table(first.path.with_name("sub-01_desc-manual_dseg.tsv"), "1\tliver")
    _table(first.path.with_name("sub-01_desc-auto_dseg.tsv"), "1\tspleen")
    _, (problem,) = read_label_names([tmp_path], [first, second])
    assert "calls label 1 'spleen', but" in problem.message
