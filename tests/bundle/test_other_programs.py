"""What other programs do with a bundle, each in a fresh process that knows nothing of this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "bundles" / "hippocampus_segmentation"

LOAD = """
import json, sys
import monai.bundle
network = monai.bundle.load(sys.argv[1], bundle_dir=sys.argv[2], workflow_type="inference")
print(json.dumps({"parameters": sum(parameter.numel() for parameter in network.parameters())}))
"""


def _last_line(code: str, *words: object, cwd: Path) -> Any:
    command = [sys.executable, "-c", code, *(str(word) for word in words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_monai_bundle_load_from_another_folder(tmp_path: Path) -> None:
    assert _last_line(LOAD, BUNDLE.name, BUNDLE.parent, cwd=tmp_path)["parameters"] == 186600
