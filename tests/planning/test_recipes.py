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
    assert (brats.epochs, brats.batch_size, brats.val_fraction) == (15000, 32, 0.025)
    assert brats.accumulation_steps * 4 == 32, "four patches at once: on one GPU in passes, on eight at the same time"


def test_mist2_has_the_defaults_of_2_3_0() -> None:
    mist = RECIPES["mist2"]
    assert (mist.network, mist.residual, mist.deep_supervision_heads, mist.loss) == ("nnunet", True, 2, "dice_ce")
    assert (mist.optimizer, mist.learning_rate, mist.weight_decay) == ("adamw", 1e-3, 1e-4)
    assert (mist.schedule, mist.epochs, mist.grad_clip_norm) == ("cosine", 1000, 1.0)
    assert mist.warmup_fraction * mist.epochs == 20
    assert (mist.patch_rule, mist.max_patch_voxels, mist.batch_size) == ("budget", 128**3, 2)
    assert (mist.min_steps_per_epoch, mist.nonzero_ratio, mist.test_time_flips) == (250, None, True)


def test_all_but_quick_follow_the_paper_where_it_says_nothing_else() -> None:
    for name in ("paper", "brats2024", "mist2"):
        recipe = RECIPES[name]
        assert (recipe.loss, recipe.residual, recipe.deep_supervision_heads) == ("dice_ce", True, 2)
        assert (recipe.augmentation, recipe.flip_axes, recipe.test_time_flips) == ("mist", (0, 1, 2), True)
        assert recipe.filters == (32, 64, 128, 256, 320)
    assert RECIPES["brats2024"].optimizer == "adam"
    assert RECIPES["brats2024"].max_patch_size == (128, 128, 128)
