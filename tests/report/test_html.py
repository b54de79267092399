"""Escaping, and the small pieces of a page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.report.html import Html, document, el, escape, hint, join, number, section, table
from tests.report.pages import Page, check_page

ANY = st.text(alphabet="<>&\"'/ab \n-;=[]!é漢", max_size=30)


@settings(max_examples=40)
@given(ANY, ANY)
def test_any_text_stays_text(words: str, attribute: str) -> None:
    page = Page(el("p", words, title=attribute))
    (one,) = page.all("p")
    assert [tag for tag, _ in page.elements] == ["p"]
    assert "".join(page.words) == words
    assert one["title"] == attribute


def test_markup_is_not_escaped_twice() -> None:
    inner = el("b", "a < b")
    assert el("p", inner, " & ", Html("<i>c</i>")) == "<p><b>a &lt; b</b> &amp; <i>c</i></p>"
    assert escape(inner) == inner
    assert join(["<", inner, None]) == "&lt;<b>a &lt; b</b>"


def test_attributes() -> None:
    made = el("rect", stroke_width=1.5, view_box="0 0 1 1", hidden=True, title=None, open=False, class_="a")
    assert made == '<rect stroke-width="1.5" viewBox="0 0 1 1" hidden class="a"></rect>'
    assert el("img", src="x", alt="y") == '<img src="x" alt="y">'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (12345, "12,345"),
        (0, "0"),
        (0.0, "0"),
        (1.0, "1"),
        (0.123456, "0.123"),
        (1234.5678, "1,235"),
        (36.55, "36.5"),
        (99.96, "100"),
        (2.4e-7, "2.40e-07"),
        (-0.5, "-0.5"),
        (100.0, "100"),
    ],
)
def test_numbers_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


def test_columns_of_numbers_are_set_right_and_words_are_not() -> None:
    page = Page(
        table(["case", "ml", "size"], [["001", "1.5", "small"], ["002", "–", "3 of 4 and more words than fit"]])
    )
    assert [cell.get("class") for cell in page.all("td")] == ["number", None, "number", None]
    assert [cell.get("scope") for cell in page.all("th")] == ["col"] * 3 + ["row"] * 2


def test_document_is_complete_by_itself() -> None:
    parts = [("one", "One", section("one", "The <first>", hint("Nothing here.", "mist & bundle")))]
    page = check_page(document("Title <b>", "Subtitle", parts))
    assert "The <first>" in page.text
    assert "Run: mist & bundle" in page.text


def test_floats_of_a_column_have_the_same_number_of_decimals() -> None:
    rows = [["a", 0.88, 18.0, 4, None], ["b", 0.8584, 77.62, 1200, 2.0], ["c", float("nan"), 147.0, 3, -0.0001]]
    page = Page(table(["", "Dice", "ml", "cases", "x"], rows))
    assert page.text == "Dice ml cases x a 0.880 18.0 4 – b 0.858 77.6 1,200 2.00 c – 147.0 3 0.00"
