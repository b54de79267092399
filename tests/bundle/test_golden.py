"""A change of the generator shows in bundles/golden; scripts/regenerate_bundles writes them anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.bundle.vendor import RUNTIME, runtime_files
from mist_bundle.trust.intact import check_manifest
from tests.bundle.golden import BUNDLES, GOLDEN, TRAINED, Golden, generate, texts

HINT = "the generated bundles changed; if that was meant, run scripts/regenerate_bundles and commit the difference"


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.kind)
def test_generated_bundles_are_the_golden_ones(golden: Golden, tmp_path: Path) -> None:
    bundle = generate(golden, tmp_path)
    expected = texts(BUNDLES / "golden" / bundle.name)
    found = texts(bundle)
    assert found.keys() == expected.keys(), HINT
    changed = [name for name in found if found[name] != expected[name]]
    assert not changed, HINT
    # what the golden copies leave out
    assert {path.relative_to(bundle / "scripts") for path in (bundle / "scripts").rglob("*.py")} == set(runtime_files())
    assert all((bundle / "scripts" / file).read_bytes() == (RUNTIME / file).read_bytes() for file in runtime_files())
    check_manifest(bundle)


def test_golden_folders_are_exactly_these() -> None:
    names = {path.name for path in (BUNDLES / "golden").iterdir()}
    assert names == {f"phantom_{golden.kind}_segmentation" for golden in GOLDEN}


def test_golden_bundles_name_no_machine() -> None:
    for folder in (BUNDLES / "golden").iterdir():
        for name, text in texts(folder).items():
            assert str(Path.home()) not in text, name
            assert "/tmp" not in text, name


@pytest.mark.skipif(not TRAINED.is_dir(), reason="no trained bundle has been made yet")
def test_trained_bundle_is_whole() -> None:
    check_manifest(TRAINED)
    size = sum(path.stat().st_size for path in (TRAINED / "models").iterdir())
    assert 0 < size < 4_000_000
    metadata = json.loads((TRAINED / "configs/metadata.json").read_text())
    assert metadata["eval_metrics"], "the figures are in the metadata"
    assert "CC-BY-SA 4.0" in (TRAINED / "docs/data_license.txt").read_text()
