"""The text of an index: recorded, used by every update, and not to be mixed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sgmn.catalogue import stamp as stamps
from sgmn.catalogue.index import Index
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import ProductTable
from sgmn.errors import IndexingError, SgmnError
from sgmn.model.bundle import ModelBundle
from sgmn.product_text import TEXT_FIELDS, TextFields
from sgmn.records import Product
from tests.catalogue.fakes import STAMP, FakeEncoder

SOAP = Product("p", "Soap", attributes={"brand": "Oro", "description": "Mild."})
TEXTS = ("Soap", "Soap, Oro", "Soap, Oro. Mild.")


@pytest.mark.parametrize(("fields", "text"), [*zip(TEXT_FIELDS, TEXTS, strict=True)])
def test_every_update_encodes_the_text_of_the_index(
    tmp_path: Path, encoder: FakeEncoder, fields: TextFields, text: str
) -> None:
    ProductTable.create_or_open(tmp_path / "index", replace(STAMP, text_fields=fields))
    table = ProductTable.open(tmp_path / "index")
    assert table.stamp.text_fields == fields
    table.update([SOAP], encoder)
    table.update([SOAP, replace(SOAP, product_id="q")], encoder)  # only q is new
    assert encoder.titles == [text, text]
    assert [product.title for product in table.products()] == ["Soap", "Soap"]


def test_a_changed_description_is_encoded_again(table: ProductTable, encoder: FakeEncoder) -> None:
    table.update([SOAP], encoder)
    changed = replace(SOAP, attributes={"description": "Strong."})
    assert table.update([changed], encoder).replaced == 1


def test_another_text_is_refused(tmp_path: Path, tiny: Callable[[], ModelBundle]) -> None:
    model, path = tiny(), tmp_path / "index"
    Index.create(path, model, "title+attributes").add([SOAP])
    for fields in (None, TEXT_FIELDS[1]):  # of the index, whether named or not
        assert Index.open_or_create(path, model, fields).stamp.text_fields == "title+attributes"
    with pytest.raises(IndexingError) as caught:
        Index.open_or_create(path, model, "title")
    assert str(caught.value) == (
        f"{path}: was built with the text 'title+attributes', not 'title'; "
        "leave out --text (text_fields=None), or index again into a new folder"
    )


def test_the_text_changes_what_a_search_finds(
    tmp_path: Path, tiny: Callable[[], ModelBundle]
) -> None:
    model = tiny()
    milks = [Product(brand, "milk", attributes={"brand": brand}) for brand in ("red", "green")]
    scores = {}
    for fields in TEXT_FIELDS[:2]:
        index = Index.create(tmp_path / fields, model, fields)
        index.add(milks)
        scores[fields] = {hit.score for hit in index.search(text="green milk", shop_id="")}
    assert len(scores["title"]) == 1  # the titles are equal
    assert len(scores["title+attributes"]) == 2


def stored(**changes: object) -> dict[bytes, bytes]:
    content = json.loads(stamps.to_metadata(STAMP)[b"sgmn"]) | changes
    return {b"sgmn": json.dumps({k: v for k, v in content.items() if v is not None}).encode()}


def test_a_stamp_without_a_text_is_that_of_titles(tmp_path: Path) -> None:
    assert stamps.from_metadata(stored(text_fields=None), tmp_path) == STAMP
    schema = pa.schema([], metadata=stored(text_fields="title+attributes"))
    read = stamps.from_metadata(schema.metadata, tmp_path)
    assert read == ModelStamp(STAMP.fingerprint, STAMP.dim, STAMP.name, "title+attributes")
    with pytest.raises(SgmnError, match="'title and price' is not a text of products"):
        stamps.from_metadata(stored(text_fields="title and price"), tmp_path)
