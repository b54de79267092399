"""Write the recipe of a container that predicts with a bundle: a Dockerfile, pinned packages, and the bundle itself.

Nothing is built here. The container runs `python -m monai.bundle run inference`, as a user without rights, and needs
neither the network nor a writable file system: what it writes goes to /output and /tmp.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.sbom import pinned_packages
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import MODEL_PT, check_can_write, new_folder, write_bytes, write_text
from mist_bundle.sharing.pack import files_to_publish
from mist_bundle.trust.intact import pass_audit

BASE_IMAGE = "python:3.11.9-slim-bookworm"
USER_ID = 10001
IN_IMAGE = "/opt/bundle"
DOCKERFILE, REQUIREMENTS, IGNORED = "Dockerfile", "requirements.txt", ".dockerignore"
_GENERATOR = "mist-bundle"  # wrote the bundle; what it runs travels in scripts/

_TEXT = """# {name} {version}: predicts the images of /input into /output.
#   docker build --tag {tag} .
#   docker run --rm --network none --read-only --tmpfs /tmp \\
#     --volume "$PWD/images:/input:ro" --volume "$PWD/label_maps:/output" {tag}
# With a GPU: --gpus all. /output has to be writable for the user {user}.
FROM {base}

ENV PYTHONUNBUFFERED=1 \\
    PYTHONDONTWRITEBYTECODE=1 \\
    HOME=/tmp \\
    MPLCONFIGDIR=/tmp

LABEL org.opencontainers.image.title="{name}" \\
      org.opencontainers.image.version="{version}"

COPY {requirements} /opt/{requirements}
RUN pip install --no-cache-dir --requirement /opt/{requirements} \\
    && useradd --uid {user} --no-create-home --shell /usr/sbin/nologin predictor

COPY {name} {in_image}/{name}

USER {user}
WORKDIR /tmp
ENTRYPOINT {entry}
CMD {arguments}
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A folder to build an image from, and the tag that its comments propose."""

    folder: Path
    tag: str


def export_container(bundle: Path, output: Path, *, trust: bool = False) -> Recipe:
    """Write the folder that `docker build` takes.

    Args:
        bundle: a trained bundle.
        output: the new folder, which must not exist.
        trust: continue with a bundle that does not pass the audit.

    Raises:
        InputError: there are no weights, the manifest does not fit, or `output` exists.
    """
    source = Bundle(bundle)
    if not (bundle / MODEL_PT).is_file():
        raise InputError(Problem(str(bundle / MODEL_PT), "is not there. Train the bundle first."))
    pass_audit(bundle, trust=trust)
    check_can_write(output.absolute().parent)
    name = source.root.absolute().name
    version = str(source.metadata.get("version", "0"))
    tag = f"{name.lower()}:{version}"
    with new_folder(output, inputs=[bundle]) as folder:
        for path, content in files_to_publish(bundle).items():
            target = folder / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                write_bytes(target, content)
            else:
                shutil.copyfile(content, target)
        write_text(folder / REQUIREMENTS, requirements_text(source))
        write_text(folder / IGNORED, "**/__pycache__\n")
        write_text(folder / DOCKERFILE, _dockerfile(source, name, version, tag))
    return Recipe(output, tag)


def requirements_text(bundle: Bundle) -> str:
    """The pinned packages of metadata.json, for pip."""
    lines = []
    for package, version in pinned_packages(bundle.metadata).items():
        if package != _GENERATOR:
            lines.append(f"{package}=={version}")
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def _dockerfile(bundle: Bundle, name: str, version: str, tag: str) -> str:
    config = f"{IN_IMAGE}/{name}/configs/{bundle.config_path('inference').name}"
    # relative to WORKDIR, which is in memory: the image itself may be read-only
    entry = ["python", "-m", "monai.bundle", "run", "inference", "--config_file", config, "--work_dir", "work"]
    return _TEXT.format(
        name=name,
        version=version,
        tag=tag,
        base=BASE_IMAGE,
        user=USER_ID,
        requirements=REQUIREMENTS,
        in_image=IN_IMAGE,
        entry=json.dumps(entry),
        arguments=json.dumps(["--dataset_dir", "/input", "--output_dir", "/output"]),
    )
