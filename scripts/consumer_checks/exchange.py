"""Programs that check, store and serve bundles: signatures, Hugging Face, the model zoo's checks, Triton."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nibabel as nib
import numpy as np
from common import (
    HERE,
    ROOT,
    SHARED,
    Outcome,
    differing,
    files_of,
    first_image,
    mist_bundle,
    plain_copy,
    read,
    run,
    single_model_prediction,
    succeeds,
)
from environments import environment

import mist_bundle as mb
from mist_bundle.runtime.folds.files import sha256_of

# a folder with ci/ and models/model_info.json of github.com/Project-MONAI/model-zoo
MODEL_ZOO = os.environ.get("MODEL_ZOO", "")
SCHEMA = SHARED / "monai_meta_schema_20240725.json"
REPOSITORY = "organisation/name"


def signing(bundle: Path, work: Path) -> Outcome:
    """OpenSSF model-signing: each side checks what the other signed, and sees a change."""
    copy, key = plain_copy(bundle, work), work / "key"
    mist_bundle("make_key", key)
    where = (copy, "--signature", copy / "model.sig")
    check = (sys.executable, "-m", "model_signing", "verify", "key", *where, "--public_key", f"{key}.pub")
    audit = (sys.executable, "-m", "mist_bundle", "audit", copy, "--public_key", f"{key}.pub")
    mist_bundle("sign", copy, "--key", key)
    accepted = {"mist-bundle signs, model_signing": succeeds(*check)}
    (copy / "model.sig").unlink()
    run(sys.executable, "-m", "model_signing", "sign", "key", *where, "--private_key", key)
    accepted["model_signing signs, audit"] = succeeds(*audit)
    (copy / "LICENSE").write_text("changed\n", encoding="utf-8")
    changed = {"model_signing": succeeds(*check), "audit": succeeds(*audit)}
    told = []
    for who, accepts in accepted.items():
        told.append(f"{who} {'accepts' if accepts else 'REFUSES'}")
    for who, accepts in changed.items():
        told.append(f"after a change {who} {'ACCEPTS' if accepts else 'refuses'}")
    passed = all(accepted.values()) and not any(changed.values())
    way = "sign and verify by a key, in both directions"
    return Outcome(f"OpenSSF model-signing {version('model-signing')}", way, "; ".join(told), passed)


def hf(bundle: Path, work: Path) -> Outcome:
    """Hugging Face: its client uploads to, and downloads from, a server on this machine in place of the hub."""
    sys.path.insert(0, str(ROOT))
    from tests.sharing.fake_hub import FakeHub
    from tests.sharing.upload_hub import UploadHub

    signed, key = plain_copy(bundle, work), work / "key"
    mist_bundle("make_key", key)
    mist_bundle("sign", signed, "--key", key)
    offline = {"HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "made_up", "HF_HOME": str(work / "hf")}
    with UploadHub() as hub:
        mist_bundle("push", signed, "--repo", REPOSITORY, HF_ENDPOINT=hub.address, **offline)
    stored = work / "stored"
    for name, content in hub.files.items():
        (stored / name).parent.mkdir(parents=True, exist_ok=True)
        (stored / name).write_bytes(content)
    received = work / "downloaded" / bundle.name
    with FakeHub({REPOSITORY: stored}) as server:
        words = ("--name", bundle.name, "--bundle_dir", received.parent, "--source", "huggingface_hub")
        command = (sys.executable, "-m", "monai.bundle", "download", *words, "--repo", REPOSITORY)
        run(*command, HF_ENDPOINT=server.url, **offline)
    passes = succeeds(sys.executable, "-m", "mist_bundle", "audit", received, "--public_key", f"{key}.pub")
    check = ("verify", "key", received, "--signature", received / "model.sig", "--public_key", f"{key}.pub")
    verifies = succeeds(sys.executable, "-m", "model_signing", *check)
    own = single_model_prediction(bundle, first_image(), work)
    apart = differing(own, single_model_prediction(received, first_image(), work, "theirs"))
    result = (
        f"{len(hub.files)} files and the tag {', '.join(hub.tags)} arrive; downloaded, the bundle "
        f"{'passes' if passes else 'does NOT pass'} the audit with the signer's key, model_signing "
        f"{'accepts' if verifies else 'REFUSES'} its signature, and it predicts {apart} voxels otherwise"
    )
    way = "`sign`, `push`, `python -m monai.bundle download`, through huggingface_hub, against a stand-in for the hub"
    return Outcome(f"Hugging Face Hub {version('huggingface_hub')}", way, result, passes and verifies and apart == 0)


def zoo(bundle: Path, work: Path) -> Outcome:
    """The model zoo's checks: its own program where it is there, what that asks of MONAI, and the zoo's rules."""
    folder = work / "zoo"
    copy = folder / "models" / bundle.name
    copy.parent.mkdir(parents=True)
    shutil.move(plain_copy(bundle, work), copy)
    mist_bundle("export", copy, "--format", "torchscript")
    rules = [check for check in mb.verify_bundle(copy, quick=True, schema=SCHEMA).consumers if "zoo" in check.name]
    (copy / "eval").mkdir()
    shutil.copyfile(SCHEMA, copy / "eval" / "schema.json")  # where the zoo's CI puts it
    outcome, way = _zoo_program(folder, bundle.name)
    run(sys.executable, HERE / "zoo_checks.py", bundle.name, work / "zoo.json", folder=folder)
    outcome |= read(work / "zoo.json")
    passed = [name for name, error in outcome.items() if not error]
    failed = [f"{name} ({error})" for name, error in outcome.items() if error]
    if "ckpt_export" in passed and not _same_logits(copy):
        failed.append("ckpt_export gives other logits")
    by_rule = rules[0].verdict == "pass"
    result = f"run: {', '.join(passed)}"
    if failed:
        result += f"; FAILED: {'; '.join(failed)}"
    result += f"; files, version, changelog and ids by rule: {rules[0].verdict}. {rules[0].reason}"
    return Outcome(f"MONAI model zoo, by MONAI {version('monai')}", way, result, not failed and by_rule)


def _zoo_program(folder: Path, name: str) -> tuple[dict[str, str], str]:
    """Run verify_bundle.py of the zoo's repository on models/NAME as its CI does, in an environment of its own.

    Returns:
        What was run -> its error, and words about it; without the repository only that it was not run.
    """
    asked = "what verify_bundle.py asks of MONAI, in its order and from its folders, with its metadata schema"
    if not MODEL_ZOO:
        unknown = "whether the zoo has this name and version already is not known"
        return {}, f"{asked}; its own program was not run, and {unknown}"
    shutil.copytree(Path(MODEL_ZOO) / "ci", folder / "ci")
    shutil.copyfile(Path(MODEL_ZOO) / "models" / "model_info.json", folder / "models" / "model_info.json")
    python = environment("zoo")
    words = ("--b", name, "--requirements_file", "requirements.txt")
    run(python, "ci/get_bundle_requirements.py", *words, folder=folder)
    run(python, "-m", "pip", "install", "--quiet", "-r", "requirements.txt", folder=folder)
    errors = {}
    for mode in ("min", "full"):
        command = [str(python), "ci/verify_bundle.py", "--b", name, "-m", mode]
        settings = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr, flush=True)
        errors[f"verify_bundle.py, mode {mode}"] = done.stderr.splitlines()[-1] if done.returncode else ""
    digest = sha256_of(folder / "ci" / "verify_bundle.py")[:12]
    known = len(read(folder / "models" / "model_info.json"))
    own = f"the zoo's ci/verify_bundle.py (sha256 {digest}…) with the packages of its get_bundle_requirements.py"
    versions = f"{known} versions that the zoo has" if known else "an empty list of the versions that the zoo has"
    return errors, f"{own}, on the CPU, with {versions}; then {asked}, step by step"


def _same_logits(bundle: Path) -> bool:
    """Whether the file of ckpt_export gives the logits of that of `export`, which was compared with the network."""
    import torch

    first = torch.jit.load(bundle / "models" / "verify_model.ts").eval()
    second = torch.jit.load(bundle / "models" / "model.ts").eval()
    plan = mb.Bundle(bundle).plan
    patch = torch.rand(1, plan.num_channels, *plan.patch_size.value, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return bool(torch.allclose(first(patch), second(patch), atol=1e-4))


def triton(bundle: Path, work: Path) -> Outcome:
    """Triton's client with the program of docs/triton.md, against a stand-in for the server."""
    copy = plain_copy(bundle, work)
    repository, address = work / "repository", work / "address"
    mist_bundle("export", copy, "--format", "triton", "--output", repository)
    text = (ROOT / "docs" / "triton.md").read_text(encoding="utf-8")
    (work / "client.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    python = environment("triton")
    command = [str(python), str(HERE / "triton_server.py"), str(repository), str(address)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        while not address.is_file() or not address.read_text():
            if server.poll() is not None:
                raise RuntimeError(f"the stand-in ended with {server.returncode}")
            time.sleep(0.2)
        before = files_of(copy)
        run(python, work / "client.py", copy, first_image(), address.read_text(), work / "triton")
        untouched = files_of(copy) == before
    finally:
        server.communicate()
    (written,) = (work / "triton").rglob("*.nii.gz")
    theirs = np.asarray(nib.load(written).dataobj)
    # ONNX Runtime computes in single precision, whatever this processor is good at
    apart = differing(single_model_prediction(bundle, first_image(), work, precision="fp32"), theirs)
    exported = read_version(python, "tritonclient")
    result = (
        f"config.pbtxt fits model.onnx; {int(np.count_nonzero(theirs))} foreground voxels, {apart} apart from "
        "`predict --precision fp32` with the same weights"
    )
    way = "the client of docs/triton.md against a stand-in for the server (its gRPC interface, onnxruntime)"
    return Outcome(f"Triton client {exported}", way, result, untouched and apart == 0)


def read_version(python: Path, package: str) -> str:
    """The version of a package in another environment."""
    code = f"import json; from importlib.metadata import version; print(json.dumps(version({package!r})))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout))
