"""Exported networks, read back where the bundle is not, give the logits of the bundle's own network."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mist_bundle.bundle.manifest import differences, file_hashes, write_manifest
from mist_bundle.errors import InputError
from mist_bundle.runtime.folds import publication
from mist_bundle.runtime.folds.publication import finish
from mist_bundle.sharing.export import FORMATS, TOLERANCE, ExportReport, export_bundle, report_table
from mist_bundle.trust.audit import require_audited


@pytest.fixture(scope="module")
def exported(trained_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """All formats of the trained bundle, outside of it."""
    return export_bundle(trained_bundle, ["all"], tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def expected(trained_bundle: Path, exported: ExportReport) -> tuple[torch.Tensor, torch.Tensor]:
    """An image of two patches that the export did not see, and its logits by MONAI's parser and model.pt."""
    from monai.bundle import ConfigParser

    definition = json.loads((trained_bundle / "configs/inference.json").read_text())["network_def"]
    del definition["_requires_"]  # the same code, from here instead of from the bundle's scripts/
    definition["_target_"] = definition["_target_"].replace("scripts.", "mist_bundle.runtime.", 1)
    network = ConfigParser({"network_def": definition}).get_parsed_content("network_def")
    network.load_state_dict(torch.load(trained_bundle / "models/model.pt", weights_only=True))
    plan = json.loads((trained_bundle / "configs/plan.json").read_text())
    shape = (2, len(plan["channel_names"]), *plan["decisions"]["patch_size"]["value"])
    image = torch.randn(shape, generator=torch.Generator().manual_seed(99)) * 2
    with torch.no_grad():
        return image, network.eval()(image)


@pytest.mark.slow
def test_every_format_is_there_and_its_report_is_true(exported: ExportReport, trained_bundle: Path) -> None:
    assert exported.problems() == []
    assert [one.format for one in exported.formats] == list(FORMATS)
    content = json.loads(exported.report.read_text())
    assert content["tolerance"] == TOLERANCE
    for entry in content["formats"]:
        data = (exported.folder / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["size_bytes"] == len(data)
        assert entry["batch"] == "any"
        assert len(entry["max_abs_difference"]) == 2
        assert 0 < entry["largest_logit"] < 1000
    assert {path.name for path in exported.folder.iterdir()} == {"export.json", *(row.file for row in FORMATS.values())}
    assert not list((trained_bundle / "models").glob("model.ts")), "the bundle was left alone"
    assert all(name in report_table(exported) for name in FORMATS)


READ = {
    "torchscript": "import torch; run = torch.jit.load(path)",
    "torch_export": "import torch; run = torch.export.load(path).module()",
    "onnx": "import onnxruntime; session = onnxruntime.InferenceSession(path); "
    "run = lambda image: session.run(None, {'image': image.numpy()})[0]",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_programs_run_without_bundle_monai_and_mist_bundle(
    exported: ExportReport, expected: tuple[torch.Tensor, torch.Tensor], tmp_path: Path, name: str
) -> None:
    image, logits = expected
    np.save(tmp_path / "image.npy", image.numpy())
    code = (
        "import sys\nsys.modules['mist_bundle'] = sys.modules['monai'] = None\nimport numpy as np, torch\n"
        f"path = sys.argv[1]\n{READ[name]}\nimage = torch.from_numpy(np.load('image.npy'))\n"
        "torch.set_grad_enabled(False)\nnp.save('out.npy', np.asarray(run(image)))"
    )
    path = exported.folder / FORMATS[name].file
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), logits.numpy(), atol=1e-3)


@pytest.mark.slow
def test_weights_are_the_bundles_own(exported: ExportReport, trained_bundle: Path) -> None:
    from safetensors.torch import load_file

    own = torch.load(trained_bundle / "models/model.pt", weights_only=True)
    plain = torch.load(exported.folder / "model.pt", weights_only=True)
    assert plain.keys() == own.keys()
    assert all(torch.equal(plain[name], own[name]) for name in own)
    safe = load_file(exported.folder / "model.safetensors")
    assert safe
    assert all(torch.equal(value, own[name]) for name, value in safe.items())


@pytest.mark.slow
def test_torchscript_carries_the_configs(exported: ExportReport, trained_bundle: Path) -> None:
    with zipfile.ZipFile(exported.folder / "model.ts") as archive:
        extra = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist() if "/extra/" in name}
    for stem in ("inference", "metadata"):
        embedded = json.loads(extra[f"extra/{stem}.json"])
        original = json.loads((trained_bundle / f"configs/{stem}.json").read_text())
        assert {key: embedded[key] for key in original} == original


# a network that ONNX and torch.export cannot express, since what it does depends on the voxels
STUBBORN = """import torch


class Stubborn(torch.nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv3d(channels, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if bool(image.sum() > 0):
            return self.convolution(image)
        return self.convolution(image) * 2
"""


def test_network_of_the_bundles_own_scripts_and_formats_that_fail(own_bundle: Path, tmp_path: Path) -> None:
    (own_bundle / "scripts/networks/stubborn.py").write_text(STUBBORN)
    config = json.loads((own_bundle / "configs/inference.json").read_text())
    config["network_def"] = {
        "_target_": "scripts.networks.stubborn.Stubborn",
        "_requires_": "@scripts_path",
        "channels": 2,
        "classes": 4,
    }
    (own_bundle / "configs/inference.json").write_text(json.dumps(config))
    (own_bundle / "models").mkdir(exist_ok=True)
    torch.save(torch.nn.Conv3d(2, 4, 1).state_dict(), own_bundle / "models/plain.pt")
    weights = torch.load(own_bundle / "models/plain.pt", weights_only=True)
    torch.save({f"convolution.{name}": value for name, value in weights.items()}, own_bundle / "models/model.pt")
    write_manifest(own_bundle)
    report = export_bundle(own_bundle, ["torchscript", "torch_export"], tmp_path / "out", trust=True)
    script, program = report.formats
    assert script.file == "model.ts"
    assert script.method == "script"
    assert program.problem
    assert [problem.path for problem in report.problems()] == ["torch_export"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model.ts", "export.json"}
    assert "FAILED" in report_table(report)


def test_into_the_bundle_renews_the_manifest(own_bundle: Path, trained_bundle: Path) -> None:
    (own_bundle / "models").mkdir(exist_ok=True)
    weights = (trained_bundle / "models/model.pt").read_bytes()
    (own_bundle / "models/model.pt").write_bytes(weights)
    report = export_bundle(own_bundle, ["safetensors"])
    assert report.problems() == []
    assert (own_bundle / "models/model.pt").read_bytes() == weights
    assert (own_bundle / "models/model.safetensors").is_file()
    assert (own_bundle / "docs/export.json").is_file()
    assert json.loads((own_bundle / "MANIFEST.json").read_text())["files"] == file_hashes(own_bundle)
    (own_bundle / "models/model.onnx").write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        export_bundle(own_bundle, ["onnx"])


def test_everything_wrong_is_named_at_once(own_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        export_bundle(own_bundle, ["torchscipt"], tmp_path / "out")
    assert "Did you mean 'torchscript'" in str(refused.value)
    assert "Train the bundle first" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_export_is_finished_by_the_next_command(
    own_bundle: Path, trained_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_bundle / "models").mkdir(exist_ok=True)
    shutil.copyfile(trained_bundle / "models/model.pt", own_bundle / "models/model.pt")
    write_manifest(own_bundle)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publication, "_carry_out", killed)
        with pytest.raises(KeyboardInterrupt):
            export_bundle(own_bundle, ["safetensors"])
    assert differences(own_bundle) == []
    require_audited(own_bundle)
    assert finish(own_bundle)
    assert (own_bundle / "models/model.safetensors").is_file()
    assert (own_bundle / "docs/export.json").is_file()
    assert json.loads((own_bundle / "MANIFEST.json").read_text())["files"] == file_hashes(own_bundle)
    assert not [path.name for path in own_bundle.rglob(".*")]
