"""Reading a page as a browser would, without one."""

from __future__ import annotations

import itertools
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Elements and text of a page; complains about tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def check_page(text: str) -> Page:
    """What every page must fulfil: self-contained, labelled, escaped."""
    page = Page(text)
    for attributes in (attributes for _, attributes in page.elements):
        for key in ("src", "href"):
            value = attributes.get(key) or ""
            assert not value.startswith(("http:", "https:", "//")), f"{value[:60]} needs a network"
        assert not [key for key in attributes if key.startswith("on")], "no event handlers in attributes"
    for image in page.all("img"):
        assert image.get("alt"), "every picture says what it shows"
        assert str(image["src"]).startswith("data:image/png;base64,")
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), "no level is left out"
    policies = [one for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert [str(one["content"]).startswith("default-src 'none'") for one in policies] == [True]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        target = str(link.get("href"))
        assert not target.startswith("#") or target[1:] in ids
    assert [attributes.get("lang") for attributes in page.all("html")] == ["en"]
    assert "width=device-width" in str(page.all("meta"))
    return page
