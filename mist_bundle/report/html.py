"""HTML elements as Python calls. Text is escaped by markupsafe unless it is markup already.

Pages consist of charts, pictures and tables that Python computes, with hardly any fixed text around them. Jinja2
templates would only add a second language whose loops do what the functions here do.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

from mist_bundle.report.colours import colour_variables
from mist_bundle.resources import own_text
from mist_bundle.runtime.wording import even_decimals

Html = Markup
_NONE = "–"
_LONG_TABLE = 40  # rows
_LONG_NUMBER = 24  # characters
# a page contains everything that it shows; nothing is fetched
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_VOID = frozenset({"meta", "link", "img", "br", "input"})
# SVG attributes in camel case
_CAMEL = {"view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio"}


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Parts in a row, each escaped unless it is markup; None is left out."""
    shown = [escape(part) for part in parts if part is not None]
    return Html(separator).join(shown)


def el(name: str, /, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: of the element.
        *children: text, which is escaped, or markup; None is left out.
        **attributes: `class_` becomes class, `stroke_width` stroke-width; None and False leave an attribute out, and
            True has no value.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = _CAMEL.get(key, key.rstrip("_").replace("_", "-"))
        if value is True:
            words.append(attribute)
        elif isinstance(value, float):
            words.append(f'{attribute}="{value:.5g}"')
        else:
            words.append(f'{attribute}="{escape(value)}"')
    if name in _VOID:
        return Html(f"<{' '.join(words)}>")
    return Html(f"<{' '.join(words)}>{join(children)}</{name}>")


def bullets(items: Iterable[object], **attributes: object) -> Html:
    """A list with an entry for each item."""
    return el("ul", *[el("li", item) for item in items], **attributes)


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """A few values in large letters, each under its name."""
    entries = [el("div", el("dt", name), el("dd", value)) for name, value in pairs]
    return el("dl", *entries, class_="facts")


def section(identity: str, title: str, *children: object, lead: str = "") -> Html:
    """A part of the page with its heading; `lead` introduces it."""
    heading = el("h2", title, id=f"{identity}-title")
    intro = el("p", lead, class_="lead") if lead else None
    return el("section", heading, intro, *children, id=identity, aria_labelledby=f"{identity}-title")


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str = "",
    sortable: bool = False,
    stacked: bool = False,
) -> Html:
    """A table. Numbers are aligned right; narrow screens scroll it sideways, and long tables scroll down.

    Args:
        head: headings of the columns.
        rows: cells; the first is the heading of the row. Floats of a column get the same number of decimals.
        caption: title of the table.
        sortable: whether a click on a heading sorts by its column.
        stacked: for tables of text: on narrow screens the cells of a row are stacked.
    """
    body = _even_columns(list(map(list, rows)))
    kinds: list[str | None] = [None] * len(head)
    for index, column in enumerate(zip(*body, strict=True)):
        if index and all(map(_is_number, column)):
            kinds[index] = "number"
    header = []
    for cell, kind in zip(head, kinds, strict=True):
        header.append(el("th", cell, scope="col", class_=kind))
    lines = []
    for row in body:
        cells = [el("th", row[0], scope="row")]
        for cell, kind in zip(row[1:], kinds[1:], strict=True):
            cells.append(el("td", cell, class_=kind))
        lines.append(el("tr", *cells))
    classes = []
    if sortable:
        classes.append("sortable")
    if stacked:
        classes.append("stacked")
    content = el(
        "table",
        # the span keeps the caption within the window where the table is wider
        el("caption", el("span", caption)) if caption else None,
        el("thead", el("tr", *header)),
        el("tbody", *lines),
        class_=" ".join(classes) or None,
    )
    shape = "scroll long" if len(body) > _LONG_TABLE and not stacked else "scroll"
    return el("div", content, class_=shape, tabindex=0, role="region", aria_label=caption or "Table")


def details(summary: object, *children: object, is_open: bool = False) -> Html:
    """A part that opens on a click and is open in print."""
    return el("details", el("summary", summary), *children, open=is_open)


def hint(what: str, command: str) -> Html:
    """In place of a part that does not exist yet: the command that creates it."""
    return el("p", what, " Run: ", el("code", unbroken(command)), class_="hint")


def problem(what: object) -> Html:
    """In place of a part that cannot be shown: the reason."""
    return el("p", what, class_="problem")


def commands(text: str) -> Html:
    """Lines for a terminal."""
    return el("pre", el("code", join(map(unbroken, text.splitlines()), "\n")), tabindex=0)


def unbroken(line: str) -> Html:
    """A command that wraps between words only, not after the hyphens of an option."""
    return join([el("span", word, class_="word") for word in line.split(" ")], " ")


def number(value: Any, digits: int = 3) -> str:
    """A number as text: `digits` significant digits, thousands separated; a dash for None, NaN and infinity."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _NONE
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}"
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    decimals = max(0, digits - 1 - magnitude)
    text = f"{value:,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _even_columns(rows: list[list[object]]) -> list[list[object]]:
    """The cells as text, with the same number of decimals in all rows of a column."""
    columns = []
    for column in zip(*rows, strict=True):
        decimals = even_decimals(cell for cell in column if isinstance(cell, float))
        columns.append([cell_text(cell, decimals) for cell in column])
    return list(map(list, zip(*columns, strict=True)))


def cell_text(cell: object, decimals: int) -> object:
    """A cell with that many decimals, if it is a number; a dash for None, NaN and infinity."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return _NONE
    if isinstance(cell, float):
        text = f"{cell:,.{decimals}f}"
        return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else cell


def document(title: str, subtitle: object, sections: Sequence[tuple[str, str, Html]], *, foot: object = "") -> str:
    """The complete page, which contains its style and its script.

    Args:
        title: of the page.
        subtitle: below the title.
        sections: (id, name in the table of contents, markup by `section`).
        foot: footer.
    """
    links = []
    contents = []
    for identity, name, markup in sections:
        links.append(el("a", name, href=f"#{identity}"))
        contents.append(markup)
    head = page_head(title, f"{colour_variables()}\n{_asset('report.css')}", _POLICY)
    body = el(
        "body",
        el("a", "Skip to the content", href="#main", class_="skip"),
        el("header", el("h1", title), el("p", subtitle, class_="lead")),
        el(
            "div",
            el("nav", bullets(links), aria_label="Contents"),
            el("main", *contents, id="main"),
            class_="page",
        ),
        el("footer", foot),
        el("dialog", el("button", "Close", type="button"), el("div"), id="enlarged", aria_label="Enlarged picture"),
        el("script", Html(_asset("report.js"))),
    )
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def page_head(title: str, style: str, policy: str) -> Html:
    """The head of a page with title, style and the content security policy that the browser enforces."""
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        # an empty icon stops browsers from looking for a file beside the page
        el("link", rel="icon", href="data:,"),
        el("style", Html(style)),
    )


@functools.cache
def _asset(name: str) -> str:
    return own_text(f"report/assets/{name}")


def _is_number(cell: object) -> bool:
    text = str(cell)
    return text == _NONE or (text[:1] in "0123456789-+" and len(text) < _LONG_NUMBER and "×" not in text)
