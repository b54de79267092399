"""Every broken input gets the answer that it must get; those that need a trained bundle are slow tests."""

from __future__ import annotations

import pytest

from tests.reliability.inputs.judge import Answer, BrokenInput, fault, judge, remove
from tests.reliability.inputs.run import all_inputs
from tests.reliability.inputs.site import Bench, Site

INPUTS = {f"{one.kind}: {one.name}": one for one in all_inputs()}
QUICK = [name for name, one in INPUTS.items() if one.state in ("data", "configured") and not one.starts]
REST = [name for name in INPUTS if name not in QUICK]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def _judge(name: str, bench: Bench) -> None:
    site = bench.site(INPUTS[name].state)
    record = judge(INPUTS[name], site)
    remove(site)
    assert not record.wrong, f"{record.wrong}: {record.message}"


def test_no_two_inputs_have_the_same_name() -> None:
    assert len(INPUTS) == len(all_inputs())
    assert len(INPUTS) >= 250


@pytest.mark.parametrize("name", QUICK)
def test_a_broken_input_is_answered(name: str, bench: Bench) -> None:
    _judge(name, bench)


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_a_broken_input_of_a_run_is_answered(name: str, bench: Bench) -> None:
    _judge(name, bench)


def test_the_judge_notices_wrong_answers(bench: Bench) -> None:
    """A judge that lets everything pass would make all of the above worthless."""
    site = bench.site("data")
    expected = BrokenInput(kind="x", name="x", command=lambda _: ["x"], answer=Answer.REFUSED, says=("t1.nii.gz",))
    answers = {
        "exit code 0": (0, "t1.nii.gz"),
        "a traceback": (2, "Traceback (most recent call last):\nt1.nii.gz"),
        "does not say t1.nii.gz": (2, "something is wrong"),
        "": (2, "t1.nii.gz: is empty"),
    }
    for wrong, (code, said) in answers.items():
        assert fault(expected, site, code, said) == wrong
    assert judge(expected, site, lambda _: _writes_and_refuses(site)).wrong == "wrote new.txt"
    remove(site)


def _writes_and_refuses(site: Site) -> tuple[int, str]:
    site.write("new.txt", "new")
    return 2, "t1.nii.gz: is empty"
