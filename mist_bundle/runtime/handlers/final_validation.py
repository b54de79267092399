"""Validate after the last epoch too, where the interval does not divide the number of epochs.

MONAI's ValidationHandler runs every `interval` epochs and no more: with interval 5, epoch 18 of 18 would never be
validated, and a schedule that ends with its best weights would end with those of epoch 15.
"""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.engines import Evaluator


class FinalValidation:
    """Run the evaluator once more when the last epoch of a run was not validated.

    Stands behind the ValidationHandler in the list of handlers. The last epoch is that which reaches the trainer's
    current `max_epochs` (federated rounds and resumed runs move it), or in which the trainer was terminated.

    Args:
        validator: the same SupervisedEvaluator as the ValidationHandler's.
    """

    def __init__(self, validator: Evaluator) -> None:
        self.validator = validator

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Validate if this epoch is the last and was not validated yet."""
        epoch = engine.state.epoch
        is_last = epoch == engine.state.max_epochs or engine.should_terminate
        # the evaluator keeps the epoch that it was run for; a new process has run none
        if is_last and not (self.validator.state.epoch == epoch and self.validator.state.metrics):
            self.validator.run(epoch)
