"""The format of OpenSSF model-signing 1.x, for signatures by a key: model.sig, which its program reads and writes.

The file is a Sigstore bundle (JSON) with a DSSE envelope around an in-toto statement, which lists the sha256 of every
file. Sources: github.com/sigstore/model-transparency, github.com/secure-systems-lab/dsse (protocol 1.0.0),
github.com/in-toto/attestation (statement 1). `model_signing` itself is not imported: it needs far more packages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from mist_bundle.trust.keys import PrivateKey, PublicKey

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
METHOD, HASH_TYPE = "files", "sha256"
# what the program leaves out by itself
GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
DOWNLOAD_CACHE = ".cache"  # what Hugging Face's client keeps beside a download


class SignatureError(ValueError):
    """A signature that does not hold, or cannot be read here; the message says why, as a sentence."""


def signature_text(name: str, hashes: Mapping[str, str], key: PrivateKey, ignored: str) -> str:
    """Sign files.

    Args:
        name: of the folder.
        hashes: path in the folder -> sha256.
        key: on an elliptic curve.
        ignored: the path of the signature, which it does not cover.

    Returns:
        The content of model.sig.
    """
    payload = json.dumps(_statement(name, hashes, ignored), indent=2, ensure_ascii=False).encode("utf-8")
    envelope = {
        "payload": _base64(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": _base64(key.sign(_encoded(payload))), "keyid": ""}],
    }
    content = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.public.hint}, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }
    return json.dumps(content) + "\n"


def signed_files(content: bytes, key: PublicKey) -> dict[str, str]:
    """What the owner of a key signed: path -> sha256.

    Raises:
        SignatureError: it is not the signature of this key, or of a kind that is not read here.
    """
    try:
        return _signed_files(json.loads(content), key)
    except SignatureError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError("It is not a signature in the format of OpenSSF model-signing.") from error


def _signed_files(content: Any, key: PublicKey) -> dict[str, str]:
    if "publicKey" not in content["verificationMaterial"]:
        raise SignatureError("It was made with a certificate; check it with `python -m model_signing verify`.")
    envelope = content["dsseEnvelope"]
    payload = _from_base64(envelope["payload"])
    signature = _from_base64(envelope["signatures"][0]["sig"])
    if not key.verifies(_encoded(payload), signature):
        raise SignatureError(f"The key {key.fingerprint} did not make it.")
    statement = json.loads(payload)
    types = (content["mediaType"], envelope["payloadType"], statement["_type"], statement["predicateType"])
    if types != (MEDIA_TYPE, PAYLOAD_TYPE, STATEMENT_TYPE, PREDICATE_TYPE):
        raise SignatureError("It is of another version of the format of model-signing than 1.0.")
    return _listed(statement)


def _listed(statement: Mapping[str, Any]) -> dict[str, str]:
    predicate = statement["predicate"]
    way = (predicate["serialization"]["method"], predicate["serialization"]["hash_type"])
    if way != (METHOD, HASH_TYPE):
        raise SignatureError(
            f"It lists {way[1]} hashes of {way[0]}, and only sha256 hashes of files are read here. "
            "Check it with `python -m model_signing verify`."
        )
    hashes: dict[str, str] = {}
    for resource in predicate["resources"]:
        if resource["algorithm"] != HASH_TYPE or resource["name"] in hashes:
            raise SignatureError(f"It lists {resource['name']} twice, or with another hash than sha256.")
        hashes[str(resource["name"])] = bytes.fromhex(resource["digest"]).hex()
    (subject,) = statement["subject"]
    if subject["digest"]["sha256"] != _digest_of_all(hashes):
        raise SignatureError("It contradicts itself: the digest of the whole is not that of the files that it lists.")
    return hashes


def _statement(name: str, hashes: Mapping[str, str], ignored: str) -> dict[str, Any]:
    listed = {}
    for path in sorted(hashes, key=PurePosixPath):
        listed[path] = hashes[path]
    resources = []
    for path, digest in listed.items():
        resources.append({"name": path, "algorithm": HASH_TYPE, "digest": digest})
    serialization = {
        "method": METHOD,
        "hash_type": HASH_TYPE,
        "allow_symlinks": False,
        "ignore_paths": [*GIT_PATHS, DOWNLOAD_CACHE, ignored],
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": _digest_of_all(listed)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"serialization": serialization, "resources": resources},
    }


def _digest_of_all(hashes: Mapping[str, str]) -> str:
    """The sha256 over the digests of the files, in the order in which they are listed."""
    whole = hashlib.sha256()
    for digest in hashes.values():
        whole.update(bytes.fromhex(digest))
    return whole.hexdigest()


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
