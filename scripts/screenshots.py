"""The pictures of pages in docs/images: data page, report and viewer of synthetic data, in a headless Chromium."""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
IMAGES = ROOT / "docs/images"
COLOURS = 128
WIDTH = 1280  # of the page
SCALE = 866 / WIDTH


def run(*words: object) -> None:
    """A verb of mist_bundle."""
    subprocess.run([sys.executable, "-m", "mist_bundle", *map(str, words)], check=True)


def main() -> None:
    """Make the pages, then take the pictures."""
    from tests.report.browser import Browser, start_browser

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="use the pages that an earlier run left here")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="screenshots."))
    if not (folder / "report.html").is_file():
        make_pages(folder)

    def picture(browser: Browser, name: str, height: int, start: str = "") -> None:
        offset = browser.run(f"return document.querySelector('{start}').getBoundingClientRect().top") if start else 0
        clip = {"x": 0, "y": offset, "width": WIDTH, "height": height / SCALE, "scale": SCALE}
        options = {"format": "png", "clip": clip, "captureBeyondViewport": True}
        taken = browser.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        path = IMAGES / name
        path.write_bytes(base64.b64decode(taken["data"]))
        with Image.open(path) as image:
            image.convert("RGB").quantize(COLOURS).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")

    with start_browser(folder / "profile") as browser:
        browser.open(folder / "data/data_report.html", width=WIDTH, scheme="light")
        picture(browser, "data_report.png", 580, "#pictures")
        browser.open(folder / "report.html", width=WIDTH, scheme="light")
        picture(browser, "report_after.png", 1133)
        browser.open(folder / "report_viewer.html", width=WIDTH, scheme="light", height=round(533 / SCALE))
        browser.wait_for("return document.body.dataset.shown")
        picture(browser, "viewer_after.png", 533)


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
