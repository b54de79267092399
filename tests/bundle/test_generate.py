"""The generated folder: complete, relocatable, and nothing in it that only this machine understands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.launch import configured_dataset_dir
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions
from mist_bundle.trust.audit import require_audited
from tests.conftest import TINY

CONFIGS = {"train", "evaluate", "inference", "preprocess", "multi_gpu_train", "multi_gpu_evaluate"}
DOCUMENTS = {"metadata", "plan", "datalist", "postprocessing", "confidence"}


def _texts(bundle: Path) -> dict[str, str]:
    files = [path for path in bundle.rglob("*") if path.is_file() and path.suffix in (".json", ".md", ".txt", ".conf")]
    return {path.relative_to(bundle).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_every_file_of_the_contract_is_there(fresh_bundle: Path) -> None:
    names = {path.name for path in (fresh_bundle / "configs").iterdir()}
    assert names == {f"{stem}.json" for stem in CONFIGS | DOCUMENTS} | {"logging.conf"}
    for file in ("LICENSE", "MANIFEST.json", "docs/README.md", "docs/data_license.txt", "scripts/__init__.py"):
        assert (fresh_bundle / file).is_file(), file
    assert fresh_bundle.name == "phantom_mr2_segmentation"


def test_no_absolute_path_is_written(fresh_bundle: Path, phantom_json: Path) -> None:
    texts = _texts(fresh_bundle)
    assert len(texts) == 16
    for name, text in texts.items():
        assert str(phantom_json.parent) not in text, name
        assert str(fresh_bundle.parent) not in text, name
        assert str(Path.home()) + "/" not in text, name


def test_files_are_named_relative_to_the_training_folder(fresh_bundle: Path, phantom_json: Path) -> None:
    datalist = json.loads((fresh_bundle / "configs/datalist.json").read_text())
    train = phantom_json.parent / "train"
    assert len(datalist["training"]) == 6
    assert len(datalist["testing"]) == 2
    for entry in datalist["training"]:
        assert all((train / file).is_file() for file in [*entry["image"], entry["label"]])
    for entry in datalist["testing"]:
        assert all((train / file).is_file() for file in entry["image"])


def test_inner_validation_never_touches_the_test_fold(fresh_bundle: Path) -> None:
    training = json.loads((fresh_bundle / "configs/datalist.json").read_text())["training"]
    assert {entry["fold"] for entry in training} == {0, 1}
    for fold in (0, 1):
        held_back = [entry for entry in training if fold in entry["validates"]]
        assert held_back
        assert all(entry["fold"] != fold for entry in held_back)


def test_every_decision_has_a_reason(fresh_bundle: Path) -> None:
    plan = json.loads((fresh_bundle / "configs/plan.json").read_text())
    assert len(plan["decisions"]) > 20
    assert all(decision["because"] for decision in plan["decisions"].values())
    card = (fresh_bundle / "docs/README.md").read_text()
    assert all(name.replace("_", " ") in card for name in plan["decisions"])


def test_same_input_gives_the_same_bytes(phantom_json: Path, fresh_bundle: Path, tmp_path: Path) -> None:
    from tests.conftest import TINY

    # beside the first one: what is relative to the folder is the same from there
    again = pipeline.autoconfig(phantom_json, fresh_bundle.parent.parent / tmp_path.name, TINY).bundle
    assert _texts(again) == _texts(fresh_bundle)


def test_existing_bundle_is_not_overwritten_unasked(own_bundle: Path, phantom_json: Path) -> None:
    (own_bundle / "models" / "model.pt").write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        pipeline.autoconfig(phantom_json, own_bundle.parent, PlanOptions(folds=2))
    assert (own_bundle / "models" / "model.pt").read_bytes() == b"precious"


def test_yaml_is_the_same_configuration(phantom_json: Path, fresh_bundle: Path, tmp_path: Path) -> None:
    import yaml

    from tests.conftest import TINY

    folder = fresh_bundle.parent.parent / tmp_path.name
    bundle = pipeline.autoconfig(phantom_json, folder, TINY, config_format="yaml").bundle
    for stem in CONFIGS:
        as_yaml = yaml.safe_load((bundle / f"configs/{stem}.yaml").read_text())
        assert as_yaml == json.loads((fresh_bundle / f"configs/{stem}.json").read_text())


@pytest.mark.parametrize("name", ["with blanks", "at@bundle_root", "it's 100%#1", 'quoted "so"', "größer"])
def test_folder_of_cases_may_have_any_name(name: str, phantom_json: Path, tmp_path: Path) -> None:
    # MONAI looks for references inside of strings too
    from monai.bundle import ConfigParser

    data = Path(shutil.copytree(phantom_json.parent, tmp_path / name))
    bundle = pipeline.autoconfig(data / "dataset.json", tmp_path / "out", TINY).bundle
    require_audited(bundle)
    parser = ConfigParser(globals={"os": "os"})
    parser.read_config(str(bundle / "configs/train.json"))
    parser["bundle_root"] = str(bundle)
    assert Path(parser.get_parsed_content("dataset_dir")) == data / "train"
    assert configured_dataset_dir(bundle) == (data / "train").resolve()
