"""Upload a bundle to a repository on Hugging Face, as MONAI's model zoo keeps its own there.

It asks the same of the hub as monai.bundle.push_to_hf_hub, which is not called: MONAI 1.6.1 uploads all that lies in
the folder, and writes a second header of its own in front of the card's.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from mist_bundle.errors import InputError, MistBundleError, Problem
from mist_bundle.files import BUNDLE_README, METADATA_JSON, ROOT_README, read_json
from mist_bundle.runtime.folds.manifest import SIGNATURES
from mist_bundle.sharing.pack import files_to_publish

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class PushError(MistBundleError):
    """The server refused something or could not be reached."""


def push_bundle(bundle: Path, repository: str, *, private: bool = True, token: str | None = None) -> str:
    """Upload the files of a bundle and tag them with its version, by which MONAI downloads it.

    Only what belongs to the bundle goes: no caches or hidden files, and nothing that MANIFEST.json does not list.

    Args:
        bundle: its folder.
        repository: "organisation/name"; created if it does not exist.
        private: whether a new repository is private.
        token: an access token; by default that of `hf auth login`, or HF_TOKEN.

    Returns:
        Address of the upload.

    Raises:
        InputError: a wrong name, a manifest that does not fit, or huggingface_hub is not installed.
        PushError: the server's answer.
    """
    try:
        import httpx2 as http
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    except ImportError as error:
        raise InputError(Problem("push", "needs a package. Run: pip install huggingface_hub")) from error
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(Problem("--repo", f"is {repository!r}; expected organisation/name."))
    files = files_to_publish(bundle)
    adds_card = ROOT_README not in files and BUNDLE_README in files
    for signature in SIGNATURES:
        if adds_card and signature in files:
            message = (
                f"does not cover {ROOT_README}, the model card that Hugging Face shows. Sign the bundle again with "
                "mist-bundle sign, which adds it."
            )
            raise InputError(Problem(signature, message))
    version = str(read_json(bundle / METADATA_JSON)["version"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / bundle.absolute().name
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                shutil.copyfile(content, folder / name)
        if adds_card:
            shutil.copyfile(bundle / BUNDLE_README, folder / ROOT_README)
        try:
            api = HfApi(token=token)
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"Version {version}")
            api.create_tag(repository, tag=version, exist_ok=True)
        except (HfHubHTTPError, LocalTokenNotFoundError, http.HTTPError, RuntimeError) as error:
            raise PushError(f"{repository}: {error}") from error
    return str(commit)
