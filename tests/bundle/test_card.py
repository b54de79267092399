"""The model card says what a receiver has to know, and its header is what Hugging Face accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mist_bundle.bundle.configs.metadata import TESTED


def _header_and_text(bundle: Path) -> tuple[dict[str, object], str]:
    card = (bundle / "docs/README.md").read_text()
    assert card.startswith("---\n")
    _, header, text = card.split("---\n", 2)
    return yaml.safe_load(header), text


def test_header(fresh_bundle: Path) -> None:
    header, _ = _header_and_text(fresh_bundle)
    assert header["license"] == "apache-2.0"
    assert header["library_name"] == "monai"
    assert header["pipeline_tag"] == "image-segmentation"
    assert {"monai", "medical", "segmentation", "mri"} <= set(header["tags"])


def test_hugging_face_reads_the_header(fresh_bundle: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    card = huggingface_hub.ModelCard.load(fresh_bundle / "docs/README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "monai"


def test_sections_and_facts(fresh_bundle: Path) -> None:
    _, text = _header_and_text(fresh_bundle)
    plan = json.loads((fresh_bundle / "configs/plan.json").read_text())
    for heading in ("Data", "Results", "Commands", "Decisions and their reasons", "Limits", "Licences", "Citation"):
        assert f"\n## {heading}\n" in text, heading
    assert "Licence: CC0-1.0" in text
    assert all(channel in text for channel in plan["channel_names"])
    assert all(name in text for name in (*plan["label_names"], *plan["final_classes"]))
    assert all(decision["because"] in text for decision in plan["decisions"].values())
    assert all(f"{package}=={version}" in text for package, version in TESTED.items())


def test_results_take_their_place(trained_bundle: Path) -> None:
    header, text = _header_and_text(trained_bundle)
    assert header["library_name"] == "monai"
    assert "Not trained yet" not in text
    assert "no case was scored by a model that had seen it" in text
    metrics = json.loads((trained_bundle / "configs/metadata.json").read_text())["eval_metrics"]
    assert metrics
    for name, value in metrics.items():
        shown = text.split(f"| {name} | ")[1].split(" |")[0]
        assert float(shown) == pytest.approx(value, abs=1e-4), name
