"""The recipes hold the values of their sources and only names that the menu knows."""

from __future__ import annotations

import pytest

from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.planning.recipes import RECIPES


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_names_are_on_the_menu(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.network in NETWORKS
    assert recipe.loss in LOSSES
    assert recipe.optimizer in OPTIMIZERS
    assert recipe.schedule in SCHEDULES
    assert recipe.val_fraction > 0, "a model chosen on the test fold is never reported"


def test_paper_defaults() -> None:
    paper = RECIPES["paper"]
    assert (paper.optimizer, paper.learning_rate, paper.schedule) == ("adam", 3e-4, "constant")
    assert (paper.epochs, paper.val_fraction, paper.max_patch_size) == (1000, 0.1, (256, 256, 256))


def test_brats2024_protocol() -> None:
    brats = RECIPES["brats2024"]
    assert (brats.network, brats.residual, brats.deep_supervision_heads) == ("nnunet-pocket", True, 2)
    assert (brats.learning_rate, brats.schedule, brats.weight_decay) == (1e-3, "cosine", 1e-5)
    assert (brats.epochs, brats.batch_size * 8, brats.val_fraction) == (15000, 32, 0.025)
