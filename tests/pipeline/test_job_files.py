"""The folder of a cluster's jobs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline.job_files import SUBMIT, write_job_files


def test_the_script_that_submits_is_executable(tmp_path: Path) -> None:
    script = write_job_files(tmp_path / "jobs", {"fold.yaml": "a: 1\n", SUBMIT: "#!/bin/sh\n"}, overwrite=False)
    assert script == tmp_path / "jobs" / SUBMIT
    assert (tmp_path / "jobs" / "fold.yaml").read_text(encoding="utf-8") == "a: 1\n"
    if sys.platform != "win32":
        assert os.access(script, os.X_OK)
        assert not os.access(tmp_path / "jobs" / "fold.yaml", os.X_OK)


def test_an_existing_file_stays_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / SUBMIT).write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"submit\.sh"):
        write_job_files(tmp_path, {"fold.yaml": "", SUBMIT: ""}, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == [SUBMIT]
    assert (tmp_path / SUBMIT).read_text(encoding="utf-8") == "mine"
    write_job_files(tmp_path, {"fold.yaml": "", SUBMIT: "new"}, overwrite=True)
    assert (tmp_path / SUBMIT).read_text(encoding="utf-8") == "new"
