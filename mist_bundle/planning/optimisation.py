"""How the weights are found: optimizer, rate and its schedule, penalties, precision. Asked for, or from the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import ASKED, Recipe, asked_or_recipe, by_recipe
from mist_bundle.runtime.numerics.warmup import fitting_warmup

if TYPE_CHECKING:
    from mist_bundle.planning.options import PlanOptions

# the same names in PlanOptions, Plan and train.json
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


def decide_optimisation(options: PlanOptions, recipe: Recipe, total_steps: int) -> dict[str, Any]:
    """The decisions of `SETTINGS`, and the warm-up.

    Args:
        options: what was asked for.
        recipe: decides the rest.
        total_steps: optimizer steps of a whole training.
    """
    decided: dict[str, Any] = {name: asked_or_recipe(name, options) for name in SETTINGS}
    if decided["accumulation_steps"].value > 1:
        count = decided["accumulation_steps"]
        text = f"{count.because} One process computes the patches of a step in {count.value} passes; several, in fewer."
        decided["accumulation_steps"] = Decision(count.value, text)
    fraction = recipe.warmup_fraction if options.warmup_steps is None else None
    return {**decided, "warmup_fraction": fraction, "warmup_steps": _warmup(options, recipe, total_steps)}


def _warmup(options: PlanOptions, recipe: Recipe, total_steps: int) -> Decision[int]:
    asked = options.warmup_steps
    if asked is None:
        return Decision(int(total_steps * recipe.warmup_fraction), _recipes_warmup(options.recipe, recipe))
    fitting = fitting_warmup(int(asked), total_steps)
    if asked > 0 and fitting != asked:
        return Decision(fitting, f"Asked for {asked}, but the run has {total_steps} steps; a tenth of them instead.")
    return Decision(int(asked), ASKED)


def _recipes_warmup(name: str, recipe: Recipe) -> str:
    if recipe.warmup_fraction == 0:
        return by_recipe(name)
    return f"{by_recipe(name)} It is {recipe.warmup_fraction:.0%} of all steps, however long the run is."
