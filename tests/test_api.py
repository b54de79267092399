"""The Python API: its public names, and the way from data to predictions with them."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle import api
from mist_bundle.dataset.phantom import make_phantom

TINY = {"recipe": "quick", "folds": 2, "epochs": 1, "steps_per_epoch": 1, "patch_size": 16, "val_fraction": 0.2}
# a contract with users' programs: none is renamed or taken away
NAMES = (
    "Bundle CaseFailure DataWarning InputError MistBundleError __version__ analyze audit_bundle compare configure "
    "evaluate finetune rank unpack verify_bundle"
)
METHODS = "audit evaluate export finalize finetune pack plan predict preprocess publish report scores train verify"


def test_public_names_are_frozen_and_each_can_be_had() -> None:
    assert mb.__all__ == NAMES.split()
    assert set(NAMES.split()) <= set(dir(mb))
    for name in mb.__all__:
        assert getattr(mb, name) is not None
    assert set(METHODS.split()) <= set(dir(mb.Bundle))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mb.nothing  # noqa: B018


def test_every_public_name_is_documented_and_typed() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    for name in NAMES.split():
        assert name == "__version__" or name in page, f"docs/python.md does not mention {name}"
    for name in METHODS.split():
        assert f".{name}" in page, f"docs/python.md does not mention Bundle.{name}"
    functions = [value for name, value in vars(api).items() if inspect.isfunction(value) and not name.startswith("_")]
    assert len(functions) > 8
    for function in functions:
        assert inspect.getdoc(function), function
        assert all(one.annotation is not one.empty for one in inspect.signature(function).parameters.values()), function


def test_importing_costs_nothing() -> None:
    code = "import sys, mist_bundle\nassert not {'torch', 'monai', 'numpy', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_option_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(mb.InputError, match=r"epoch: is not an option\. Did you mean 'epochs'"):
        mb.configure(tmp_path / "dataset.json", tmp_path, epoch=3)
    with pytest.raises(mb.InputError, match="--epochs: is 0"):
        mb.configure(
            make_phantom(tmp_path / "data", num_cases=2, shape=(16, 16, 12)), tmp_path / "out", epochs=0, folds=2
        )
    assert not (tmp_path / "out").exists()


def test_configure_gives_a_bundle_and_warns_of_what_was_left_out(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=5, shape=(16, 16, 12))
    victim = sorted((data.parent / "train").iterdir())[2]
    image = sorted(victim.glob("*.nii.gz"))[-1]
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.warns(mb.DataWarning, match=victim.name):
        bundle = mb.configure(str(data), str(tmp_path / "out"), **TINY)  # type: ignore[arg-type]
    assert bundle.plan.patch_size.value == (16, 16, 16)
    assert bundle.plan.num_cases == 4
    assert bundle.audit().passed
    with pytest.raises(mb.InputError, match="--overwrite"):
        mb.configure(data, tmp_path / "out", **TINY)  # type: ignore[arg-type]
    with pytest.raises(mb.InputError, match="--fold"):
        bundle.train(fold=7)
    with pytest.raises(mb.InputError, match="--epochs: is 0"):
        bundle.train(epochs=0)


def test_scoring_and_comparing_files(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", kind="ct", num_cases=3, shape=(16, 16, 12))
    references, predictions = tmp_path / "references", tmp_path / "predictions"
    for target in (references, predictions):
        target.mkdir()
        for folder in sorted((data.parent / "train").iterdir()):
            (target / f"{folder.name}.nii.gz").write_bytes(next(folder.glob("*mask*")).read_bytes())
    scored = mb.evaluate(references, str(predictions), {"all": [1]}, metrics=["dice"])
    assert [case.scores["all_dice"] for case in scored.cases] == [1.0, 1.0, 1.0]
    tables = [tmp_path / name for name in ("a.csv", "b.csv")]
    for table in tables:
        scored.write(table)
    assert [one.other for one in mb.compare(*tables, resamples=10).differences] == [1.0]
    assert [one.mean_rank for one in mb.rank(*tables, resamples=10).standings] == [1.5, 1.5]


@pytest.mark.slow
def test_from_data_to_predictions(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=4, shape=(16, 16, 16), num_test=0)
    bundle = mb.configure(data, tmp_path / "out", **TINY)  # type: ignore[arg-type]
    scores = bundle.train(fold="all").evaluate()
    assert 0 <= scores[next(iter(scores))]["Mean"] <= 1
    assert bundle.finalize().is_file()
    written = bundle.predict(data.parent / "train", tmp_path / "predictions")
    assert len(written) == 4
    assert all(path.is_file() for path in written)
    assert Path(bundle.report(viewer_cases=0).page).is_file()
    assert bundle.verify(quick=True).passed
    packed = bundle.pack(tmp_path / "bundle.zip")
    assert mb.unpack(packed.file, tmp_path / "elsewhere").plan == bundle.plan
    again = bundle.finetune(data, tmp_path / "tuned", **{**TINY, "recipe": None})
    assert again.plan.initial_weights is not None
    assert mb.compare(bundle, bundle, names=["first", "again"], resamples=10).differences


def test_annotations_resolve() -> None:
    assert typing.get_type_hints(api.Bundle._fold_numbers)["return"] == list[int]
