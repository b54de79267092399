"""A training that fails is cleaned up after, and its exception is not lost."""

from __future__ import annotations

from typing import Any

import pytest
from ignite.engine import Engine, Events

from mist_bundle.runtime.handlers.clean_up import clean_up_after


def _fail(engine: Engine, batch: Any) -> None:
    del engine, batch
    raise RuntimeError("a step failed")


@pytest.mark.parametrize("event", [Events.STARTED, Events.ITERATION_STARTED, Events.EPOCH_COMPLETED, None])
@pytest.mark.parametrize("error", [RuntimeError("in a handler"), SystemExit(143), KeyboardInterrupt()])
def test_all_are_called_the_latest_first_and_the_exception_goes_on(event: Any, error: BaseException) -> None:
    def raise_it(*_: object) -> None:
        raise error

    engine = Engine(raise_it if event is None else lambda *_: None)
    called: list[str] = []
    clean_up_after(engine, lambda: called.append("first"))
    clean_up_after(engine, lambda: called.append("second"))
    if event is not None:
        engine.add_event_handler(event, raise_it)
    with pytest.raises(type(error)) as raised:
        engine.run([1, 2], max_epochs=1)
    assert raised.value is error
    assert called[:2] == ["second", "first"]


def test_nothing_is_called_after_a_run_without_exception() -> None:
    engine, other = Engine(lambda *_: None), Engine(_fail)
    called: list[str] = []
    clean_up_after(engine, lambda: called.append("engine"))
    clean_up_after(other, lambda: called.append("other"))
    engine.run([1], max_epochs=1)
    assert called == []
    with pytest.raises(RuntimeError, match="a step failed"):
        other.run([1], max_epochs=1)
    assert set(called) == {"other"}
