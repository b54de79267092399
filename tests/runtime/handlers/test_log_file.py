"""A fold keeps its log."""

from __future__ import annotations

import logging
from pathlib import Path

from mist_bundle.runtime.handlers.log_file import close_log, open_log


def test_records_of_all_loggers(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    handler = open_log(path, resumed=False)
    logging.getLogger("some.part").warning("first %d", 1)
    close_log(handler)
    logging.getLogger("some.part").warning("later")
    text = path.read_text()
    assert "WARNING some.part: first 1" in text
    assert "later" not in text


def test_a_resumed_training_appends(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    for resumed, word in ((False, "lost"), (False, "begun"), (True, "resumed")):
        handler = open_log(path, resumed=resumed)
        logging.getLogger("x").error(word)
        close_log(handler)
    assert "lost" not in path.read_text()
    assert path.read_text().index("begun") < path.read_text().index("resumed")
