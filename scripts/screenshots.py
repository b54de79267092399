"""The pictures of pages in docs/images: data page, report and viewer of synthetic data, in a headless Chromium."""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from tests.report.browser import Browser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
IMAGES = ROOT / "docs/images"
COLOURS = 128
WIDTH = 1280  # of the page
PICTURE_WIDTH = 866
SCALE = PICTURE_WIDTH / WIDTH


def run(*words: object) -> None:
    """A verb of mist_bundle."""
    subprocess.run([sys.executable, "-m", "mist_bundle", *map(str, words)], check=True)


def main() -> None:
    """Make the pages, then take the pictures."""
    from tests.report.browser import start_browser

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="use the pages that an earlier run left here")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="screenshots."))
    if not (folder / "report.html").is_file():
        make_pages(folder)

    def picture(browser: Browser, name: str, box: dict[str, float]) -> None:
        clip = {**box, "scale": PICTURE_WIDTH / box["width"]}
        options = {"format": "png", "clip": clip, "captureBeyondViewport": True}
        taken = browser.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        path = IMAGES / name
        path.write_bytes(base64.b64decode(taken["data"]))
        with Image.open(path) as image:
            image.convert("RGB").quantize(COLOURS).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")

    with start_browser(folder / "profile") as browser:
        browser.open(folder / "data/data_report.html", width=WIDTH, scheme="light")
        picture(browser, "data_report.png", box_of_cases(browser, 4))
        browser.open(folder / "report.html", width=WIDTH, scheme="light")
        picture(browser, "report_after.png", top_of_page(1133))
        browser.open(folder / "report_viewer.html", width=WIDTH, scheme="light", height=round(533 / SCALE))
        browser.wait_for("return document.body.dataset.shown")
        picture(browser, "viewer_after.png", top_of_page(533))


def top_of_page(height: int) -> dict[str, float]:
    """The part of a page that becomes a picture of that height."""
    return {"x": 0, "y": 0, "width": WIDTH, "height": height / SCALE}


def box_of_cases(browser: Browser, number: int) -> dict[str, float]:
    """The section of pictures from its title to the end of that many cases, without what is beside and below it."""
    section = browser.run("return document.querySelector('#pictures').getBoundingClientRect().toJSON()")
    last_case = f"document.querySelectorAll('#pictures .cases > *')[{number - 1}]"
    bottom = browser.run(f"return {last_case}.getBoundingClientRect().bottom")
    margin = 12
    left = section["left"] - margin
    width = WIDTH - left
    return {"x": left, "y": section["top"], "width": width, "height": bottom + margin - section["top"]}


def make_pages(folder: Path) -> None:
    """A data page of MR phantoms; report and viewer of a short cross-validation on CT phantoms."""
    run("phantom", folder / "mr2")
    run("analyze", folder / "mr2/dataset.json", "--output", folder / "data", "--pictures", 4)
    run("phantom", folder / "ct", "--kind", "ct")
    short = ["--recipe", "quick", "--folds", 2, "--epochs", 2, "--steps_per_epoch", 30]
    run("autoconfig", folder / "ct/dataset.json", "--output", folder, *short)
    bundle = folder / "phantom_ct_segmentation"
    run("train", bundle, "--fold", "all")
    run("evaluate", bundle, "--save_probabilities", "true")
    run("finalize", bundle)
    run("calibrate", bundle)
    run("report", bundle, "--output", folder / "report.html")


if __name__ == "__main__":
    main()
