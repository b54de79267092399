"""Federated averaging in NVFlare's simulator over the sites of a settings file. Run by NVFlare's own environment.

    nvflare_rounds.py SETTINGS_JSON

Writes global.pt, a plain state dict, into the work folder of the settings.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from nvflare.app_common.workflows.fedavg import FedAvg
from nvflare.fuel.utils import fobs
from nvflare.job_config.api import FedJob
from nvflare.job_config.script_runner import FrameworkType, ScriptRunner

SITE_SCRIPT = Path(__file__).with_name("federated_site.py")
GLOBAL = "global.fobs"


def main() -> None:
    """Run the rounds and keep the last global weights."""
    settings_file = Path(sys.argv[1]).resolve()
    settings = json.loads(settings_file.read_text(encoding="utf-8"))
    work = Path(settings["work"])
    sites = list(settings["sites"])
    job = FedJob(name="bundle", min_clients=len(sites))
    job.to_server(
        FedAvg(num_clients=len(sites), num_rounds=settings["rounds"], persistor_id="", save_filename=str(work / GLOBAL))
    )
    for site in sites:
        runner = ScriptRunner(
            script=str(SITE_SCRIPT),
            script_args=str(settings_file),
            framework=FrameworkType.NUMPY,
            launch_external_process=True,
            command=f"{sys.executable} -u",
        )
        job.to(runner, site)
    job.simulator_run(str(work / "simulator"), clients=sites, threads=1)
    found = next(iter(sorted(work.rglob(GLOBAL))))
    model = fobs.loadf(str(found))
    params = model.params if hasattr(model, "params") else model
    weights = {name: torch.as_tensor(value) for name, value in params.items()}
    torch.save(weights, work / "global.pt")
    (work / "nvflare.json").write_text(json.dumps({"version": version("nvflare")}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
