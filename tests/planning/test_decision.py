from __future__ import annotations

import pickle

from mist_bundle.planning.decision import Decision


def test_decisions_compare_by_value_and_reason_and_can_be_sent_to_workers() -> None:
    decision = Decision((64, 64, 32), "Chosen by the user.")
    assert decision == pickle.loads(pickle.dumps(decision))
    assert decision != Decision((64, 64, 32), "Off by default.")
