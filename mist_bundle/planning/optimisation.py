"""Decisions about training: optimizer, learning rate and schedule, penalties, precision; by the user or the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import CHOSEN, Recipe, by_recipe, resolve_option
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
    """Decide `SETTINGS` and the warm-up; the result holds these fields of a Plan by name.

    Args:
        options: the user's options.
        recipe: decides what the user leaves open.
        total_steps: optimizer steps of the whole training.
    """
    decided: dict[str, Any] = {name: resolve_option(name, options) for name in SETTINGS}
    passes = decided["accumulation_steps"]
    if passes.value > 1:
        because = f"{passes.because} A single process computes a step in {passes.value} passes; several need fewer."
        decided["accumulation_steps"] = Decision(passes.value, because)
    decided["warmup_fraction"] = recipe.warmup_fraction if options.warmup_steps is None else None
    decided["warmup_steps"] = _decide_warmup(options, recipe, total_steps)
    return decided


def _decide_warmup(options: PlanOptions, recipe: Recipe, total_steps: int) -> Decision[int]:
    if options.warmup_steps is None:
        steps = int(total_steps * recipe.warmup_fraction)
        because = by_recipe(options.recipe)
        if recipe.warmup_fraction > 0:
            because += f" It is {recipe.warmup_fraction:.0%} of all steps, however long the run is."
        return Decision(steps, because)
    steps = int(options.warmup_steps)
    fitting = fitting_warmup(steps, total_steps)
    if fitting != steps and steps > 0:
        because = f"Chosen by the user: {steps}, but the run has {total_steps} steps; a tenth of them instead."
        return Decision(fitting, because)
    return Decision(steps, CHOSEN)
