"""Takes a picture of the live page of a running linewatch, for the README.

    python scripts/page_picture.py http://127.0.0.1:8090/ docs/images/page.png

Needs the package playwright and a Chromium or Chrome on the PATH. It waits until every camera
in sight that has a picture shows it, and, with `--alert`, until an alert is firing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Error, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOWN = """() => {
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((node) => {
    const box = node.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  });
  const without = (card) => card.querySelector(".veil").textContent.startsWith("No picture");
  const cards = seen(".card");
  return cards.length > 0
    && cards.every((card) => card.querySelector(".frame img") || without(card))
    && seen(".thumb img").every((image) => image.complete);
}"""


def main() -> int:
    """0: the picture is there. 1: it could not be taken, and why is on standard error."""
    options = _options()
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        print(f"no browser on the PATH: install one of {', '.join(BROWSERS)}", file=sys.stderr)
        return 1
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
            page = browser.new_page(
                viewport={"width": options.width, "height": options.height},
                device_scale_factor=options.scale,
            )
            page.goto(options.url)
            _settle(page, options.alert, options.wait_s)
            page.screenshot(path=options.picture)
            browser.close()
    except (Error, AssertionError) as error:
        print(f"no picture of {options.url}: {error}", file=sys.stderr)
        return 1
    print(options.picture)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the page is")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--width", type=int, default=1440, help="of the window, in CSS pixels")
    parser.add_argument("--height", type=int, default=900, help="of the window, in CSS pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="picture pixels for each CSS pixel")
    parser.add_argument("--wait-s", type=float, default=60.0, help="how long to wait for cameras and alerts")
    parser.add_argument("--alert", action="store_true", help="wait until an alert is firing")
    return parser.parse_args()


def _settle(page: Page, alert: bool, wait_s: float) -> None:
    """Until the page shows what it is to show; AssertionError where it does not in `wait_s`."""
    expect(page.locator(".card").first).to_be_visible(timeout=wait_s * 1000)
    if alert:
        expect(page.locator(".card.firing").first).to_be_visible(timeout=wait_s * 1000)
    left_ms = wait_s * 1000
    while not page.evaluate(SHOWN):
        left_ms -= 100
        if left_ms < 0:
            raise AssertionError(f"the cameras' pictures did not come within {wait_s:g} s")
        page.wait_for_timeout(100)
    page.wait_for_timeout(1500)  # The charts are drawn once a second.


if __name__ == "__main__":
    sys.exit(main())
