"""The pages in a real browser: pictures loaded, charts drawn, nothing too wide, readable in both schemes, no errors."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mist_bundle.report.bundle_report import ReportRequest, write_report
from mist_bundle.report.viewer import BUILD_COMMAND, library_text
from tests.report.browser import Browser, start_browser
from tests.report.conftest import LIVER, Made

LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with start_browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def report(browser: Browser, trained: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("page") / "report.html"
    cases = 2 if library_text() is not None else 0
    write_report(ReportRequest(bundle=trained.bundle, pictures=2, each=1, viewer_cases=cases), output)
    return output


CONTRAST = """
const luminance = (text) => {
  const [r, g, b] = text.match(/[\\d.]+/g).map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const background = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (!/^rgba\\(.*, 0\\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const found = [];
for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
  const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!text || !element.getClientRects().length || element.closest(".slice, .skip")) continue;
  const style = getComputedStyle(element);
  const ink = luminance(element.closest("svg") ? style.fill : style.color), paper = luminance(background(element));
  const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  if (ratio < 4.5) found.push(`${element.tagName} ${element.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
}
return found;
"""

FETCHED = """
return performance.getEntriesByType("resource").map((one) => one.name.slice(0, 100))
  .filter((name) => !/^(data|blob):/.test(name));
"""

OVERLAPS = """
const found = [];
for (const chart of document.querySelectorAll("svg.chart")) {
  const boxes = [...chart.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
  const frame = chart.getBoundingClientRect();
  for (const [words, box] of boxes) {
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1)
      found.push(`${words} leaves its chart`);
  }
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, b] = [boxes[i][1], boxes[j][1]];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    // line boxes are higher than the letters in them
    if (wide > 1 && high > 4) found.push(`${boxes[i][0]} | ${boxes[j][0]}`);
  }
}
return found;
"""


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_report(browser: Browser, report: Path, width: int, scheme: str) -> None:
    browser.open(report, width=width, scheme=scheme)
    assert browser.run("return document.documentElement.scrollWidth") <= width, "nothing is wider than the page"
    sizes = browser.run(
        "return [...document.images].map((one) => [one.naturalWidth, one.clientWidth, one.clientHeight])"
    )
    assert len(sizes) == 17
    assert all(natural > 0 and wide > 40 and high > 20 for natural, wide, high in sizes)
    charts = browser.run(
        "return [...document.querySelectorAll('svg.chart')].map((one) => [one.getBoundingClientRect().width,"
        " one.querySelectorAll('circle, rect, path').length])"
    )
    assert len(charts) >= 15
    assert all(wide > 250 and marks > 0 for wide, marks in charts)
    assert browser.run(OVERLAPS) == []
    assert browser.run(CONTRAST) == []
    assert browser.run(FETCHED) == [], "everything stands in the page"
    assert browser.messages() == []


def test_schemes_differ(browser: Browser, report: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        browser.open(report, width=1280, scheme=scheme)
        colours.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(18, 22, 28)"]


def test_outlines_lie_on_the_pictures_in_true_proportions(browser: Browser, report: Path) -> None:
    browser.open(report, width=1280, scheme="light")
    frames = browser.run(
        "return [...document.querySelectorAll('.slice')].map((one) => { const f = one.getBoundingClientRect(),"
        " i = one.querySelector('img').getBoundingClientRect(), s = one.querySelector('svg').getBoundingClientRect();"
        " return [one.style.aspectRatio, f.width / f.height, i.width - f.width, s.width - f.width,"
        " s.height - f.height]; })"
    )
    for ratio, shown, *differences in frames:
        wide, high = (float(part) for part in ratio.split("/"))
        assert shown == pytest.approx(wide / high, rel=0.02)
        assert differences == pytest.approx([0, 0, 0], abs=0.6)


def test_tables_sort_and_outlines_can_be_hidden(browser: Browser, report: Path) -> None:
    browser.open(report, width=1280, scheme="light")
    column = (
        "const all = [...document.querySelectorAll('table.sortable')];"
        "const t = all.find((one) => one.caption.textContent == 'All cases');"
        "t.closest('details').open = true;"
    )
    values = "return [...t.tBodies[0].rows].map((row) => parseFloat(row.cells[2].textContent));"
    browser.run(f"{column} t.tHead.rows[0].cells[2].querySelector('button').click();")
    rising = browser.run(column + values)
    assert rising == sorted(rising)
    assert rising[0] < rising[-1]
    browser.run(f"{column} t.tHead.rows[0].cells[2].querySelector('button').click();")
    assert browser.run(column + values) == rising[::-1]
    visible = "return getComputedStyle(document.querySelector('path.prediction:not(.under)')).display"
    assert browser.run(visible) != "none"
    browser.run("document.querySelector('input[data-hide=prediction]').click();")
    assert browser.run(visible) == "none"


def test_readable_without_a_script(browser: Browser, report: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(report, width=1280, scheme="light")
        from selenium.webdriver.common.by import By

        text = browser.driver.find_element(By.TAG_NAME, "main").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "Decisions and their reasons" in text
    assert LIVER in text
    assert "show prediction" not in text, "a switch that would do nothing"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_viewer(browser: Browser, report: Path, width: int, scheme: str) -> None:
    if library_text() is None:
        pytest.skip(f"the viewer's library is not there; run {BUILD_COMMAND}")
    page = report.with_name("report_viewer.html")
    browser.open(page, width=width, scheme=scheme, height=500)  # drawn by the processor: few pixels are quicker
    first = browser.wait_for("return document.body.dataset.shown", seconds=180)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert _is_drawn(browser), "the canvas shows the case"
    assert LIVER in browser.run("return document.querySelector('header').textContent")
    browser.run(
        "const select = document.getElementById('case'); select.value = '1'; select.dispatchEvent(new Event('change'));"
    )
    second = browser.wait_for(
        f"return document.body.dataset.shown != '{first}' && document.body.dataset.shown", seconds=180
    )
    assert second != first
    for view in ("render", "axial"):
        browser.run(
            f"const s = document.getElementById('view'); s.value = '{view}'; s.dispatchEvent(new Event('change'));"
        )
    before = _canvas(browser)
    browser.run("document.getElementById('reference').click(); document.getElementById('prediction').click();")
    assert np.abs(before.astype(int) - _canvas(browser)).max() > 20, "switching the labels off changes the picture"
    assert not _reddish(browser), "an axial slice alone is grey, but for the crosshair"
    browser.run("document.getElementById('differences').click();")
    assert browser.run("return document.getElementById('kinds').innerText.split('\\n')") == [
        "missed",
        "too much",
        "another label",
    ]
    assert _reddish(browser), "the differences are drawn"
    assert browser.run(FETCHED) == [], "everything stands in the page"
    assert browser.messages() == []


def _canvas(browser: Browser) -> np.ndarray:
    box = browser.run(
        "const b = document.getElementById('canvas').getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]"
    )
    left, top, right, bottom = (round(one) for one in box)
    pixels = np.asarray(Image.open(io.BytesIO(browser.picture())).convert("RGB"))
    return pixels[max(0, top) : bottom, left:right]


def _reddish(browser: Browser) -> bool:
    """Whether there is red or yellow."""
    pixels = _canvas(browser).astype(int)
    return bool((pixels[..., 0] > pixels[..., 2] + 40).mean() > 0.001)


def _is_drawn(browser: Browser) -> bool:
    pixels = _canvas(browser)
    coloured = np.ptp(pixels.astype(int), axis=-1) > 60
    return bool((pixels.max(axis=-1) > 60).mean() > 0.02 and coloured.any())
