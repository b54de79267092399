"""The names of all files that the stages exchange, in a data folder, a bundle and the work folder beside it."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.files import (
    adopt_file as adopt_file,
)
from mist_bundle.files import (
    check_can_write as check_can_write,
)
from mist_bundle.files import (
    dump_json as dump_json,
)
from mist_bundle.files import (
    new_folder as new_folder,
)
from mist_bundle.files import (
    parse_json as parse_json,
)
from mist_bundle.files import (
    read_json as read_json,
)
from mist_bundle.files import (
    read_text as read_text,
)
from mist_bundle.files import (
    refuse_existing as refuse_existing,
)
from mist_bundle.files import (
    write_bytes as write_bytes,
)
from mist_bundle.files import (
    write_json as write_json,
)
from mist_bundle.files import (
    write_text as write_text,
)

DATASET_JSON = "dataset.json"
FINGERPRINT_JSON = "fingerprint.json"
RESULTS_CSV = "results.csv"
RESULTS_JSON = "results.json"

# Inside a bundle
PLAN_JSON = "configs/plan.json"
DATALIST_JSON = "configs/datalist.json"
METADATA_JSON = "configs/metadata.json"
POSTPROCESSING_JSON = "configs/postprocessing.json"
LOGGING_CONF = "configs/logging.conf"
MANIFEST_JSON = "MANIFEST.json"
SIGNATURE = "MANIFEST.json.sig"  # over the manifest, which therefore cannot list it
LARGE_FILES_YML = "large_files.yml"
MODEL_PT = "models/model.pt"
BUNDLE_README = "docs/README.md"
DATA_LICENSE = "docs/data_license.txt"
SOURCE_LICENSE = "docs/source_license.txt"  # of what a bundle's first weights were trained on
SCRIPTS_FOLDER = "scripts"


def work_dir_of(bundle: Path) -> Path:
    """The folder beside a bundle that holds cache, logs, last checkpoints, predictions and the report."""
    return bundle.absolute().parent / f"{bundle.absolute().name}_work"
