"""Products whose image files are missing or cannot be decoded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.records import Product
from tests.catalogue.conftest import MakeProduct
from tests.catalogue.fakes import FakeEncoder

STRICT = UpdateOptions(strict=True)


@pytest.fixture
def missing(tmp_path: Path) -> Path:
    return tmp_path / "nowhere.jpg"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8 not an image")
    return path


def test_a_title_without_its_image_is_indexed_with_a_warning(
    table: ProductTable, encoder: FakeEncoder, missing: Path
):
    product = Product("a", title="Green lime", image=missing)
    report = table.update([product], encoder)
    assert (report.added, report.rejected_rows) == (1, ())
    [warning] = report.warnings
    assert str(warning) == f"product 'a': {missing} does not exist; indexed by its title only"
    vectors = table.shelf().vectors
    assert vectors.has_text.tolist() == [True] and vectors.has_image.tolist() == [False]
    assert table.products() == [product] and table.thumbnails() == {}


def test_the_warning_is_repeated_and_the_image_is_indexed_once_it_exists(
    table: ProductTable, encoder: FakeEncoder, product_with_image: MakeProduct
):
    product = product_with_image("a")
    assert product.image is not None
    pixels = product.image.read_bytes()
    product.image.unlink()
    table.update([product], encoder)
    report = table.update([product], encoder)
    assert (report.unchanged, len(report.warnings)) == (1, 1)
    product.image.write_bytes(pixels)
    report = table.update([product], encoder)
    assert (report.replaced, report.warnings) == (1, ())
    assert table.shelf().vectors.has_image.tolist() == [True]


def test_a_product_keeps_its_other_images(
    table: ProductTable,
    encoder: FakeEncoder,
    product_with_image: MakeProduct,
    missing: Path,
    broken: Path,
):
    readable = product_with_image("a").image
    assert readable is not None
    product = Product("a", image=missing, images=(broken, readable))  # no title
    report = table.update([product], encoder)
    assert (report.added, report.rejected_rows) == (1, ())
    messages = [warning.message for warning in report.warnings]
    assert messages[0] == f"{missing} does not exist; indexed without this image"
    assert messages[1].startswith(f"{broken}: ")
    assert messages[1].endswith("; indexed without this image")
    assert list(table.thumbnails()) == ["a"]
    assert table.shelf().vectors.has_image.tolist() == [True]


def test_an_unreadable_image_rejects_a_product_without_another_one(
    table: ProductTable, encoder: FakeEncoder, missing: Path, broken: Path
):
    products = [
        Product("titled", title="t", image=broken),
        Product("two", title="t", image=missing, images=(broken,)),
    ]
    report = table.update(products, encoder)
    assert report.added == 0 and report.warnings == ()
    for issue in report.rejected_rows:
        assert str(broken) in issue.message
        assert "and the product has no other readable image; " in issue.message
        assert "or remove the image from the listing" in issue.message


def test_a_product_left_without_content_is_rejected(
    table: ProductTable, encoder: FakeEncoder, missing: Path
):
    report = table.update([Product("a", image=missing)], encoder)
    [issue] = report.rejected_rows
    assert issue.where == "product 'a'"
    assert "nowhere.jpg: does not exist, and the product has neither title nor " in issue.message


def test_strict_indexing_rejects_missing_and_unreadable_images(
    table: ProductTable,
    encoder: FakeEncoder,
    product_with_image: MakeProduct,
    missing: Path,
    broken: Path,
):
    whole = product_with_image("whole")
    assert whole.image is not None
    products = [
        whole,
        Product("titled", title="t", image=missing),
        Product("missing view", title="t", image=whole.image, images=(missing,)),
        Product("broken view", title="t", image=whole.image, images=(broken,)),
    ]
    report = table.update(products, encoder, STRICT)
    assert (report.added, report.warnings) == (1, ())
    assert len(report.rejected_rows) == 3
    assert all("strict indexing needs every image" in r.message for r in report.rejected_rows)
    assert [product.product_id for product in table.products()] == ["whole"]


def test_strict_indexing_rejects_products_that_are_indexed_already(
    table: ProductTable, encoder: FakeEncoder, missing: Path
):
    product = Product("a", title="t", image=missing)
    table.update([product], encoder)
    report = table.update([product], encoder, replace(STRICT, sync=True))
    assert len(report.rejected_rows) == 1 and report.unchanged == 0
    assert table.products() == [product]  # a rejected product keeps its row


def test_invalid_products_are_rejected_and_the_rest_is_indexed(
    table: ProductTable,
    encoder: FakeEncoder,
    product_with_image: MakeProduct,
    missing: Path,
    broken: Path,
):
    products = [
        Product("gone", image=missing),
        product_with_image("good"),
        Product("broken", title="t", image=broken),
        Product("long", title="t", image=broken.with_name("x" * 300)),
        Product("nan", title="t", attributes={"price": float("nan")}),
        Product("object", title="t", attributes={"price": object()}),
        Product("half \ud800", title="t"),
        product_with_image("good"),
    ]
    report = table.update(products, encoder, UpdateOptions(batch_size=2))
    assert report.added == 1 and table.count() == 1
    assert len(report.rejected_rows) == 7
    text = "\n".join(map(str, report.rejected_rows))
    for reason in ("nowhere.jpg", "broken.jpg", "xxx", "'nan'", "'object'", "listed twice"):
        assert reason in text
