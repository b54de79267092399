"""When the optimizer steps: in every iteration, or in every n-th where gradients are accumulated.

An iteration of the trainer is a batch through the network. What belongs to a step of the optimizer (clipping, the
learning rate, the average of the weights) has to follow the optimizer, not the iterations.
"""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events


def steps_optimizer(engine: Engine) -> bool:
    """Whether the optimizer steps in the iteration under way (MONAI's rule: always in the last of an epoch)."""
    every = getattr(engine, "accumulation_steps", 1)
    length = engine.state.epoch_length or 0
    done = (engine.state.iteration - 1) % length + 1 if length else engine.state.iteration
    return done % every == 0 or done == length


def optimizer_steps(engine: Engine) -> int:
    """Steps that the optimizer has taken since the first epoch, the iteration under way counted as finished."""
    every = getattr(engine, "accumulation_steps", 1)
    length = engine.state.epoch_length or engine.state.iteration
    epochs, rest = divmod(engine.state.iteration, length)
    return int(epochs * -(-length // every) - (-rest // every))


def steps_per_epoch(engine: Engine) -> int:
    """Steps that the optimizer takes in an epoch of the run that has begun."""
    every = getattr(engine, "accumulation_steps", 1)
    return -(-(engine.state.epoch_length or 0) // every)


def optimizer_stepped() -> Any:
    """The event after an iteration in which the optimizer stepped, to attach handlers of a trainer to."""
    return Events.ITERATION_COMPLETED(event_filter=lambda engine, _: steps_optimizer(engine))
