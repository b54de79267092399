"""What a training that fails undoes: a longer program around it, such as a notebook, may run on afterwards."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ignite.engine import Engine, Events

_clean_ups: WeakKeyDictionary[Engine, list[Callable[[], object]]] = WeakKeyDictionary()


def clean_up_after(engine: Engine, clean_up: Callable[[], object]) -> None:
    """Call a function if a run of the engine ends with an exception, which is raised again.

    Ignite swallows the exception that a handler has seen, and calls no further handlers if that handler raises it. So
    there is a single handler for an engine, which calls all functions, the latest first, and raises the exception.

    Args:
        engine: a trainer.
        clean_up: may be called several times; must not raise.
    """
    if engine not in _clean_ups:
        _clean_ups[engine] = []
        engine.add_event_handler(Events.EXCEPTION_RAISED, _failed)
    _clean_ups[engine].append(clean_up)


def _failed(engine: Engine, error: BaseException) -> None:
    for clean_up in reversed(_clean_ups[engine]):
        clean_up()
    raise error
