"""What the model zoo's verify_bundle.py asks of MONAI, in its order, in one process, and by relative paths as there.

    zoo_checks.py BUNDLE_NAME RESULT_JSON

The working directory holds models/BUNDLE_NAME, with the schema in its eval/. The steps that failed are written with
their errors; the zoo's program would stop at the first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from monai.bundle import ckpt_export, create_workflow, verify_metadata, verify_net_in_out


def steps(bundle: str) -> dict[str, Callable[[], object]]:
    """Each step by its name."""
    configs, models = f"{bundle}/configs", f"{bundle}/models"
    meta_file, config_file = f"{configs}/metadata.json", f"{configs}/inference.json"
    network = {"net_id": "network_def", "meta_file": meta_file, "config_file": config_file, "bundle_root": bundle}

    def check_properties() -> None:
        workflow = create_workflow(
            workflow_type="inference",
            bundle_root=bundle,
            config_file=config_file,
            logging_file=f"{configs}/logging.conf",
            meta_file=meta_file,
        )
        missing = workflow.check_properties()
        if missing:
            raise ValueError(f"the workflow lacks {missing}")

    exported, weights = f"{models}/verify_model.ts", f"{models}/model.pt"
    return {
        "verify_metadata": lambda: verify_metadata(meta_file=meta_file, filepath=f"{bundle}/eval/schema.json"),
        "check_properties": check_properties,
        "verify_net_in_out": lambda: verify_net_in_out(**network),
        "ckpt_export": lambda: ckpt_export(filepath=exported, ckpt_file=weights, **network),
        "torch.jit.load of model.ts": lambda: torch.jit.load(f"{models}/model.ts"),
    }


def main() -> None:
    """Run all steps and write which of them failed, with the reason."""
    bundle = f"models/{sys.argv[1]}"
    sys.path.insert(0, bundle)
    outcome = {}
    for name, step in steps(bundle).items():
        try:
            step()
        except Exception as error:  # noqa: BLE001 - what failed is the result
            outcome[name] = f"{type(error).__name__}: {error}"
        else:
            outcome[name] = ""
    Path(sys.argv[2]).write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
