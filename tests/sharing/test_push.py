"""Uploading, against a server that this test starts and that answers like Hugging Face; the real one is not asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

pytest.importorskip("huggingface_hub")

from mist_bundle import cli
from mist_bundle.bundle.contents import plain_files
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.bundle.vendor import RUNTIME
from mist_bundle.errors import InputError
from mist_bundle.sharing.push import PushError, push_bundle
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.trust.keys import make_key
from mist_bundle.trust.signature import sign_bundle
from tests.sharing.earlier_weights import keep_earlier_weights
from tests.sharing.fake_hub import FakeHub
from tests.sharing.upload_hub import UploadHub
from tests.trust.key_files import write_pair

# huggingface_hub 2.4 calls its HTTP library in a way that that one deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

TOKEN = "hf_made_up_for_this_test"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadHub]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with UploadHub() as hub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
        yield hub


def test_exactly_the_bundle_arrives_and_is_tagged(own_bundle: Path, hub: UploadHub) -> None:
    (own_bundle / "models/model.pt").write_bytes(bytes(range(256)) * 40)
    write_manifest(own_bundle)
    for extra in ("scripts/__pycache__/x.pyc", ".env", "eval/schema.json"):
        (own_bundle / extra).parent.mkdir(parents=True, exist_ok=True)
        (own_bundle / extra).write_bytes(b"must not leave this machine")
    push_bundle(own_bundle, "org/name", token=TOKEN)
    expected = {name: (own_bundle / name).read_bytes() for name in plain_files(own_bundle)}
    expected["README.md"] = (own_bundle / "docs/README.md").read_bytes()
    assert hub.files == expected
    assert hub.tags == ["0.1.0"]
    assert hub.private is True
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not (own_bundle / "README.md").exists(), "the bundle itself is left alone"


def test_linked_scripts_and_weights_stored_once_arrive_as_plain_files(linked_bundle: Path, hub: UploadHub) -> None:
    for name in ("model.pt", "fold_0.pt"):
        (linked_bundle / "models" / name).write_bytes(b"weights")
    write_manifest(linked_bundle)
    (linked_bundle / "models/fold_0.pt").unlink()
    push_bundle(linked_bundle, "org/name", token=TOKEN)
    assert hub.files["scripts/losses/dice.py"] == (RUNTIME / "losses/dice.py").read_bytes()
    assert hub.files["models/fold_0.pt"] == b"weights"
    listed = json.loads(hub.files["MANIFEST.json"])
    assert listed.keys() == {"algorithm", "files"}
    assert listed["files"].keys() == hub.files.keys() - {"README.md", "MANIFEST.json"}


def test_earlier_weights_stay_at_home(
    own_bundle: Path, hub: UploadHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = keep_earlier_weights(own_bundle)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert cli.main(["push", str(own_bundle), "--repo", "org/name"]) == 0
    assert f"Earlier weights were left out: {kept}\n" in capsys.readouterr().out
    assert set(plain_files(own_bundle)) - hub.files.keys() == {kept}
    assert kept not in json.loads(hub.files["MANIFEST.json"])["files"]


def _downloaded(hub: UploadHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Hugging Face's client downloads of the files that were uploaded, with all that it adds."""
    import huggingface_hub

    stored = folder / "stored"
    for name, content in {**hub.files, ".gitattributes": b"*.pt filter=lfs\n"}.items():
        (stored / name).parent.mkdir(parents=True, exist_ok=True)
        (stored / name).write_bytes(content)
    with FakeHub({"org/name": stored}) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.template)
        huggingface_hub.snapshot_download(repo_id="org/name", local_dir=folder / "received")
    return folder / "received"


@pytest.mark.parametrize("curve", [True, False])
def test_a_signature_holds_after_the_download(
    own_bundle: Path, hub: UploadHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, curve: bool
) -> None:
    public = make_key(tmp_path / "key") if curve else write_pair(Ed25519PrivateKey.generate(), tmp_path / "key")[1]
    sign_bundle(own_bundle, tmp_path / "key")
    push_bundle(own_bundle, "org/name", token=TOKEN)
    received = _downloaded(hub, tmp_path, monkeypatch)
    assert (received / ".cache").is_dir(), "what the client keeps beside a download"
    assert (received / "README.md").read_bytes() == (own_bundle / "docs/README.md").read_bytes()
    report = audit_bundle(received, public)
    assert report.passed, str(report)
    (received / "README.md").write_text("another card")
    assert not audit_bundle(received, public).passed


def test_model_signing_accepts_a_download(
    own_bundle: Path, hub: UploadHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_signing = pytest.importorskip("model_signing", reason="OpenSSF model-signing is not installed")
    public = make_key(tmp_path / "key")
    sign_bundle(own_bundle, tmp_path / "key")
    push_bundle(own_bundle, "org/name", token=TOKEN)
    received = _downloaded(hub, tmp_path, monkeypatch)
    verifying = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    verifying.verify(received, received / "model.sig")
    (received / "scripts/added.py").write_text("")
    with pytest.raises(ValueError, match=r"scripts/added\.py"):
        verifying.verify(received, received / "model.sig")


def test_a_card_that_a_signature_does_not_cover_is_not_added(own_bundle: Path, hub: UploadHub, tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    sign_bundle(own_bundle, tmp_path / "key")
    (own_bundle / "README.md").unlink()  # as it is signed by others
    write_manifest(own_bundle)
    (own_bundle / "model.sig").write_text("{}")
    with pytest.raises(InputError, match="mist-bundle sign"):
        push_bundle(own_bundle, "org/name", token=TOKEN)
    assert hub.requests == []


def test_refusal_of_the_server_is_reported(own_bundle: Path, hub: UploadHub) -> None:
    hub.refuse = True
    with pytest.raises(PushError, match="rights"):
        push_bundle(own_bundle, "org/name", token=TOKEN)
    assert hub.files == {}


def test_server_that_is_not_there(own_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PushError, match="org/name"):
        push_bundle(own_bundle, "org/name", token=TOKEN)


def test_nothing_is_sent_when_files_do_not_fit_the_manifest(own_bundle: Path, hub: UploadHub) -> None:
    (own_bundle / "configs/train.json").write_text("{}")
    with pytest.raises(InputError, match="was changed"):
        push_bundle(own_bundle, "org/name", token=TOKEN)
    with pytest.raises(InputError, match="organisation/name"):
        push_bundle(own_bundle, "just-a-name", token=TOKEN)
    assert hub.requests == []
