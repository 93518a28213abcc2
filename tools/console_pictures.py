"""Make the pictures of the console in the documentation again.

    python tools/console_pictures.py http://127.0.0.1:8080 build/serve/demo-key [--browser chromium]

The service has a session that runs and one that has ended, as `make serve` has after its first
round. Needs Chromium and the extra dev.
"""

from __future__ import annotations

import argparse
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from sgmn.client import Client, Session

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parents[1] / "docs" / "pictures" / "console"
SIZE: Any = {"width": 1280, "height": 800}
QUALITY, MAX_BYTES = 80, 100_000
PICTURE_WAIT_MS = 2000  # for frames and product images
READY = "() => [...document.images].every((image) => image.complete)"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page, and the element that shows that it is ready."""

    name: str
    path: str
    ready: str


def main() -> None:
    options = parse_options()
    key = options.key.read_text().strip()
    with Client(options.address, key) as client:
        pictures = choose_pages(client)
    PICTURES.mkdir(exist_ok=True)
    take_pictures(options, key, pictures)


def choose_pages(client: Client) -> list[Picture]:
    """The pages, of the newest sessions with something to see."""
    running = find_session(client, "running")
    ended = find_session(client, "ended")
    segments = client.get_timeline(ended.id).segments
    sold = max((one for one in segments if one.product_id), key=lambda one: one.end - one.start)
    middle_s = (sold.start + sold.end) / 2
    session, catalogue = f"/console/sessions/{ended.id}", ended.catalogue_id
    return [
        Picture("live", f"/console/live/{running.id}", "main img"),
        Picture("review", "/console/review", "main img"),
        Picture("timeline", f"{session}?t={middle_s:.1f}", "main svg, main canvas"),
        Picture("why", f"{session}/why/{middle_s:.1f}", "main img"),
        Picture("sessions", "/console/sessions", ".row"),
        Picture("catalogue", f"/console/catalogues/{catalogue}", ".product-card"),
        Picture(
            "product", f"/console/catalogues/{catalogue}/products/{sold.product_id}", "tbody tr"
        ),
        Picture("improve", f"/console/improve/{catalogue}", "progress"),
    ]


def find_session(client: Client, state: str) -> Session:
    """The newest session in a state."""
    session = next(client.list_sessions(state=state), None)
    if session is None:
        raise SystemExit(f"There is no session in the state {state!r}; wait for `make serve`.")
    return session


def take_pictures(options: argparse.Namespace, key: str, pictures: list[Picture]) -> None:
    """Log in and save each page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.browser, args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport=SIZE, locale="en-GB", base_url=options.address)
        login: dict[str, Any] = {"key": key}
        headers = {"Origin": options.address}
        context.request.post("/console/login", data=login, headers=headers)
        page = context.new_page()
        for picture in pictures:
            take_picture(page, picture)
        browser.close()


def take_picture(page: Page, picture: Picture) -> None:
    """Save a page as WebP."""
    page.goto(picture.path)
    page.locator(picture.ready).first.wait_for()
    page.wait_for_timeout(PICTURE_WAIT_MS)
    page.wait_for_function(READY)
    target = PICTURES / f"{picture.name}.webp"
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(target, quality=QUALITY, method=6)
    size = target.stat().st_size
    print(f"{target.name}: {size / 1000:.0f} kB")
    if size > MAX_BYTES:
        raise SystemExit(f"{target} has more than {MAX_BYTES / 1000:.0f} kB.")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="the service, such as http://127.0.0.1:8080")
    parser.add_argument("key", type=Path, help="a file with an admin's key")
    browser = shutil.which("chromium")
    parser.add_argument("--browser", default=browser, help="the path of Chromium")
    return parser.parse_args()


if __name__ == "__main__":
    main()
