"""Opcodes of pickles: what they import, checked against what Python's own unpickler asks for."""

from __future__ import annotations

import collections
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from mist_bundle.trust.audit.bundle_files import open_bundle
from mist_bundle.trust.audit.pickles import STATE_DICT_GLOBALS, UNKNOWN, scan_pickle
from mist_bundle.trust.audit.weight_files import check_weights


class _Recorder(pickle.Unpickler):
    """Notes every import that unpickling asks for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add(f"{module}.{name}")
        return collections.OrderedDict if name == "OrderedDict" else lambda *arguments: None


class _Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [collections.OrderedDict(a=1), _Bomb(), [_Bomb(), {"x": collections.OrderedDict()}]])
def test_names_are_those_that_unpickling_asks_for(protocol: int, value: Any) -> None:
    content = pickle.dumps(value, protocol=protocol)
    recorder = _Recorder(content)
    recorder.load()
    found = scan_pickle(content)
    assert not found.broken
    assert recorder.names <= found.names
    assert found.names - {UNKNOWN} == recorder.names
    assert found.calls


def test_several_pickles_in_a_row_are_all_read() -> None:
    found = scan_pickle(pickle.dumps(1, protocol=2) + pickle.dumps(_Bomb(), protocol=2))
    assert any(name.endswith(".system") for name in found.names)


def test_a_cut_pickle_is_broken() -> None:
    assert scan_pickle(pickle.dumps(list(range(1000)), protocol=2)[:50]).broken


def test_state_dicts_of_every_type_pass(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/a.json").write_text("{}")
    types = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
    state = collections.OrderedDict((str(kind), torch.zeros(2, 3, dtype=kind)) for kind in types)
    network = torch.nn.Conv3d(1, 2, 3)
    content = {
        "weights": state,
        "network": network.state_dict(),
        "optimizer": torch.optim.Adam(network.parameters()).state_dict(),
    }
    torch.save({**content, "parameter": torch.nn.Parameter(torch.zeros(1)), "epoch": 3}, tmp_path / "x.pt")
    assert not list(check_weights(open_bundle(tmp_path), "x.pt"))


def test_what_passes_loads_weights_only() -> None:
    # the list is no wider than torch's own
    from torch._weights_only_unpickler import _get_allowed_globals

    allowed = set(_get_allowed_globals())
    known = {name for name in STATE_DICT_GLOBALS if name in allowed}
    # storages are admitted by torch under the names of their types
    others = {name for name in STATE_DICT_GLOBALS - known if not name.endswith("Storage")}
    assert not others, others
