"""Where a source may come from, what is read of it, and what is refused. Nothing of it is ever run."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.errors import InputError
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.open_source import open_source
from tests.sharing.fake_hub import FakeHub

# huggingface_hub 2.4 calls its HTTP library in a way that that one deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

SPLEEN: dict[str, Any] = {
    "imports": ["$import glob"],
    "bundle_root": ".",
    "device": "$torch.device('cpu')",
    "classes": 2,
    "roi": [32, 32, 16],
    "network_def": {
        "_target_": "UNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": "@classes",
        "channels": [4, 8, 16],
        "strides": [2, 2],
        "num_res_units": 2,
        "norm": "batch",
    },
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0]}],
    },
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@roi", "sw_batch_size": 4},
}
METADATA = {
    "network_data_format": {
        "inputs": {"image": {"num_channels": 1, "channel_def": {"0": "CT"}, "spatial_shape": [96, 96, 96]}},
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "spleen"}}},
    }
}


def stock_bundle(folder: Path, **changed: Any) -> Path:
    """A bundle made by hand in the manner of the model zoo, with a MONAI network and its weights."""
    bundle = folder / "spleen_ct_segmentation"
    (bundle / "configs").mkdir(parents=True)
    (bundle / "models").mkdir()
    config = {**SPLEEN, **changed}
    (bundle / "configs/inference.json").write_text(json.dumps(config))
    (bundle / "configs/metadata.json").write_text(json.dumps(METADATA))
    (bundle / "LICENSE").write_text("Apache-2.0")
    arguments = {name: value for name, value in SPLEEN["network_def"].items() if name != "_target_"}
    torch.manual_seed(0)
    network = build_network({**arguments, "out_channels": 2}, "monai.networks.nets.UNet")
    torch.save(network.state_dict(), bundle / "models/model.pt")
    return bundle


def _zip(bundle: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(bundle.rglob("*")):
            if file.is_file():
                archive.write(file, f"{bundle.name}/{file.relative_to(bundle)}")
    return path


def test_a_stock_bundle_is_read_without_running_it(tmp_path: Path) -> None:
    bundle = stock_bundle(tmp_path)
    with open_source(str(bundle), trust=True) as source:
        model = source.model
    assert model.target == "monai.networks.nets.UNet"
    assert model.arguments["out_channels"] == 2
    assert model.channel_names == ("CT",)
    assert model.class_names == ("background", "spleen")
    assert model.spacing_mm == (1.5, 1.5, 2.0)
    assert model.patch_size == (32, 32, 16)
    assert source.weights == bundle / "models/model.pt"


def test_a_generated_bundle_is_known_by_its_plan(trained_bundle: Path) -> None:
    with open_source(str(trained_bundle)) as source:
        model = source.model
    assert model.network == "nnunet-subpixel"
    assert model.class_names == ("liver", "kidney", "tumour"), "overlapping regions have no background"
    assert model.plan is not None
    assert model.plan.normalization.value == "per_image"


def test_a_zip_file_is_unpacked_for_the_time_being(tmp_path: Path) -> None:
    path = _zip(stock_bundle(tmp_path), tmp_path / "spleen.zip")
    with open_source(str(path), trust=True) as source:
        assert source.weights.is_file()
        assert source.model.name == "spleen_ct_segmentation"
    assert not source.folder.exists()


@pytest.mark.parametrize("name", ["../evil.txt", "/elsewhere/evil.txt", "a/../../evil.txt", "C:\\evil.txt"])
def test_a_zip_file_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    path = _zip(stock_bundle(tmp_path), tmp_path / "spleen.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(InputError), open_source(str(path), trust=True):
        pass
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_zip_file_with_a_link_is_refused(tmp_path: Path) -> None:
    path = _zip(stock_bundle(tmp_path), tmp_path / "spleen.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("spleen_ct_segmentation/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError), open_source(str(path), trust=True):
        pass


def test_a_hugging_face_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a small server on this machine that speaks the part of the Hub's protocol that a download needs."""
    bundle = stock_bundle(tmp_path)
    (bundle / "models/model_final.pt").write_bytes(b"another file")
    with FakeHub({"clinic/spleen": bundle}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.template)
        monkeypatch.chdir(tmp_path)
        for name in ("hf:clinic/spleen", "clinic/spleen", "hf:clinic/spleen@main"):
            with open_source(name, trust=True) as source:
                assert source.model.class_names == ("background", "spleen")
                assert source.weights.read_bytes() == (bundle / "models/model.pt").read_bytes()
                assert (source.folder / "models/model_final.pt").is_file(), "the audit sees all there is"
        with pytest.raises(InputError, match="neither a path here nor a repository"), open_source("clinic/none"):
            pass
    assert any("resolve" in path for path in hub.asked)


def test_what_is_nowhere_is_one_error(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="a bundle's folder, a zip file, or a Hugging Face"), open_source(nowhere):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no configs/ folder"), open_source(str(tmp_path / "empty")):
        pass
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match="not a zip file"), open_source(str(tmp_path / "text.zip")):
        pass


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spatial_dims": 2}, "2 spatial dimensions"),
        ({"_target_": "scripts.net.MyNet"}, "own code is not run"),
        ({"channels": "$[4 * i for i in (1, 2, 4)]"}, "would have to be evaluated"),
        ({"in_channels": "@nowhere"}, "would have to be evaluated"),
    ],
)
def test_a_network_that_cannot_be_read_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    bundle = stock_bundle(tmp_path, network_def={**SPLEEN["network_def"], **changed})
    with pytest.raises(InputError, match=message), open_source(str(bundle), trust=True):
        pass


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    bundle = stock_bundle(tmp_path, network_def={**SPLEEN["network_def"], "spatial_dims": 2})
    (bundle / "models/model.pt").unlink()
    with pytest.raises(InputError) as caught, open_source(str(bundle), trust=True):
        pass
    assert len(caught.value.problems) == 2
    assert "has no weights" in str(caught.value)


def test_a_bundle_that_does_not_pass_the_audit_is_not_opened(tmp_path: Path) -> None:
    bundle = stock_bundle(tmp_path, evil={"_target_": "os.system", "command": f"touch {tmp_path / 'executed'}"})
    with pytest.raises(InputError, match="audit"), open_source(str(bundle)):
        pass
    with open_source(str(bundle), trust=True):
        pass
    assert not (tmp_path / "executed").exists(), "trusted or not, nothing is run"


def test_a_model_that_was_replaced_is_taken_and_not_its_former_copy(own_bundle: Path) -> None:
    models = own_bundle / "models"
    for name in ("model.pt", "model.safetensors"):
        (models / name).write_bytes(b"former")
    write_manifest(own_bundle)
    with open_source(str(own_bundle), trust=True) as source:
        assert source.weights.name == "model.safetensors"
    (models / "model.pt").write_bytes(b"later")
    with open_source(str(own_bundle), trust=True) as source:
        assert source.weights.name == "model.pt"
