"""The recipes hold the values of their sources, and only values that their options may have."""

from __future__ import annotations

import pytest

from mist_bundle.planning.checks import check_options
from mist_bundle.planning.options import OPTIONS
from mist_bundle.planning.recipes import RECIPES
from mist_bundle.planning.rules import sliding_windows
from tests.planning.plans import small_plan

# where None stands for a decision by the data
MAY_BE_LEFT_OPEN = {"regions"}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_sets_the_options_that_recipes_set_and_no_others(name: str) -> None:
    options = RECIPES[name].options
    check_options(options)
    for option in OPTIONS.values():
        value = getattr(options, option.name)
        if option.by_recipe:
            assert value is not None or option.name in MAY_BE_LEFT_OPEN, option.name
        else:
            assert value == option.default, option.name
    assert (options.val_fraction or 0) > 0, "a model chosen on the test fold is never reported"


def test_paper_defaults() -> None:
    paper = RECIPES["paper"].options
    assert (paper.optimizer, paper.learning_rate, paper.schedule) == ("adam", 3e-4, "constant")
    assert (paper.epochs, paper.val_fraction, paper.max_patch_size) == (1000, 0.1, (256, 256, 256))


def test_brats2024_protocol() -> None:
    brats = RECIPES["brats2024"].options
    assert (brats.network, brats.residual, brats.deep_supervision_heads) == ("nnunet-pocket", True, 2)
    assert (brats.learning_rate, brats.schedule, brats.weight_decay) == (1e-3, "cosine", 1e-5)
    assert (brats.epochs, brats.batch_size, brats.val_fraction) == (15000, 32, 0.025)
    assert brats.accumulation_steps == 8, "four patches at once: on one GPU in passes, on eight at the same time"


def test_mist2_has_the_defaults_of_2_3_0() -> None:
    mist, options = RECIPES["mist2"], RECIPES["mist2"].options
    assert (options.network, options.residual, options.deep_supervision_heads) == ("nnunet", True, 2)
    assert (options.loss, options.optimizer, options.learning_rate) == ("dice_ce", "adamw", 1e-3)
    assert (options.weight_decay, options.schedule) == (1e-4, "cosine")
    assert (options.epochs, options.grad_clip_norm, options.batch_size) == (1000, 1.0, 2)
    assert mist.warmup_fraction * (options.epochs or 0) == 20
    assert (mist.patch_rule, mist.max_patch_voxels) == ("budget", 128**3)
    assert (mist.min_steps_per_epoch, mist.nonzero_ratio, mist.test_time_flips) == (250, None, True)


def test_all_but_quick_follow_the_paper_where_it_says_nothing_else() -> None:
    for name in ("paper", "brats2024", "mist2"):
        recipe, options = RECIPES[name], RECIPES[name].options
        assert (options.loss, options.residual, options.deep_supervision_heads) == ("dice_ce", True, 2)
        assert (options.augmentation, options.flip_axes, recipe.test_time_flips) == ("mist", (0, 1, 2), True)
        assert recipe.filters == (32, 64, 128, 256, 320)
    assert RECIPES["brats2024"].options.optimizer == "adam"
    assert RECIPES["brats2024"].options.max_patch_size == (128, 128, 128)


def test_cpu_predicts_large_images_in_fewer_windows_than_quick() -> None:
    plans = {}
    for name in ("quick", "cpu"):
        plans[name] = small_plan(recipe=name, shape=(512, 512, 215), spacing_mm=(0.8, 0.8, 2.0))
    windows = {}
    for name, plan in plans.items():
        shape = plan.median_resampled_shape.value
        windows[name] = sliding_windows(shape, plan.patch_size.value, plan.overlap.value)
    assert min(plans["cpu"].target_spacing_mm.value) > 1.5 * min(plans["quick"].target_spacing_mm.value)
    assert windows["cpu"] <= 8 < windows["quick"]
    assert not plans["cpu"].test_time_flip_axes.value
    small = [small_plan(recipe=name, shape=(36, 50, 36)) for name in ("quick", "cpu")]
    assert small[0].target_spacing_mm.value == small[1].target_spacing_mm.value


def test_no_other_recipe_changes_the_spacing_or_the_overlap() -> None:
    for name in RECIPES.keys() - {"cpu"}:
        assert (RECIPES[name].max_image_voxels, RECIPES[name].overlap) == (0, 0.5), name
