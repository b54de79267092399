"""What mkdocs does besides: pages that lie at the top of the repository get a place in the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# page of the site -> file at the top of the repository
TOP_PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages, with links into docs/ made relative to it."""
    for page, name in TOP_PAGES.items():
        text = re.sub(r"\]\(docs/", "](", (ROOT / name).read_text(encoding="utf-8"))
        for other, file in TOP_PAGES.items():
            text = text.replace(f"]({file})", f"]({other})")
        files.append(File.generated(config, page, content=text))
    return files
