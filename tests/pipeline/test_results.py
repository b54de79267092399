"""Results of all folds, and which weights they belong to."""

from __future__ import annotations

import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli, pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.files import read_json, work_dir_of
from mist_bundle.pipeline.results import scored_weights
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.trust.audit import require_audited
from tests.pipeline.trained import replace_weights


def test_scores_of_weights_that_were_replaced_are_not_gathered(bundle: Path) -> None:
    pipeline.finalize(bundle)
    replace_weights(bundle, fold=1)
    card = (bundle / "docs/README.md").read_text()
    assert "Not evaluated yet" in card
    assert "| mean | std |" not in card
    assert read_json(bundle / "configs/metadata.json")["eval_metrics"] == {}
    require_audited(bundle, trust=False)
    results = (work_dir_of(bundle) / "results.csv").read_bytes()
    with pytest.raises(InputError) as caught:
        pipeline.finalize(bundle)
    (problem,) = caught.value.problems
    assert problem.path.endswith("fold_1/results.csv")
    assert "other weights than models/fold_1.pt" in problem.message
    assert f"mist-bundle evaluate {bundle} --fold 1" in problem.message
    assert (work_dir_of(bundle) / "results.csv").read_bytes() == results
    assert pipeline.evaluated_folds(bundle) == [0]


def test_finalized_results_name_the_weights(bundle: Path) -> None:
    pipeline.finalize(bundle)
    weights = {str(fold): sha256_of(bundle / f"models/fold_{fold}.pt") for fold in (0, 1)}
    assert read_json(work_dir_of(bundle) / "results.json")["derived_from"] == {"weights": weights}
    card = (bundle / "docs/README.md").read_text()
    assert all(f"fold {fold} `{digest[:12]}`" in card for fold, digest in weights.items())


def test_a_case_without_scores_is_named_below_the_scores_of_the_others(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = work_dir_of(bundle) / "fold_0/results.csv"
    head, lost, *others = table.read_text().splitlines(keepends=True)
    table.write_text("".join([head, *others]))
    assert cli.main(["finalize", str(bundle)]) == EXIT_SOME_CASES_FAILED
    printed = capsys.readouterr()
    assert "worst" in printed.out
    assert lost.split(",")[0] in printed.err


def _write_probabilities(bundle: Path) -> None:
    """Maps as `evaluate --save_probabilities true` writes them, of predictions that are sure of themselves."""
    regions = Bundle(bundle).plan.final_classes.values()  # overlapping, so that each has a channel
    for path in sorted(work_dir_of(bundle).glob("fold_*/predictions/*.nii.gz")):
        image = nib.load(path)
        label = np.asarray(image.dataobj)
        channels = np.stack([np.where(np.isin(label, members), 0.98, 0.01) for members in regions], axis=-1)
        folder = path.parent / "probabilities"
        folder.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(channels.astype(np.float32), image.affine), folder / path.name)


def test_calibration_needs_maps_goes_into_the_bundle_and_falls_with_its_weights(bundle: Path) -> None:
    with pytest.raises(InputError, match=r"held-out cases have no map of probabilities.*--save_probabilities true"):
        pipeline.calibrate(bundle, workers=1)
    _write_probabilities(bundle)
    calibration, account = pipeline.calibrate(bundle, workers=1)
    content = read_json(bundle / "configs/confidence.json")
    assert content["temperature"] == round(calibration.temperature, 4)
    assert set(content["derived_from"]) == {"0", "1"}
    assert len(read_json(account)["cases"]) == content["num_cases"]
    require_audited(bundle, trust=False)
    replace_weights(bundle, fold=1)
    assert read_json(bundle / "configs/confidence.json")["temperature"] is None
    require_audited(bundle, trust=False)


def test_commands_in_messages_can_be_pasted(own_bundle: Path, tmp_path: Path) -> None:
    """A folder's name may hold spaces, and what a shell would run."""
    moved = own_bundle.rename(tmp_path / "b 'x $(id) ü")
    (moved / "models").mkdir(exist_ok=True)
    for number in (0, 1):
        (moved / f"models/fold_{number}.pt").write_bytes(b"weights")
    with pytest.raises(InputError) as refused:
        scored_weights(Bundle(moved))
    for problem in refused.value.problems:
        assert shlex.split(problem.message.partition("mist-bundle ")[2])[:2] == ["evaluate", str(moved)]
