"""The kinds of operations, and the functions that do them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from sgmn.catalogue.feed import Feed
from sgmn.catalogue.fetch.fetcher import fetch_images
from sgmn.errors import SgmnError
from sgmn.records import Product
from sgmn.row_issues import RowIssue
from sgmn.service.catalogues import catalogue_folder
from sgmn.service.context import ServiceContext
from sgmn.service.imports.importer import fetch_options, run_import
from sgmn.service.improvements import adoption, training
from sgmn.service.indexes import delete_files, open_index, open_or_create_index, table_values
from sgmn.service.operations.heart import Heart
from sgmn.service.operations.outcome import Handler, Outcome
from sgmn.service.operations.queue import Job


def put_product(context: ServiceContext, job: Job, heart: Heart) -> Outcome:
    """Add or replace one product, whose images are addresses."""
    assert job.catalogue_id is not None
    heart.report(phase="downloading")
    fields = job.request["product"]
    urls = fields["images"]
    fetched = fetch_images(urls, fetch_options(context, job.catalogue_id))
    paths = [image.path for image in fetched.values() if image.path is not None]
    errors = [image.error for image in fetched.values() if image.error is not None]
    if errors and not paths and not fields["title"]:
        return Outcome(problem=f"The product has no title and no readable image: {errors[0]}")
    product = _to_product(fields, job.shop_id, paths)
    heart.report(phase="indexing")
    index = open_or_create_index(context, job.catalogue_id)
    report = index.add(Feed((product,), (), _to_warnings(product, errors)))
    return Outcome(
        result={"added": report.added, "replaced": report.replaced, "unchanged": report.unchanged},
        errors=report.rejected_rows,
        warnings=report.warnings,
        problem=str(report.rejected_rows[0]) if report.rejected_rows else None,
        catalogue=table_values(index.table),
    )


def _to_product(fields: Mapping[str, object], shop_id: str, paths: list[Path]) -> Product:
    attributes = fields["attributes"]
    assert isinstance(attributes, dict)
    return Product(
        str(fields["product_id"]),
        str(fields["title"]),
        paths[0] if paths else None,
        tuple(paths[1:]),
        shop_id,
        str(fields["category"]),
        attributes,
    )


def _to_warnings(product: Product, errors: Sequence[SgmnError]) -> tuple[RowIssue, ...]:
    where = f"product {product.product_id!r}"
    return tuple(RowIssue(where, f"image {error}; indexed without this image") for error in errors)


def purge(context: ServiceContext, job: Job, heart: Heart) -> Outcome:
    """Remove all products of a catalogue; the catalogue stays."""
    assert job.catalogue_id is not None
    heart.report(phase="removing")
    index = open_index(context, job.catalogue_id)
    if index is None:
        return Outcome(result={"removed": 0})
    ids = [product.product_id for product in index.products(job.shop_id)]
    removed = index.remove(ids, job.shop_id).count
    for name in ("images", "downloads"):
        shutil.rmtree(catalogue_folder(context.settings, job.catalogue_id) / name, True)
    return Outcome(result={"removed": removed}, catalogue=table_values(index.table))


def delete_index(context: ServiceContext, job: Job, heart: Heart) -> Outcome:
    """Delete the files of a deleted catalogue."""
    assert job.catalogue_id is not None
    heart.report(phase="deleting")
    delete_files(context, job.catalogue_id)
    return Outcome()


HANDLERS: dict[str, Handler] = {
    "import": run_import,
    "put-product": put_product,
    "purge": purge,
    "delete-index": delete_index,
    training.KIND: training.improve,
    adoption.ADOPT: adoption.change_model,
    adoption.REVERT: adoption.change_model,
}
