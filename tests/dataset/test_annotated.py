from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    return make_phantom(folder, kind="mr2", num_cases=3, num_test=0, seed=3, shape=(20, 18, 16))


def _unlabelled(phantom: Path, columns: dict[str, list[str]], **keys: object) -> list[tuple[int, ...]]:
    folder = phantom.parent
    content = {**json.loads(phantom.read_text()), **keys}
    described = folder / "described.json"
    described.write_text(json.dumps(content))
    names = sorted(path.name for path in (folder / "train").iterdir())
    lines = [",".join(["id", *columns]), *map(",".join, zip(names, *columns.values(), strict=True))]
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return [case.unlabelled for case in find_cases(DatasetSpec.from_json(described)).cases]


def test_without_a_word_everything_was_annotated(phantom: Path) -> None:
    assert _unlabelled(phantom, {"site": ["a", "b", "a"]}) == [(), (), ()]


def test_labels_of_each_source(phantom: Path) -> None:
    annotated = {"site": {"a": [1, 3], "b": [0, 2, 1]}}
    assert _unlabelled(phantom, {"site": ["a", "b", "a"]}, annotated_labels=annotated) == [(2,), (3,), (2,)]


def test_labels_of_each_case(phantom: Path) -> None:
    cells = ["1 2", "", "1;3"]  # an empty cell: all of them
    assert _unlabelled(phantom, {"annotated_labels": cells}) == [(3,), (), (2,)]


@pytest.mark.parametrize(
    ("columns", "keys", "words"),
    [
        ({"site": ["a", "b", "c"]}, {"site": {"a": [1, 2, 3], "b": [2]}}, "has 'c' in the column site of cases.csv"),
        ({"other": ["a", "b", "c"]}, {"site": {"a": [1, 2, 3]}}, "has no site in cases.csv"),
        ({"site": ["a", "b", "a"]}, {"site": {"a": [1], "b": [2]}}, r"labels: \[3\] were annotated in no case"),
        ({"site": ["a", "b", "a"]}, {"site": {"a": [1, 9], "b": [2, 3]}}, r"annotated_labels.site.a: holds \[9\]"),
        ({"site": ["a", "b", "a"]}, {"site": {"a": 1, "b": [2, 3]}}, "expected a list of labels"),
        ({"site": ["a", "b", "a"]}, [1, 2], "expected a column of cases.csv"),
        ({"annotated_labels": ["1 2", "4", "liver"]}, None, "has '4' in the column annotated_labels"),
        ({"annotated_labels": ["1", "2", "3"]}, {"site": {"a": [1, 2, 3]}}, "says the same as the column"),
    ],
)
def test_what_cannot_be(phantom: Path, columns: dict[str, list[str]], keys: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        _unlabelled(phantom, columns, annotated_labels=keys)
