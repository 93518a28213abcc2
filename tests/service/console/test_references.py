"""Pages look as they did when somebody last looked at them.

Look at the pages and take the references again with

    SGMN_UPDATE_REFERENCES=1 pytest tests/service/console/test_references.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.service.console import references
from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

IS_UPDATE = bool(os.environ.get("SGMN_UPDATE_REFERENCES"))
# Codecs of the machine draw the pictures, and the other elements show times.
MASKED = [".frame-view", ".product-image", "video", ".moment img", ".row-main p"]
RUNNING = [".page-head", ".review-side > *", ".lanes"]  # what a session that runs shows now
SAMPLE = """() => {
  const context = document.createElement("canvas").getContext("2d");
  context.font = getComputedStyle(document.body).font;
  return Math.round(context.measureText("Which product is on sale, and how sure is it?").width);
}"""
LOADED = "() => [...document.images].every((image) => image.complete || image.loading === 'lazy')"
MAX_ATTEMPTS = 20  # until a page stays as it is


def list_pages(service: ConsoleService) -> dict[str, tuple[str, str, list[str]]]:
    """The address of each page, an element that it has when it is ready, and what else varies."""
    session = f"/console/sessions/{service.ended}"
    catalogue = f"/console/catalogues/{service.catalogue}"
    return {
        "live": (f"/console/live/{service.running}", ".runners-up li", RUNNING),
        "review": (f"/console/review?session={service.ended}", ".runners-up li", []),
        "timeline": (f"{session}?t=12", ".bar-segment", []),
        "why": (f"{session}/why/12.0", ".score-parts", []),
        "sessions": ("/console/sessions", ".row", []),
        "catalogue": (catalogue, ".product-card", []),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["live", "review", "timeline", "why", "sessions", "catalogue"])
def test_a_page_looks_like_its_references(browser: Any, service: ConsoleService, name: str) -> None:
    path, ready, varying = list_pages(service)[name]
    problems = []
    for size in ("desktop", "phone"):
        # Requests for heatmaps fail, as the tiny model has none.
        visitor = Visitor(
            browser, service, is_phone=size == "phone", may_fail=True, bypass_csp=True
        )
        visitor.log_in(service.process.admin_key)
        visitor.open(path)
        visitor.page.locator(ready).first.wait_for()
        require_same_browser(browser, visitor)
        for theme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme=theme)
            image = take_settled(visitor, [*MASKED, *varying])
            if IS_UPDATE:
                references.store(f"{name}-{size}-{theme}", image)
            problems.append(references.compare(f"{name}-{size}-{theme}", image))
        problems += visitor.close()
    assert not any(problems), "\n".join(filter(None, problems))


def require_same_browser(browser: Any, visitor: Visitor) -> None:
    """Skip where letters look different: in another version of Chromium, or with other fonts."""
    here = {"chromium": browser.version.partition(".")[0], "text": visitor.page.evaluate(SAMPLE)}
    if IS_UPDATE:
        references.note_conditions(here)
    if here != (there := references.read_conditions()):
        pytest.skip(f"the references were taken with {there}, and this is {here}")


def take_settled(visitor: Visitor, masked: list[str]) -> Image.Image:
    """Take a picture of a page as soon as two in a row are the same."""
    visitor.wait(LOADED)
    before = references.take(visitor.page, masked)
    for _ in range(MAX_ATTEMPTS):
        image = references.take(visitor.page, masked)
        if image.tobytes() == before.tobytes():
            return image
        before = image
    raise AssertionError(f"the page still changes after {MAX_ATTEMPTS} pictures")


def test_the_references_are_small_and_complete(service: ConsoleService) -> None:
    files = sorted(references.FOLDER.glob("*.webp"))
    names = {path.stem.partition("-")[0] for path in files}
    assert names == set(list_pages(service)) and len(files) == 4 * len(names)
    assert sum(path.stat().st_size for path in files) < 400_000


def test_a_picture_that_differs_is_found_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "FOLDER", tmp_path / "stored")
    monkeypatch.setattr(references, "OUTPUT", tmp_path / "found")
    image = Image.new("RGB", (200, 100), "#f4f5f6")
    references.store("page", image)
    assert references.compare("page", image) is None
    image.paste("#103060", (20, 20, 24, 24))  # about as much as a letter that is drawn differently
    assert references.compare("page", image) is None
    image.paste("#103060", (60, 20, 140, 40))
    problem = references.compare("page", image)
    assert problem is not None and "9.2%" in problem and "page-difference.png" in problem
    with Image.open(tmp_path / "found" / "page-difference.png") as difference:
        assert difference.getpixel((100, 30)) == 255 and difference.getpixel((10, 90)) == 0
    assert "there is no reference" in str(references.compare("other", image))
