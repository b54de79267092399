from __future__ import annotations

from mist_bundle.dataset.fold_table import FoldTable, fold_table

FOLDS = {"a": 0, "b": 0, "c": 1, "d": 1}
VOLUMES = {
    "a": {"liver": 10.0, "tumour": 0.0},
    "b": {"liver": 20.0, "tumour": 3.0},
    "c": {"liver": 40.0},  # the tumour was not annotated
    "d": {"liver": 0.0, "tumour": 5.0},
}


def test_what_each_fold_holds():
    table = fold_table(
        FOLDS,
        VOLUMES,
        groups={"a": "p", "b": "p", "c": "q", "d": "r"},
        columns={"site": {"a": "X", "b": "Y", "c": "Y", "d": "Y"}},
        test_ids=["e", "f", "g"],
    )
    assert table.head == ("", "fold 0", "fold 1", "all folds", "test set")
    assert table.rows == (
        ("cases", "2", "2", "4", "3"),
        ("groups", "1", "2", "3", "–"),
        ("site X", "1", "0", "1", "–"),
        ("site Y", "1", "2", "3", "–"),
        ("liver: cases", "2", "1", "3", "–"),
        ("liver: median ml", "15", "40", "20", "–"),
        ("tumour: cases", "1", "1 of 1", "2 of 3", "–"),
        ("tumour: median ml", "3", "5", "4", "–"),
    )


def test_json_text_and_markdown_hold_the_same_cells():
    table = fold_table(FOLDS, VOLUMES)
    assert FoldTable.from_json(table.to_json()) == table
    assert len({len(line.rstrip()) for line in table.lines()}) == 1, "aligned"
    for line, row in zip(table.markdown().splitlines()[2:], table.rows, strict=True):
        assert [cell.strip() for cell in line.strip("|").split("|")] == list(row)
