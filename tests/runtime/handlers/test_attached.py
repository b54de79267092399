"""A handler that other parts refer to is attached like any other."""

from __future__ import annotations

from ignite.engine import Engine, Events

from mist_bundle.runtime.handlers.attached import Attached


class Counter:
    def __init__(self) -> None:
        self.epochs = 0

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.count)

    def count(self) -> None:
        self.epochs += 1


def test_the_handler_sees_the_engine() -> None:
    counter, engine = Counter(), Engine(lambda *_: None)
    Attached(counter).attach(engine)
    engine.run([None], max_epochs=3)
    assert counter.epochs == 3
