"""The page of reliability, from records."""

from __future__ import annotations

from tests.reliability import page

RECORD = {
    "kind": "files",
    "name": "an empty | image",
    "verb": "autoconfig",
    "answer": "refused",
    "exit_code": 2,
    "message": "t1.nii.gz: is empty <0 bytes>",
    "wrong": "",
}


def test_inputs_are_counted_and_those_answered_otherwise_are_named() -> None:
    wrong = {**RECORD, "name": "a pipe", "wrong": "a traceback"}
    text = page.inputs_part([RECORD, wrong])
    assert "| files | 2 | 2 | 0 | 0 | 0 | 1 |" in text
    assert "Not answered so: files, a pipe (a traceback)." in text
    assert "an empty \\| image" in text
    assert page.list_part([RECORD]).count("\n| files |") == 1


def test_kills_that_did_not_pass_are_named() -> None:
    kill = {"stage": "train", "moment": "before last.pt is put in place", "passed": True, "differing": []}
    failed = {**kill, "moment": "at 40% of its time", "passed": False, "differing": ["models/model.pt"]}
    text = page.kills_part([kill, failed])
    assert "| train | 2 | 1 | 1 | 1 |" in text
    assert "Did not pass: train, at 40% of its time: models/model.pt" in text
