"""The share of the region term against mist-medical 2.3.0, and what a resumed run makes of it."""

from __future__ import annotations

import pytest
from ignite.engine import Engine

from mist_bundle.runtime.losses.composite_weighting import CompositeWeighting, region_share

# mist-medical 2.3.0: (epochs, epoch) -> (linear, cosine)
MIST = {
    (20, 0): (1.0, 1.0),
    (20, 5): (1.0, 1.0),
    (20, 6): (0.9285714285714286, 0.9874639560909118),
    (20, 10): (0.6428571428571428, 0.716941869558779),
    (20, 19): (0.0, 0.0),
    (30, 15): (0.5833333333333333, 0.6294095225512604),
    (1000, 6): (0.9989939637826962, 0.999997502723538),
    (1000, 500): (0.5020120724346077, 0.5031605349421328),
}


@pytest.mark.parametrize(("epochs", "epoch"), sorted(MIST))
def test_equals_mist(epochs: int, epoch: int) -> None:
    linear, cosine = MIST[epochs, epoch]
    assert region_share(epoch, epochs, "linear") == pytest.approx(linear)
    assert region_share(epoch, epochs, "cosine") == pytest.approx(cosine)
    assert region_share(epoch, epochs, "constant") == 0.5


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 8, 19])
def test_short_runs_reach_the_end_too(shape: str, epochs: int) -> None:
    # mist-medical 2.3.0 never leaves the start in 6 epochs or less
    shares = [region_share(epoch, epochs, shape) for epoch in range(epochs)]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.0) or epochs == 1
    assert region_share(epochs + 5, epochs, shape) == pytest.approx(0.0), "federated rounds continue"


def _shares(first_epoch: int, epochs: int) -> list[float]:
    weighting = CompositeWeighting("linear", epochs)
    seen: list[float] = []
    engine = Engine(lambda _, batch: seen.append(weighting.share))
    weighting.attach(engine)
    engine.state.max_epochs, engine.state.epoch_length = epochs, 2
    engine.state.epoch, engine.state.iteration = first_epoch, 2 * first_epoch
    engine.run([0, 1], max_epochs=epochs, epoch_length=2)
    return seen


def test_resumed_run_goes_on_with_the_share_it_had() -> None:
    whole = _shares(0, 4)
    assert whole == pytest.approx([1, 1, 1, 1, 0.5, 0.5, 0, 0])
    assert _shares(2, 4) == whole[4:]


def test_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected constant, linear or cosine"):
        CompositeWeighting("square")
