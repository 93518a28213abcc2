"""Catalogues: import with refused rows, search by words and by a picture, and a product's page."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor
from tests.world import COLORS, make_image

Visit = Callable[..., Visitor]
WAIT_MS = 240_000  # for processes that start, and load a model first
ROWS = "product_id,title,image\nt-1,red teapot,tea.png\nt-2,=green teapot,\n,no id,\n"
DROP = """([bytes, type]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], "dropped", { type }));
  const event = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
  document.querySelector("main").dispatchEvent(event);
}"""


def product_titles(visitor: Visitor) -> list[str]:
    return [str(text) for text in visitor.page.locator(".product-card a").all_inner_texts()]


def test_products_are_imported_and_refused_rows_downloaded(
    visit: Visit, service: ConsoleService
) -> None:
    visitor = visit("/console/catalogues", service.make_key("who imports"))
    page = visitor.page
    page.get_by_role("button", name="New catalogue").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Teapots")
    visitor.press("Enter")
    page.get_by_text("There are no products yet.").wait_for()
    page.get_by_role("button", name="Import products").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Import").click()
    dialog.get_by_text("Choose a file or enter an address.").wait_for()
    file = {"name": "tea.zip", "mimeType": "application/zip", "buffer": zip_shop()}
    dialog.get_by_label("File").set_input_files(file)
    dialog.get_by_role("button", name="Import").click()
    page.get_by_text("2 added, 1 refused").first.wait_for(timeout=WAIT_MS)
    page.locator(".product-card").nth(1).wait_for()
    assert product_titles(visitor) == ["red teapot", "=green teapot"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all as CSV").first.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == '"level","location","message"' and len(lines) == 2
    assert lines[1].startswith('"error","tea.csv:4')

    page.get_by_role("link", name="red teapot").click()
    visitor.wait_for_text("h1", "red teapot")
    visitor.wait("() => document.querySelector('.gallery img').naturalWidth == 32")
    assert page.locator(".gallery img").get_attribute("src").endswith("/t-1.jpg?number=0")
    page.go_back()

    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Kettles")
    visitor.press("Enter")
    visitor.wait_for_text("h1", "Kettles")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/console/catalogues")
    names = [one["name"] for one in service.get("/v1/catalogues")["items"]]
    assert "Kettles" not in names


def test_search_by_words_and_by_a_dropped_picture(visit: Visit, service: ConsoleService) -> None:
    visitor = visit(f"/console/catalogues/{service.catalogue}")
    page = visitor.page
    everything = product_titles(visitor)
    assert len(everything) == 6
    visitor.press("/")
    page.keyboard.type("red milk")
    visitor.press("Enter")
    page.get_by_text("6 products found, best first").wait_for(timeout=WAIT_MS)
    hits = service.client.post(
        f"/v1/catalogues/{service.catalogue}/search", json={"text": "red milk"}
    ).json()["items"]
    assert product_titles(visitor) == [hit["product"]["title"] for hit in hits]
    page.evaluate(DROP, [list(picture()), "image/png"])
    page.get_by_alt_text("The picture that you search for").wait_for()
    page.get_by_text("6 products found, best first").wait_for()
    page.get_by_role("button", name="Clear the search").click()
    visitor.wait("() => !document.querySelector('.search-picture img')")
    assert product_titles(visitor) == everything
    page.evaluate(DROP, [[1, 2, 3], "image/gif"])
    page.get_by_text("Use a JPEG, PNG or WebP picture.").wait_for()


def picture() -> bytes:
    file = BytesIO()
    make_image(next(iter(COLORS.values())), 1).save(file, "PNG")
    return file.getvalue()


def zip_shop() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tea.csv", ROWS)
        archive.writestr("tea.png", picture())
    return file.getvalue()


def test_a_product_shows_its_images_and_when_it_was_on_sale(
    visit: Visit, service: ConsoleService
) -> None:
    timeline = service.get(f"/v1/sessions/{service.ended}/timeline")["segments"]
    segment = next(one for one in timeline if one["product_id"] is not None)
    product, catalogue = segment["product_id"], service.catalogue
    place = f"/console/catalogues/{catalogue}/products/{product}"
    # The index is a copy without its images, so the small image in it is shown instead.
    visitor = visit(place, is_phone=True, may_fail=True)
    visitor.wait_for_text("h1", segment["title"])
    visitor.wait("() => document.querySelector('.gallery img').naturalWidth > 0")
    shown = visitor.page.locator(f"tbody a[href*='{service.ended}']")
    expected = [one for one in timeline if one["product_id"] == product]
    links: list[Any] = shown.evaluate_all("links => links.map((link) => link.search)")
    assert links == [f"?t={one['start']:.1f}" for one in expected]
    assert visitor.overflow() <= 0
