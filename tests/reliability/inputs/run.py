"""Run broken inputs and write how each was answered.

`python -m tests.reliability.inputs.run --output FILE` writes a record for each input; `--only WORD` runs those whose
kind or name holds a word. The exit code is 1 where an answer is not the expected one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.reliability.inputs import bundles, conversions, datasets, images, options, scored
from tests.reliability.inputs.judge import BrokenInput, Record, judge, remove
from tests.reliability.inputs.site import Bench

MODULES = (images, datasets, conversions, options, scored, bundles)


def all_inputs() -> list[BrokenInput]:
    """Every input, kind by kind."""
    found = []
    for module in MODULES:
        found += module.inputs()
    return found


def run(chosen: Sequence[BrokenInput], bench: Bench) -> list[Record]:
    """Judge inputs, each on a fresh copy of its state."""
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    records = []
    for broken in chosen:
        site = bench.site(broken.state)
        try:
            records.append(judge(broken, site))
        finally:
            remove(site)
    return records


def main() -> None:
    """Run the inputs that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--all", action="store_true", help="print the right answers too")
    words = parser.parse_args()
    chosen = [one for one in all_inputs() if words.only in f"{one.kind}: {one.name}"]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="inputs_") as folder:
        bench = Bench(Path(folder))
        for broken in chosen:
            (record,) = run([broken], bench)
            wrong += bool(record.wrong)
            if record.wrong or words.all:
                sys.stdout.write(f"{record.wrong or 'ok'} | {record.kind}: {record.name} | {record.message}\n")
                sys.stdout.flush()
            if words.output:
                with words.output.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"input": asdict(record)}) + "\n")
    sys.stdout.write(f"{len(chosen) - wrong} of {len(chosen)} inputs answered as expected\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
