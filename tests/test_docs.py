"""The documentation builds without a warning and needs no network; links of pages outside of it lead somewhere too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
TOP_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_built_and_fetches_nothing(site: Path) -> None:
    pages = {path.stem for path in site.glob("*.html")}
    assert pages >= {path.stem for path in (ROOT / "docs").glob("*.md")} | {"changelog", "contributing"}
    for page in site.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?(https?:[^\" >]+)", html)
        fetched += re.findall(r"<link[^>]*rel=\"?stylesheet[^>]*href=\"?(https?:[^\" >]+)", html)
        assert not fetched, page.name


def test_the_api_page_shows_arguments_from_the_docstrings(site: Path) -> None:
    html = (site / "api.html").read_text(encoding="utf-8")
    for name in ("configure", "predict", "finetune", "Bundle", "InputError"):
        assert re.search(rf'id="mist_bundle\.[A-Za-z_.]*{name}"', html), name
    assert "Parameters:" in html


def _anchors(page: Path) -> set[str]:
    """As GitHub and mkdocs make them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TOP_PAGES)
def test_links_of_the_pages_at_the_top_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http:", "https:"))]
    dead = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = ROOT / (path or name)
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)
    assert not dead


def test_the_first_page_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    menu = text[text.index("| to … |") : text.index("### A trained bundle")]
    named = set(re.findall(r"`([a-z_]+)[^`]*`", menu))
    assert not set(VERBS) - named
    assert not named - set(VERBS)


def test_the_way_of_a_case_lists_the_transforms_in_order() -> None:
    config = json.loads(
        (ROOT / "bundles/golden/phantom_ct_segmentation/configs/train.json").read_text(encoding="utf-8")
    )
    names = []
    for transform in config["train"]["deterministic_transforms"]:
        names.append(transform["_target_"].rpartition(".")[2])
    page = (ROOT / "docs/anatomy.md").read_text(encoding="utf-8")
    shown = [name.removesuffix("d") for name in re.findall(r"^\| `(\w+)`", page, re.MULTILINE)]
    assert shown == [name.removesuffix("d") for name in names]
