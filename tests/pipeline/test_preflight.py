"""Checks before an image is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError, Problem
from mist_bundle.pipeline.fold_choice import FoldRules
from mist_bundle.pipeline.preflight import Because, check_request
from mist_bundle.planning.options import PlanOptions

OPTIONS = PlanOptions(recipe="quick", folds=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preflight") / "data"
    return make_phantom(folder, num_cases=4, num_test=1, shape=(16, 16, 12))


def test_a_good_request(data: Path, tmp_path: Path) -> None:
    checked = check_request(data, OPTIONS, tmp_path / "out", FoldRules())
    assert checked.options == OPTIONS
    assert len(checked.train.cases) == 4
    assert len(checked.test.cases) == 1
    assert not (tmp_path / "out").exists()


def test_all_problems_at_once(data: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    wrong = replace(OPTIONS, epochs=0, network="nnnet", folds=9)
    with pytest.raises(InputError) as caught:
        check_request(data, wrong, blocked / "out", FoldRules())
    paths = {problem.path for problem in caught.value.problems}
    assert {"--epochs", "--network", str(blocked / "out")} <= paths
    assert any("9" in str(problem) for problem in caught.value.problems)


def test_own_code_is_named_as_the_bundle_will_know_it(data: Path, tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, in_channels, out_channels):\n        super().__init__()\n"
    )
    checked = check_request(data, replace(OPTIONS, network=f"{code}:Net"), tmp_path / "out", FoldRules())
    assert checked.options.network is not None
    assert checked.options.network.endswith(".Net")
    assert len(checked.user_code) == 1
    with pytest.raises(InputError, match="--network"):
        check_request(data, replace(OPTIONS, network=f"{code}:Missing"), tmp_path / "out", FoldRules())


def test_left_out_cases_are_the_cause_of_too_few() -> None:
    with pytest.raises(InputError) as caught, Because([Problem("case_1", "is damaged.")]):
        raise InputError(Problem("--folds", "is 5, but there are 4 cases."))
    assert [problem.path for problem in caught.value.problems] == ["case_1", "--folds"]
    with pytest.raises(KeyError), Because([Problem("case_1", "is damaged.")]):
        raise KeyError("another error")
