"""Configurations as MONAI sees them: merged files, references, components."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from mist_bundle.verify.content import WORKFLOWS, Content, components, imported_modules, references, strings

CONFIG = {
    "a": "@b#0#c",
    "b": [{"c": "$@d + @e::f"}, "%run"],
    "d": "an @ alone, and mail@example.org",
    "e": {"f": 1, "_target_": "X", "g": [{"_target_": "Y"}]},
}


def test_references_components_and_texts() -> None:
    assert references(CONFIG) == {"b#0#c", "d", "e::f", "run"}
    assert [part["_target_"] for part in components(CONFIG)] == ["X", "Y"]
    assert set(strings(CONFIG)) == {"@b#0#c", "$@d + @e::f", "%run", "an @ alone, and mail@example.org", "X", "Y"}


def test_workflows_are_merged_as_monai_merges_them(fresh_bundle: Path) -> None:
    content = Content.read(fresh_bundle)
    assert content.workflows.keys() == WORKFLOWS.keys()
    for workflow, (stems, _) in WORKFLOWS.items():
        parser = ConfigParser()
        parser.read_config([str(fresh_bundle / f"configs/{stem}.json") for stem in stems])
        merged = parser.get()
        merged.pop("_meta_", None)
        assert content.workflows[workflow] == merged, workflow
    assert content.has("evaluate", "validate#handlers#0")
    assert content.missing("train", "train#trainer train#nothing epochs") == ["train#nothing"]
    assert content.plan is not None


@pytest.mark.parametrize("text", ["import a.b, c\nfrom d.e import f\nfrom . import g\nfrom .h import i\n"])
def test_imported_modules(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(text)
    assert imported_modules(tmp_path / "x.py") == {"a", "c", "d"}
