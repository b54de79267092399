"""What may be trained, published, evaluated and finalized, as what is there allows; and how trainings end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle import cli, pipeline
from mist_bundle.errors import InputError
from mist_bundle.files import read_json, work_dir_of
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import file_hashes, read_manifest, write_manifest_content
from mist_bundle.trust.audit import require_audited
from tests.pipeline.trained import GO_ON, everything, replace_weights


def test_a_complete_fold_is_passed_over_and_published_where_it_was_not(bundle: Path) -> None:
    before = file_hashes(bundle)
    pipeline.train(bundle, [0, 1], GO_ON)
    assert file_hashes(bundle) == before
    (bundle / "models/fold_1.pt").unlink()
    manifest = read_manifest(bundle)
    assert manifest is not None
    del manifest["files"]["models/fold_1.pt"]
    write_manifest_content(bundle, manifest["files"], None)
    pipeline.train(bundle, [0, 1], GO_ON)
    assert file_hashes(bundle)["models/fold_1.pt"] == before["models/fold_1.pt"]
    require_audited(bundle, trust=False)


def test_an_interrupted_publication_is_finished_by_the_next_command(bundle: Path) -> None:
    replace_weights(bundle, fold=0)
    after = file_hashes(bundle)
    # as a kill between the announcement and the renaming leaves it
    (bundle / "models/fold_0.pt").rename(bundle / "models/.fold_0.pt.staged.partial")
    shutil.copyfile(bundle / "models/fold_1.pt", bundle / "models/fold_0.pt")
    before = {**after, "models/fold_0.pt": sha256_of(bundle / "models/fold_0.pt")}
    write_manifest_content(bundle, before, {"models/fold_0.pt": after["models/fold_0.pt"]})
    require_audited(bundle, trust=False)
    with pytest.raises(InputError, match="other weights than"):
        pipeline.finalize(bundle)
    assert file_hashes(bundle) == after
    manifest = read_manifest(bundle)
    assert manifest is not None
    assert manifest["files"] == after
    assert "pending" not in manifest


def test_weights_of_an_unfinished_training_are_published_by_command(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(work_dir_of(bundle) / "fold_1")
    (bundle / "models/fold_0.pt").unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    assert cli.main(["publish", str(bundle), "--fold", "0,1"]) == 2
    assert "fold 1: has no weights to publish" in capsys.readouterr().err
    assert not (bundle / "models/fold_0.pt").exists()
    assert cli.main(["publish", str(bundle)]) == 0
    assert "Fold 0: " in capsys.readouterr().out
    assert (
        sha256_of(bundle / "models/fold_0.pt")
        == read_json(work_dir_of(bundle) / "fold_0/status.json")["best"]["sha256"]
    )
    require_audited(bundle, trust=False)
    assert cli.main(["publish", str(bundle)]) == 0
    assert "Fold 0: its best weights had been published" in capsys.readouterr().out


def test_untrained_folds_are_not_evaluated(bundle: Path) -> None:
    (bundle / "models/fold_1.pt").unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    with pytest.raises(InputError, match=r"fold 1: has no weights yet: .*fold_1\.pt is not there\. Train it first"):
        pipeline.evaluate_folds(bundle, [0, 1], {})
    for path in (bundle / "models").iterdir():
        path.unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    with pytest.raises(InputError, match="has no trained fold"):
        pipeline.evaluate_folds(bundle, None, {})


def test_a_wrong_setting_loses_nothing(bundle: Path) -> None:
    before = everything(bundle)
    with pytest.raises(InputError, match="epoch"):
        pipeline.train(bundle, [0], {"epoch": 3}, overwrite=True)
    assert everything(bundle) == before


@pytest.mark.parametrize("fold", [-1, 2])
def test_a_fold_that_is_not_there(bundle: Path, fold: int) -> None:
    with pytest.raises(InputError, match="folds 0 to 1"):
        pipeline.train(bundle, [fold], {})
    assert not (work_dir_of(bundle) / f"fold_{fold}").exists()
