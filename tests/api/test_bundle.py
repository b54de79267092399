"""A bundle's folder with everything that can be done with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.dataset.phantom import make_phantom
from tests.api.test_configure import TINY


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> mb.Bundle:
    folder = tmp_path_factory.mktemp("untrained")
    data = make_phantom(folder / "data", num_cases=4, shape=(16, 16, 12))
    return mb.configure(data, folder / "out", **TINY)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mb.InputError, match="is not a bundle"):
        mb.Bundle(str(tmp_path))


def test_impossible_folds_and_values_are_refused_before_training(untrained: mb.Bundle) -> None:
    with pytest.raises(mb.InputError, match="--fold"):
        untrained.train(fold=7)
    with pytest.raises(mb.InputError, match=r"expected the number of a fold \(0, 1 …\), several"):
        untrained.train(fold="both")
    with pytest.raises(mb.InputError, match="--epochs: is 0"):
        untrained.train(epochs=0)
    with pytest.raises(mb.InputError, match="--processes"):
        untrained.train(processes=0)


def test_nothing_is_evaluated_without_weights(untrained: mb.Bundle) -> None:
    assert untrained.trained_folds() == []
    with pytest.raises(mb.InputError, match="has no trained fold"):
        untrained.evaluate()
    with pytest.raises(mb.InputError, match="--metrics"):
        untrained.evaluate(metrics=["dise"])
    assert untrained.scores() == {}
    with pytest.raises(mb.InputError, match="Train and evaluate this fold first"):
        untrained.finalize()


def test_the_version_is_raised(untrained: mb.Bundle) -> None:
    before = untrained.metadata["version"]
    after = untrained.bump_version("Nothing but a test.", "minor")
    assert after != before
    assert untrained.metadata["version"] == after
    assert "Nothing but a test." in str(untrained.metadata["changelog"][after])
    assert repr(untrained) == f"Bundle({str(untrained.root)!r})"


@pytest.mark.slow
def test_from_data_to_predictions(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=4, shape=(16, 16, 16), num_test=0)
    bundle = mb.configure(data, tmp_path / "out", **TINY)
    headings: list[str] = []
    scores = bundle.train(fold="all", announce=headings.append).evaluate()
    assert headings[0] == "Training fold 0 (1 of 2)"
    assert bundle.trained_folds() == [0, 1]
    assert 0 <= scores[next(iter(scores))]["Mean"] <= 1
    assert len(bundle.scores_by_case()) == 4
    assert bundle.finalize().is_file()
    written = bundle.predict(data.parent / "train", tmp_path / "predictions")
    assert len(written) == 4
    assert all(path.is_file() for path in written)
    assert Path(bundle.report(viewer=False).page).is_file()
    assert bundle.verify(quick=True).passed
    packed = bundle.pack(tmp_path / "bundle.zip")
    assert mb.unpack(packed.file, tmp_path / "elsewhere").plan == bundle.plan
    again = bundle.finetune(data, tmp_path / "tuned", **{**TINY, "recipe": None})
    assert again.plan.initial_weights is not None
    assert mb.compare(bundle, bundle, names=["first", "again"], resamples=10).differences
