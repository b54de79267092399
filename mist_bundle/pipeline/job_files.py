"""The folder of a cluster's jobs: their files, and the script that submits them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mist_bundle.files import refuse_existing, write_text

SUBMIT = "submit.sh"


def write_job_files(output: Path, files: Mapping[str, str], *, overwrite: bool) -> Path:
    """Write the files of jobs and make SUBMIT, one of them, executable.

    Args:
        output: the folder; created if it does not exist.
        files: file name -> text.
        overwrite: replace existing files.

    Returns:
        Path of the script that submits the jobs.

    Raises:
        InputError: a file exists already; nothing is written.
    """
    for name in files:
        refuse_existing(output / name, overwrite=overwrite)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(output / name, text)
    script = output / SUBMIT
    script.chmod(0o755)
    return script
