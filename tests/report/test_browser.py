"""The pages in a real browser: pictures loaded, charts drawn, nothing too wide, readable in both schemes, no errors."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
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
    write_report(ReportRequest(bundle=trained.bundle, pictures=2, each=1, viewer_cases=2), output)
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


def test_a_click_enlarges_a_picture_and_another_closes_it(browser: Browser, report: Path) -> None:
    browser.open(report, width=1280, scheme="light")
    width = "return document.querySelector('#cases .slice').clientWidth"
    small = browser.run(width)
    browser.run("document.querySelector('#cases .slice').click();")
    assert browser.run("return document.getElementById('enlarged').open")
    large = browser.run("return document.querySelector('dialog .slice').clientWidth")
    assert large > 2 * small
    assert browser.run("return document.querySelectorAll('dialog .slice path').length") > 0, "with its outlines"
    browser.run("document.querySelector('dialog .slice').click();")
    assert not browser.run("return document.getElementById('enlarged').open")


def test_contents_stay_in_sight_and_say_where_the_reader_is(browser: Browser, report: Path) -> None:
    browser.open(report, width=1280, scheme="light")
    assert browser.run("return document.querySelector('nav a[aria-current]').textContent") == "Results"
    browser.run(
        "document.documentElement.style.scrollBehavior = 'auto'; document.getElementById('plan').scrollIntoView();"
    )
    assert browser.wait_for("return document.querySelector('nav a[aria-current]').textContent === 'Plan'", seconds=5)
    top, bottom = browser.run(
        "const b = document.querySelector('nav').getBoundingClientRect(); return [b.top, b.bottom]"
    )
    assert top >= 0
    assert bottom <= 900


LETTERS = "return [...document.querySelectorAll('#stage span')].map((one) => one.textContent).sort().join('')"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_viewer(browser: Browser, report: Path, width: int, scheme: str) -> None:
    browser.open(report.with_name("report_viewer.html"), width=width, scheme=scheme, height=700)
    first = browser.wait_for("return document.body.dataset.shown")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert _is_drawn(browser), "the case is shown"
    assert LIVER in browser.run("return document.querySelector('header').textContent")
    assert browser.run(LETTERS) == "AAIILLPPRRSS", "all six sides of the patient are named"
    assert browser.run("return [reference.value, prediction.value, differences.value]") == [
        "filled",
        "outlined",
        "hidden",
    ]
    _choose(browser, "case", "1")
    second = browser.wait_for(f"return document.body.dataset.shown != '{first}' && document.body.dataset.shown")
    assert second != first
    assert browser.run(FETCHED) == [], "everything stands in the page"
    assert browser.messages() == []


def test_viewer_shows_the_maps_as_they_are_chosen(browser: Browser, report: Path) -> None:
    _open_axial(browser, report)
    for kind in ("reference", "prediction"):
        _choose(browser, kind, "hidden")
    grey = _canvas(browser)
    assert not _coloured(grey), "an axial slice alone is grey, but for the cross"
    shares = {}
    for mode in ("outlined", "filled"):
        _choose(browser, "reference", mode)
        shares[mode] = float((np.abs(_canvas(browser).astype(int) - grey).max(axis=-1) > 20).mean())
    assert 0 < shares["outlined"] < shares["filled"], "an outline has no fill"
    _choose(browser, "differences", "filled")
    assert browser.run("return [reference.value, prediction.value]") == ["hidden", "hidden"]
    assert browser.run("return document.getElementById('kinds').innerText.split('\\n')") == [
        "missed",
        "false positive",
        "wrong label",
    ]
    filled = _canvas(browser)
    assert _coloured(filled), "the differences are drawn"
    _choose(browser, "differences", "outlined")
    assert np.abs(filled.astype(int) - _canvas(browser)).max() > 20


def test_viewer_shows_reference_and_prediction_side_by_side(browser: Browser, report: Path) -> None:
    _open_axial(browser, report)
    _choose(browser, "layout", "beside")
    captions = browser.run("return [...document.querySelectorAll('#stage figcaption')].map((one) => one.textContent)")
    assert [words.split(",")[0] for words in captions] == ["reference", "prediction"]
    _choose(browser, "prediction", "filled")
    both = _canvas(browser)
    middle = both.shape[1] // 2
    _choose(browser, "reference", "hidden")
    change = np.abs(both.astype(int) - _canvas(browser)).max(axis=-1) > 20
    assert change[:, :middle].any()
    assert not change[:, middle:].any(), "the prediction's side does not show the reference"


def test_viewer_shows_the_channel_that_is_chosen(browser: Browser, report: Path, trained: Made) -> None:
    _open_axial(browser, report)
    case = next(one for one in trained.files if one.id == browser.run("return document.body.dataset.shown"))
    for number, name in ((1, "t2"), (0, "t1")):
        browser.run(
            f"const box = document.getElementById('channel'); box.value = '{number}';"
            "box.dispatchEvent(new Event('input'));"
        )
        browser.wait_for(f"return document.body.dataset.channel === '{name}'")
        words = browser.run("return document.getElementById('place').textContent")
        x, y, z, value = re.findall(r"x (\S+), y (\S+), z (\S+) mm · (\S+) ·", words)[0]
        image = nib.load(str(case.images[name]))
        place = nib.affines.apply_affine(np.linalg.inv(image.affine), [float(x), float(y), float(z)])
        voxel = tuple(np.rint(place).astype(int).tolist())
        assert float(value) == pytest.approx(float(np.asarray(image.dataobj)[voxel]), rel=1e-3)


def test_viewer_says_in_words_what_lies_under_the_cross(browser: Browser, report: Path, trained: Made) -> None:
    _open_axial(browser, report)
    shown = browser.run("return document.body.dataset.shown")
    case = next(one for one in trained.files if one.id == shown)
    image, label, prediction = (nib.load(str(path)) for path in (case.images["t1"], case.label, case.prediction))
    names = {0: "background", 1: LIVER, 2: "kidney", 3: "tumour"}
    browser.run("document.querySelector('#stage canvas').focus()")
    for _ in range(3):
        words = browser.run("return document.getElementById('place').textContent")
        x, y, z, value, *told = re.findall(
            r"x (\S+), y (\S+), z (\S+) mm · (\S+) · reference (.+), prediction (.+)", words
        )[0]
        place = nib.affines.apply_affine(np.linalg.inv(image.affine), [float(x), float(y), float(z)])
        voxel = tuple(np.rint(place).astype(int).tolist())
        assert float(value) == pytest.approx(float(np.asarray(image.dataobj)[voxel]), rel=1e-3)
        assert told == [names[int(np.asarray(one.dataobj)[voxel])] for one in (label, prediction)]
        for key in ("ArrowRight", "ArrowDown", "PageUp"):
            browser.run(
                "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
                f"{{key: '{key}', bubbles: true, cancelable: true}}));"
            )


@pytest.mark.slow
def test_rendering(browser: Browser, report: Path) -> None:
    if library_text() is None:
        pytest.skip(f"the rendering's library is not there; run {BUILD_COMMAND}")
    browser.open(report.with_name("report_viewer.html"), width=800, scheme="light", height=500)
    browser.wait_for("return document.body.dataset.shown")
    _choose(browser, "view", "render")
    browser.wait_for("return !document.getElementById('rendering').hidden")
    deadline = time.monotonic() + 120
    while not _is_drawn(browser) and time.monotonic() < deadline:  # drawn by the processor
        time.sleep(1)
    assert _is_drawn(browser)
    assert browser.messages() == []


def _open_axial(browser: Browser, report: Path) -> None:
    browser.open(report.with_name("report_viewer.html"), width=1280, scheme="light", height=700)
    browser.wait_for("return document.body.dataset.shown")
    _choose(browser, "view", "axial")


def _choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        f"const s = document.getElementById('{name}'); s.value = '{value}'; s.dispatchEvent(new Event('input'));"
    )


def _canvas(browser: Browser) -> np.ndarray:
    box = browser.run(
        "const b = document.getElementById('stage').getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]"
    )
    left, top, right, bottom = (round(one) for one in box)
    pixels = np.asarray(Image.open(io.BytesIO(browser.picture())).convert("RGB"))
    return pixels[max(0, top) : bottom, left:right]


def _coloured(pixels: np.ndarray) -> bool:
    """Whether there is more colour than that of the cross."""
    return bool((np.ptp(pixels.astype(int), axis=-1) > 60).mean() > 0.001)


def _is_drawn(browser: Browser) -> bool:
    pixels = _canvas(browser)
    coloured = np.ptp(pixels.astype(int), axis=-1) > 60
    return bool((pixels.max(axis=-1) > 60).mean() > 0.02 and coloured.any())
