from __future__ import annotations

import json

import pytest

from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import InputError


def write(tmp_path, text, name="cases.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    return path


def test_ids_stay_text(tmp_path):
    # pandas would make 1, 1000.0, NaN and True of these
    table = read_table(write(tmp_path, "id,t1\n001,a\n1e3,b\nNA,c\nTrue,d\n"))
    assert [row.id for row in table.rows] == ["001", "1e3", "NA", "True"]
    assert [row.cells["t1"] for row in table.rows] == ["a", "b", "c", "d"]
    assert table.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid,t1\na,x\n",  # byte-order mark
        "id;t1\na;x\n",
        "id\tt1\na\tx\n",
        "id,t1\r\na,x\r\n",
        'id,"t1"\n"a","x"',
        " id , t1 \n a , x \n\n , \n",
    ],
)
def test_dialects_of_csv(tmp_path, text):
    table = read_table(write(tmp_path, text))
    assert table.columns == ("id", "t1")
    assert [row.cells for row in table.rows] == [{"id": "a", "t1": "x"}]


@pytest.mark.parametrize(
    "content", [[{"id": "a", "t1": "x"}, {"id": 1, "t1": "y"}], {"a": {"t1": "x"}, "1": {"t1": "y"}}]
)
def test_json_tables(tmp_path, content):
    table = read_table(write(tmp_path, json.dumps(content), "cases.json"))
    assert table.columns == ("id", "t1")
    assert [row.cells for row in table.rows] == [{"id": "a", "t1": "x"}, {"id": "1", "t1": "y"}]


def test_paths_start_at_the_table(tmp_path):
    table = read_table(write(tmp_path, "id,t1\na,x/y.nii\n"))
    assert table.resolve(table.rows[0].cells["t1"]) == tmp_path / "x" / "y.nii"
    assert str(table.resolve("/data/y.nii")) == "/data/y.nii"


def test_bad_ids_are_problems_of_their_rows(tmp_path):
    table = read_table(write(tmp_path, "id,t1\na,1\n,2\n../b,3\nc,4\nd,5\nc,6\n"))
    assert [row.id for row in table.rows] == ["a", "d"]
    texts = [str(problem) for problem in table.problems]
    assert len(texts) == 3
    assert "line 3" in texts[0]
    assert "line 4" in texts[1]
    assert "'../b'" in texts[1]
    assert "line 5" in texts[2]
    assert "line 7" in texts[2]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "ID,t1\na,x\n", 'Did you mean "ID"'),
        ("a.csv", "", "is empty"),
        ("a.csv", "id,t1,t1\n", "more than once"),
        ("a.csv", "id,t1\na,b,c\n", "line 2 has 3 cells"),
        ("a.json", "[]", "expected a list"),
        ("a.json", '{"a": 3}', "expected a list"),
        ("a.json", "3", "expected a list"),
    ],
)
def test_unusable_tables(tmp_path, name, text, words):
    path = write(tmp_path, text, name)
    with pytest.raises(InputError, match=words) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_unreadable_tables(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "absent.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes("id,t1\nMüller,x\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_table(path)


def test_words_for_nothing_are_empty_cells(tmp_path):
    """pandas writes NaN, BIDS n/a; a patient or an image of that name would join cases that have nothing in common."""
    table = read_table(write(tmp_path, "id,t1,patient\nnan,NaN,n/a\nb,x,<NA>\nc,#N/A,none\n"))
    assert [row.cells for row in table.rows] == [{"id": "nan"}, {"id": "b", "t1": "x"}, {"id": "c", "patient": "none"}]
    table = read_table(write(tmp_path, '[{"id": "a", "t1": NaN}, {"id": "b", "t1": " "}]', "cases.json"))
    assert [row.cells for row in table.rows] == [{"id": "a"}, {"id": "b"}]


def test_a_number_that_is_none_is_no_id(tmp_path):
    """pandas has NaN where an id is missing; a case may only be called "nan" in so many letters."""
    text = json.dumps([{"id": float("nan"), "t1": "x"}, {"id": "nan", "t1": "y"}, {"id": None, "t1": "z"}])
    table = read_table(write(tmp_path, text, "cases.json"))
    assert [row.cells for row in table.rows] == [{"id": "nan", "t1": "y"}]
    assert [problem.path.rsplit(" ", 2)[1:] for problem in table.problems] == [["entry", "0"], ["entry", "2"]]
    assert "the id '' is empty" in table.problems[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('id,t1\na,x\n"b,y\nc,z\n', "line 3 has a quotation mark"),
        ('"id,t1\na,x\n', "line 1 has a quotation mark"),
        ("id,t1\na\0,x\n", "NUL character"),
    ],
)
def test_files_that_a_reader_of_csv_would_misread(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_table(write(tmp_path, text))


def test_an_inch_mark_is_no_quotation(tmp_path):
    table = read_table(write(tmp_path, 'id,size\na,5"\nb,"6"" wide"\n'))
    assert [row.cells["size"] for row in table.rows] == ['5"', '6" wide']
