"""One site of a federated training: MONAI's client algorithm on a bundle, driven by NVFlare or alone.

    federated_site.py SETTINGS_JSON [SITE]

With SITE the site trains alone, as many epochs as all rounds together. Without, NVFlare says which site this is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, ModelType
from monai.fl.utils.exchange_object import ExchangeObject


def algorithm(settings: dict[str, Any], site: str) -> MonaiAlgo:
    """MONAI's algorithm with the data of a site."""
    data = {key: settings["sites"][site][key] for key in ("datalist", "dataset_dir", "work_dir")}
    made = MonaiAlgo(
        bundle_root=settings["bundle"],
        local_epochs=settings["local_epochs"],
        send_weight_diff=False,
        config_evaluate_filename=None,
        train_kwargs={**data, **settings["train"]},
    )
    made.initialize(extra={ExtraItems.CLIENT_NAME: site})
    return made


def rates(made: MonaiAlgo) -> list[float]:
    """A list that receives the learning rate of every step."""
    from ignite.engine import Events

    seen: list[float] = []
    made.trainer.add_event_handler(
        Events.ITERATION_STARTED, lambda engine: seen.append(engine.optimizer.param_groups[0]["lr"])
    )
    return seen


def weights_of(made: MonaiAlgo) -> dict[str, torch.Tensor]:
    """The weights of a site's network, on the host."""
    return {name: value.detach().cpu().clone() for name, value in made.trainer.network.state_dict().items()}


def train_alone(settings: dict[str, Any], site: str) -> None:
    """All rounds on the data of one site."""
    made = algorithm(settings, site)
    seen = rates(made)
    first = weights_of(made)
    moved, per_round = [], []
    for _ in range(settings["rounds"]):
        before, count = weights_of(made), len(seen)
        made.train(ExchangeObject(weights=before))
        moved.append(float(sum((weights_of(made)[name] - value).float().norm() for name, value in before.items())))
        per_round.append(seen[count:])
    torch.save(weights_of(made), Path(settings["work"]) / f"{site}.pt")
    kinds = {}
    for kind in (ModelType.BEST_MODEL, ModelType.FINAL_MODEL):
        received = made.get_weights(extra={ExtraItems.MODEL_TYPE: kind}).weights
        kinds[str(kind)] = {name: bool(torch.equal(value, weights_of(made)[name])) for name, value in received.items()}
    report = {
        "equal_to_the_last": {kind: all(equal.values()) for kind, equal in kinds.items()},
        "tensors_received": {kind: len(equal) for kind, equal in kinds.items()},
        "first_rate_of_round": [round_rates[0] for round_rates in per_round],
        "weights_moved_in_round": moved,
        "tensors": len(first),
    }
    (Path(settings["work"]) / f"{site}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def train_federated(settings: dict[str, Any]) -> None:
    """Take weights, train, give weights, until NVFlare says that it is over."""
    import nvflare.client as flare

    flare.init()
    made = algorithm(settings, flare.get_site_name())
    while flare.is_running():
        received = flare.receive()
        names = dict(weights_of(made))
        weights = {name: torch.as_tensor(value) for name, value in received.params.items()} or names
        made.train(ExchangeObject(weights=weights))
        result = {name: value.numpy() for name, value in weights_of(made).items()}
        steps = settings["local_epochs"] * settings["train"]["steps_per_epoch"]
        flare.send(flare.FLModel(params=result, meta={"NUM_STEPS_CURRENT_ROUND": steps}))


def main() -> None:
    """Read the words and train."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if len(sys.argv) > 2:
        train_alone(settings, sys.argv[2])
    else:
        train_federated(settings)


if __name__ == "__main__":
    main()
