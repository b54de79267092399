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


def test_a_wide_table_continues_below():
    folds = {f"case{number}": number for number in range(20)}
    table = fold_table(folds, {case_id: {"liver": 1.0} for case_id in folds})
    lines = table.lines(width=80)
    assert max(map(len, lines)) <= 80
    blocks = "\n".join(lines).split("\n\n")
    assert len(blocks) > 1
    heads = []
    for block in blocks:
        first, *rows = block.splitlines()
        heads += first.split("  ")
        assert [row.split("  ")[0].strip() for row in rows] == ["cases", "liver: cases", "liver: median ml"]
    assert [head.strip() for head in heads if head.strip()] == list(table.head[1:])


def test_a_fold_is_shown_however_narrow_the_page():
    text = "\n".join(fold_table(FOLDS, VOLUMES).lines(width=1))
    for name in ("fold 0", "fold 1", "all folds"):
        assert name in text


def test_volumes_of_a_class_have_the_same_decimals() -> None:
    folds = {"a": 0, "b": 1, "c": 2}
    volumes = {
        "a": {"liver": 1210.0, "kidney": 2.434, "lesion": 3.0},
        "b": {"liver": 1320.4, "kidney": 2.7, "lesion": 0.004},
        "c": {"liver": 990.0, "kidney": 2.6, "lesion": 0.0},
    }
    rows = {row[0]: row[1:] for row in fold_table(folds, volumes).rows}
    assert rows["liver: median ml"] == ("1210", "1320", "990", "1210")
    assert rows["kidney: median ml"] == ("2.43", "2.70", "2.60", "2.60")
    assert rows["lesion: median ml"] == ("3.000", "0.004", "–", "1.502")
