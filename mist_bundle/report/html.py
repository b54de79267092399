"""HTML without templates: text is escaped unless it is markup already, so no name of a class or case breaks a page.

Escaping is markupsafe's. There are no template files: a page is put together by functions that take numbers and give
elements, and a second language for that would only hide which part of a page is made where.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup, escape

from mist_bundle.resources import own_text

Html = Markup
_NONE = "–"
_LONG_TABLE = 40  # rows
_LONG_NUMBER = 24  # characters
# nothing is fetched from anywhere: what a page shows stands in it
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_VOID = frozenset({"meta", "link", "img", "br", "input"})


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Parts after one another, each escaped unless it is markup."""
    return Html(separator).join(escape(part) for part in parts if part is not None)


def el(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. `class_` becomes class, `stroke_width` stroke-width; None leaves an attribute out."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        plain = key.rstrip("_").replace("_", "-") if key not in _CAMEL else _CAMEL[key]
        words.append(plain if value is True else f'{plain}="{escape(_number(value))}"')
    if name in _VOID:
        return Html(f"<{' '.join(words)}>")
    return Html(f"<{' '.join(words)}>{join(children)}</{name}>")


# SVG's attributes that are not written with hyphens
_CAMEL = {"view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio"}


def section(identity: str, title: str, *children: object, lead: str = "") -> Html:
    """A part of the page with its heading; `lead` says in a sentence what it shows."""
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
    """A table that scrolls sideways on narrow screens, and down when it is long and no text; numbers are set right.

    Args:
        head: names of the columns.
        rows: cells; the first names the row. Floats of a column get the same number of decimals.
        caption: what the table shows.
        sortable: a click on a column's name sorts by it.
        stacked: for tables of text: on narrow screens the cells of a row stand below each other.
    """
    body = _even_columns([list(row) for row in rows])
    right = [bool(body) and all(_is_number(row[index]) for row in body) for index in range(len(head))]
    kinds = ["number" if one and index else None for index, one in enumerate(right)]
    header = el("tr", *(el("th", cell, scope="col", class_=kind) for cell, kind in zip(head, kinds, strict=True)))
    lines = [
        el(
            "tr",
            el("th", row[0], scope="row"),
            *(el("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in body
    ]
    content = el(
        "table",
        # the words keep to the window where the table is wider than it
        el("caption", el("span", caption)) if caption else None,
        el("thead", header),
        el("tbody", *lines),
        class_=" ".join(name for name, wanted in (("sortable", sortable), ("stacked", stacked)) if wanted) or None,
    )
    shape = "scroll long" if len(body) > _LONG_TABLE and not stacked else "scroll"
    return el("div", content, class_=shape, tabindex=0, role="region", aria_label=caption or "Table")


def details(summary: object, *children: object, is_open: bool = False) -> Html:
    """A part that opens on a click; printed open."""
    return el("details", el("summary", summary), *children, open=is_open)


def hint(what: str, command: str) -> Html:
    """In place of a part that is not there yet: what makes it."""
    return el("p", what, " This command does it: ", el("code", unbroken(command)), ".", class_="hint")


def problem(what: object) -> Html:
    """In place of a part that cannot be shown: what is wrong."""
    return el("p", what, class_="problem")


def commands(text: str) -> Html:
    """Lines for a terminal."""
    return el("pre", el("code", join(map(unbroken, text.splitlines()), "\n")), tabindex=0)


def unbroken(line: str) -> Html:
    """A line of words that breaks between words only, not after the hyphens of an option."""
    return join((el("span", word, class_="word") for word in line.split(" ")), " ")


def number(value: Any, digits: int = 3) -> str:
    """A number for people: `digits` significant digits, thousands separated, a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _NONE
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def even_decimals(values: Iterable[float], digits: int = 3) -> int:
    """How many decimals show all values alike, the typical one with `digits` significant digits."""
    told = [abs(value) for value in values if math.isfinite(value) and value]
    if all(float(value).is_integer() for value in told):
        return 0
    return min(max(0, digits - 1 - math.floor(math.log10(median(told)))), 6)


def _even_columns(rows: list[list[object]]) -> list[list[object]]:
    decimals = [even_decimals(cell for cell in column if isinstance(cell, float)) for column in zip(*rows, strict=True)]
    return [[_cell(cell, places) for cell, places in zip(row, decimals, strict=True)] for row in rows]


def _cell(cell: object, decimals: int) -> object:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return _NONE
    if isinstance(cell, float):
        text = f"{cell:,.{decimals}f}"
        return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else cell


def document(title: str, subtitle: object, sections: Sequence[tuple[str, str, Html]], *, foot: object = "") -> str:
    """The whole page, with style and script inside it.

    Args:
        title: of the page.
        subtitle: under it.
        sections: (id, name in the table of contents, markup made by `section`).
        foot: last words.
    """
    links = [el("li", el("a", name, href=f"#{identity}")) for identity, name, _ in sections]
    head = page_head(title, _asset("report.css"), _POLICY)
    body = el(
        "body",
        el("a", "Skip to the content", href="#main", class_="skip"),
        el("header", el("h1", title), el("p", subtitle, class_="lead")),
        el(
            "div",
            el("nav", el("ul", *links), aria_label="Contents"),
            el("main", *(markup for _, _, markup in sections), id="main"),
            class_="page",
        ),
        el("footer", foot),
        el("dialog", el("button", "Close", type="button"), el("div"), id="enlarged", aria_label="Enlarged picture"),
        el("script", Html(_asset("report.js"))),
    )
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def page_head(title: str, style: str, policy: str) -> Html:
    """The head of a page: its title, its style, and the content security policy that the browser keeps it to."""
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        # an empty icon, or browsers look for one beside the file
        el("link", rel="icon", href="data:,"),
        el("style", Html(style)),
    )


@functools.cache
def _asset(name: str) -> str:
    return own_text(f"report/assets/{name}")


def _is_number(cell: object) -> bool:
    text = str(cell)
    return text == _NONE or (text[:1] in "0123456789-+" and len(text) < _LONG_NUMBER and "×" not in text)


def _number(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value
