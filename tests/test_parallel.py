"""The pool of workers: what cannot be reached is said at once."""

from __future__ import annotations

import socket

import pytest

from mist_bundle.errors import InputError
from mist_bundle.parallel import map_cases


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://127.0.0.1:abc", "tcp://", "tcp://127.0.0.1:99999999"])
def test_a_scheduler_that_is_not_there(address: str) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match=r"--workers: is .* no scheduler answers"):
        map_cases(str, ["a", "b"], workers=address)


def test_a_port_that_was_closed_again() -> None:
    pytest.importorskip("distributed")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    with pytest.raises(InputError, match="dask scheduler"):
        map_cases(str, ["a", "b"], workers=f"tcp://127.0.0.1:{port}")
