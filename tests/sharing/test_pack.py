"""The archive: always the same bytes, only what belongs to the bundle, and what other programs can read."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mist_bundle import cli
from mist_bundle.bundle.contents import plain_files
from mist_bundle.bundle.manifest import differences, file_hashes, write_manifest
from mist_bundle.errors import InputError
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.sharing.unpack import large_file_paths, unpack_bundle
from mist_bundle.sharing.version import bump_version
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.trust.keys import make_key
from mist_bundle.trust.signature import sign_bundle
from tests.sharing.earlier_weights import keep_earlier_weights
from tests.trust.key_files import write_pair


def _big_weights(bundle: Path) -> Path:
    weights = bundle / "models/model.pt"
    weights.write_bytes(bytes(range(256)) * 512)
    write_manifest(bundle)
    return weights


def test_same_files_give_the_same_bytes(own_bundle: Path, tmp_path: Path) -> None:
    first = pack_bundle(own_bundle, tmp_path / "a.zip")
    copy = tmp_path / "copy" / own_bundle.name
    # other times and permissions, another order on the disk, and things that do not belong to a bundle
    for name in reversed(plain_files(own_bundle)):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((own_bundle / name).read_bytes())
        (copy / name).chmod(0o700)
    for extra in ("scripts/__pycache__/x.pyc", ".git/config", "eval/schema.json", "configs/.train.json.swp"):
        (copy / extra).parent.mkdir(parents=True, exist_ok=True)
        (copy / extra).write_bytes(b"left out")
    second = pack_bundle(copy, tmp_path / "b.zip")
    assert first.file.read_bytes() == second.file.read_bytes()
    assert first.sha256 == hashlib.sha256(first.file.read_bytes()).hexdigest()


def test_one_top_folder_and_every_file(own_bundle: Path, tmp_path: Path) -> None:
    packed = pack_bundle(own_bundle, tmp_path / "bundle.zip")
    with zipfile.ZipFile(packed.file) as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    expected = [f"{own_bundle.name}/{name}" for name in ["MANIFEST.json", *file_hashes(own_bundle)]]
    assert names == sorted(expected)
    assert packed.num_files == len(names) > 60


def test_other_programs_read_it(own_bundle: Path, tmp_path: Path) -> None:
    from monai.bundle import load_bundle_config

    packed = pack_bundle(own_bundle, tmp_path / f"{own_bundle.name}.zip")
    parser = load_bundle_config(str(packed.file), "inference.json")
    assert parser["bundle_id"] == json.loads((own_bundle / "configs/plan.json").read_text())["bundle_id"]
    assert parser["_meta_"]["name"] == own_bundle.name
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-qt", str(packed.file)], check=True)


def test_files_that_do_not_fit_the_manifest_are_all_named(own_bundle: Path, tmp_path: Path) -> None:
    (own_bundle / "configs/train.json").write_text("{}")
    (own_bundle / "models/fold_0.pt").write_bytes(b"new")
    (own_bundle / "docs/data_license.txt").unlink()
    with pytest.raises(InputError) as refused:
        pack_bundle(own_bundle, tmp_path / "x.zip")
    text = str(refused.value)
    assert "configs/train.json: was changed" in text
    assert "models/fold_0.pt: is not in MANIFEST.json" in text
    assert "docs/data_license.txt: is missing" in text
    assert "finalize" in text
    assert not (tmp_path / "x.zip").exists()


def test_links_are_refused(own_bundle: Path, tmp_path: Path) -> None:
    (own_bundle / "models/model.pt").symlink_to(tmp_path / "elsewhere.pt")
    with pytest.raises(InputError, match="is a link"):
        pack_bundle(own_bundle, tmp_path / "x.zip")


def test_existing_file_and_wrong_names_are_refused(own_bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    target.write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        pack_bundle(own_bundle, target)
    assert target.read_bytes() == b"precious"
    with pytest.raises(InputError, match=r"ends in \.zip"):
        pack_bundle(own_bundle, tmp_path / "x.tar")
    with pytest.raises(InputError, match="is not a bundle"):
        pack_bundle(tmp_path, tmp_path / "y.zip")
    assert pack_bundle(own_bundle, target, overwrite=True).num_files > 60


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address where a web server of this test gives it away."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}/files"
    server.shutdown()
    thread.join()
    server.server_close()


def test_large_files_stay_out_and_monai_downloads_them(
    own_bundle: Path, tmp_path: Path, served: tuple[Path, str]
) -> None:
    from monai.bundle import download_large_files

    folder, url = served
    weights = _big_weights(own_bundle)
    before = file_hashes(own_bundle)
    packed = pack_bundle(own_bundle, tmp_path / "x.zip", large_files_url=url, large_files_limit_mb=0.1)
    assert packed.large_files == {"models/model.pt": f"{url}/models/model.pt"}
    assert file_hashes(own_bundle) == before, "the bundle itself is left alone"
    with pytest.raises(InputError, match="expected https"):
        unpack_bundle(packed.file, tmp_path / "receiver")
    # the server of this test has no certificate
    unpacked = unpack_bundle(packed.file, tmp_path / "receiver", trust=True)
    assert not (unpacked / "models/model.pt").exists()
    assert large_file_paths(unpacked) == ["models/model.pt"]
    (folder / "files/models").mkdir(parents=True)
    shutil.copyfile(weights, folder / "files/models/model.pt")
    (unpacked / "models").mkdir(exist_ok=True)
    download_large_files(str(unpacked))
    assert (unpacked / "models/model.pt").read_bytes() == weights.read_bytes()
    listed = json.loads((unpacked / "MANIFEST.json").read_text())["files"]
    assert listed == file_hashes(unpacked), "the received manifest fits the complete bundle"


@pytest.mark.parametrize("signature", ["model.sig", "MANIFEST.json.sig"])
def test_signed_manifest_is_not_changed(signature: str, own_bundle: Path, tmp_path: Path) -> None:
    _big_weights(own_bundle)
    (own_bundle / signature).write_text("signature")
    with pytest.raises(InputError, match=f"{signature}: covers a manifest"):
        pack_bundle(own_bundle, tmp_path / "x.zip", large_files_url="https://x.org/y", large_files_limit_mb=0.1)
    assert pack_bundle(own_bundle, tmp_path / "x.zip").num_files > 60


def test_address_of_large_files_must_be_one(own_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--large_files_url"):
        pack_bundle(own_bundle, tmp_path / "x.zip", large_files_url="/home/me")


def test_earlier_weights_stay_at_home(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = keep_earlier_weights(own_bundle)
    assert cli.main(["pack", str(own_bundle), "--output", str(tmp_path / "a.zip")]) == 0
    assert f"Earlier weights were left out: {kept}\n" in capsys.readouterr().out
    assert (own_bundle / kept).is_file()
    assert differences(own_bundle) == []
    received = unpack_bundle(tmp_path / "a.zip", tmp_path / "received")
    assert set(file_hashes(own_bundle)) - set(file_hashes(received)) == {kept}
    assert differences(received) == []
    url = "https://example.org/weights"
    small = pack_bundle(own_bundle, tmp_path / "b.zip", large_files_url=url, large_files_limit_mb=0.1)
    assert list(small.large_files) == ["models/model.pt"]
    with zipfile.ZipFile(small.file) as archive:
        listed = json.loads(archive.read(f"{own_bundle.name}/MANIFEST.json"))["files"]
    assert "models/model.pt" in listed
    assert kept not in listed


@pytest.mark.parametrize("curve", [True, False])
def test_a_signature_over_earlier_weights_is_renewed_as_advised(
    own_bundle: Path, tmp_path: Path, *, curve: bool
) -> None:
    kept, key = keep_earlier_weights(own_bundle), tmp_path / "key"
    public = make_key(key) if curve else write_pair(Ed25519PrivateKey.generate(), key)[1]
    sign_bundle(own_bundle, key)
    assert audit_bundle(own_bundle, public).passed
    with pytest.raises(InputError, match=rf"covers {kept}: earlier weights, which are not shared.*bump"):
        pack_bundle(own_bundle, tmp_path / "a.zip")
    (own_bundle / kept).rename(tmp_path / "earlier.pt")
    bump_version(own_bundle, "Signed again.")
    sign_bundle(own_bundle, key)
    received = unpack_bundle(pack_bundle(own_bundle, tmp_path / "a.zip").file, tmp_path / "received")
    assert audit_bundle(received, public).passed
