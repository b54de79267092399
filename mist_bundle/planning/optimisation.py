"""How the weights are found: optimizer, rate and its schedule, penalties, precision. Asked for, or from the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.augmentations import AUGMENTATIONS
from mist_bundle.catalog.choice import nearest
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.precisions import PRECISIONS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.errors import Problem
from mist_bundle.planning.recipes import RECIPES, Recipe
from mist_bundle.planning.rules import Decision

if TYPE_CHECKING:
    from mist_bundle.planning.options import PlanOptions

# the same names in PlanOptions, Recipe, Plan and train.json
SETTINGS = (
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "l1_penalty",
    "grad_clip_norm",
    "accumulation_steps",
    "ema_decay",
    "early_stopping",
    "precision",
    "compile",
    "augmentation",
)
MENUS: Mapping[str, Mapping[str, Any]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "augmentation": AUGMENTATIONS,
}
WARMUP_SHARE = 10  # a warm-up that does not fit takes this part of the run (one tenth), as the schedule itself does


def menu_problems(options: PlanOptions) -> Iterator[Problem]:
    """A Problem for each name that is not on its menu, and for settings that contradict each other."""
    for name, menu in MENUS.items():
        value = getattr(options, name)
        if value is not None and value not in menu:
            yield Problem(f"--{name}", f"there is no {name} called {value!r}. {nearest(str(value), menu)}")
    if options.compile is not None and not isinstance(options.compile, bool):
        yield Problem("--compile", f"is {options.compile!r}; expected true or false.")
    if options.flip_axes is not None and not set(options.flip_axes) <= {0, 1, 2}:
        yield Problem("--flip_axes", f"is {list(options.flip_axes)}; expected some of 0,1,2 (X, Y, Z).")
    recipe = RECIPES.get(options.recipe)
    yield from _accumulation_problems(options, recipe)
    fraction = options.val_fraction if options.val_fraction is not None or recipe is None else recipe.val_fraction
    if options.early_stopping and fraction == 0:
        text = (
            "needs an inner validation split to watch, but --val_fraction is 0. Raise it, or leave early stopping out."
        )
        yield Problem("--early_stopping", text)


def _accumulation_problems(options: PlanOptions, recipe: Recipe | None) -> Iterator[Problem]:
    passes, batch = options.accumulation_steps, options.batch_size
    if batch is None and recipe is not None:
        batch = recipe.batch_size
    if isinstance(passes, int) and isinstance(batch, int) and passes > batch > 0:
        text = (
            f"is {passes} passes for a batch of {batch} patches. --batch_size counts all patches of an optimizer step, "
            f"whatever the number of passes and processes; perhaps you want --batch_size {passes * batch}."
        )
        yield Problem("--accumulation_steps", text)


def decide_optimisation(options: PlanOptions, recipe: Recipe, total_steps: int) -> dict[str, Any]:
    """The decisions of `SETTINGS`, and the warm-up.

    Args:
        options: what was asked for.
        recipe: decides the rest.
        total_steps: optimizer steps of a whole training.
    """
    decided: dict[str, Any] = {}
    for name in SETTINGS:
        asked = getattr(options, name)
        decided[name] = (
            Decision(getattr(recipe, name), f"Recipe {options.recipe}.")
            if asked is None
            else Decision(asked, "Asked for.")
        )
    if decided["accumulation_steps"].value > 1:
        count = decided["accumulation_steps"]
        text = f"{count.because} One process computes the patches of a step in {count.value} passes; several, in fewer."
        decided["accumulation_steps"] = Decision(count.value, text)
    fraction = recipe.warmup_fraction if options.warmup_steps is None else None
    return {**decided, "warmup_fraction": fraction, "warmup_steps": _warmup(options, recipe, total_steps)}


def _warmup(options: PlanOptions, recipe: Recipe, total_steps: int) -> Decision[int]:
    asked = options.warmup_steps
    if asked is None:
        text = f"Recipe {options.recipe}: {recipe.warmup_fraction:.0%} of all steps, so never longer than the run."
        return Decision(int(total_steps * recipe.warmup_fraction), text)
    if 0 < asked >= total_steps:
        fitting = total_steps // WARMUP_SHARE
        return Decision(fitting, f"Asked for {asked}, but the run has {total_steps} steps; a tenth of them instead.")
    return Decision(int(asked), "Asked for.")
